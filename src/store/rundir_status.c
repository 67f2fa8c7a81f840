/* rundir_status.c - status.json: how the task stands, replaced atomically several times a second.
 *
 * It is not synced: it serves readers of the living task, and the controller, which answers
 * failures within milliseconds, must not wait for a disk. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rundir_internal.h"

/* JSON has no infinity or NaN: such a number becomes null. */
static json_t *json_number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *encode_metrics(const struct run_status *status)
{
    json_t *metrics = json_object();
    for (uint32_t i = 0; i < status->metric_count && i < RUNDIR_METRICS; i++)
        json_object_set_new(metrics, status->metrics[i].name,
                            json_number_or_null(status->metrics[i].value));
    return metrics;
}

static json_t *encode_flight(const struct run_flight *flight)
{
    return flight->bytes > 0 ? json_pack("{s:I, s:I}", "of_step", (json_int_t)flight->step, "bytes",
                                         (json_int_t)flight->bytes)
                             : json_null();
}

json_t *rundir_encode_flights(const struct run_status *status)
{
    return json_pack("{s:o, s:o}", "partner", encode_flight(&status->partner_flight), "shared",
                     encode_flight(&status->shared_flight));
}

static json_t *encode_status(const struct run_status *status, const char *time)
{
    return json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:i, s:b, s:o, s:o, s:o, "
        "s:o, "
        "s:s, s:o, s:I, s:o, s:o, s:o, "
        "s:s, s:I, s:I, s:s, s:o, s:o}",
        "task", status->task, "state", status->state, "time", time, "incarnation",
        (json_int_t)status->incarnation, "epoch", (json_int_t)status->epoch, "step",
        (json_int_t)status->step, "step_count", (json_int_t)status->step_count, "checkpoint_step",
        (json_int_t)status->checkpoint_step, "workers", (int)status->workers, "spares",
        (int)status->spares, "draining", (int)status->draining, "members", (int)status->members,
        "losses", (int)status->losses, "spawns_barred", status->spawns_barred, "progress",
        json_number_or_null(status->progress), "eta_s", json_number_or_null(status->eta_s),
        "steps_per_s", json_number_or_null(status->steps_per_s), "checkpoint_interval_s",
        json_number_or_null(status->checkpoint_interval_s), "checkpoint_reason",
        status->checkpoint_reason, "checkpoint_cost_s",
        json_number_or_null(status->checkpoint_cost_s), "failures", (json_int_t)status->failures,
        "observed_s", json_number_or_null(status->observed_s), "stop_in_s",
        json_number_or_null(status->stop_in_s), "detect_s", json_number_or_null(status->detect_s),
        "host", status->host, "pid", (json_int_t)status->pid, "exit_code",
        (json_int_t)status->exit_code, "text", status->text, "metrics", encode_metrics(status),
        "in_flight", rundir_encode_flights(status));
}

int rundir_write_status(struct rundir *rundir, const struct run_status *status, struct error *error)
{
    char time[40];
    struct fence fence = rundir_fence(rundir);
    time_text(time, sizeof time);
    int code =
        rundir_write_unsynced(rundir, "status.json", encode_status(status, time), &fence, error);
    return code == ONWARD_OK ? rundir_write_kept(rundir, error) : code;
}

static void copy_text(char *to, size_t to_bytes, const char *from)
{
    snprintf(to, to_bytes, "%s", from ? from : "");
}

static double number_or_nan(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void decode_metrics(json_t *metrics, struct run_status *status)
{
    const char *name;
    json_t *value;
    json_object_foreach(metrics, name, value)
    {
        if (status->metric_count == RUNDIR_METRICS)
            break;
        struct run_metric *metric = &status->metrics[status->metric_count++];
        copy_text(metric->name, sizeof metric->name, name);
        metric->value = number_or_nan(value);
    }
}

static void decode_flight(const json_t *flights, const char *level, struct run_flight *flight)
{
    const json_t *one = json_object_get(flights, level);
    json_int_t bytes = json_integer_value(json_object_get(one, "bytes"));
    flight->step = json_integer_value(json_object_get(one, "of_step"));
    flight->bytes = bytes > 0 ? (uint64_t)bytes : 0;
}

static void decode_texts(const json_t *root, struct run_status *status)
{
#define COPY(field)                                                                                \
    copy_text(status->field, sizeof status->field, json_string_value(json_object_get(root, #field)))
    COPY(task);
    COPY(state);
    COPY(time);
    COPY(checkpoint_reason);
    COPY(host);
    COPY(text);
#undef COPY
}

static int decode_status(json_t *root, struct run_status *status, json_error_t *problem)
{
    json_int_t incarnation, epoch, step, step_count, checkpoint_step, pid, exit_code;
    int workers, spares, draining = 0, members, losses, failures = 0;
    if (json_unpack_ex(root, problem, 0,
                       "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s?i, s:i, s:i, s?i}",
                       "incarnation", &incarnation, "epoch", &epoch, "step", &step, "step_count",
                       &step_count, "checkpoint_step", &checkpoint_step, "pid", &pid, "exit_code",
                       &exit_code, "workers", &workers, "spares", &spares, "draining", &draining,
                       "members", &members, "losses", &losses, "failures", &failures) != 0)
        return -1;
    *status = (struct run_status){
        .incarnation = incarnation,
        .epoch = epoch,
        .step = step,
        .step_count = step_count,
        .checkpoint_step = checkpoint_step,
        .pid = pid,
        .exit_code = exit_code,
        .workers = (uint32_t)workers,
        .spares = (uint32_t)spares,
        .draining = (uint32_t)draining,
        .members = (uint32_t)members,
        .losses = (uint32_t)losses,
        .spawns_barred = json_is_true(json_object_get(root, "spawns_barred")),
        .failures = failures > 0 ? (uint32_t)failures : 0,
        .progress = number_or_nan(json_object_get(root, "progress")),
        .eta_s = number_or_nan(json_object_get(root, "eta_s")),
        .steps_per_s = number_or_nan(json_object_get(root, "steps_per_s")),
        .checkpoint_interval_s = number_or_nan(json_object_get(root, "checkpoint_interval_s")),
        .checkpoint_cost_s = number_or_nan(json_object_get(root, "checkpoint_cost_s")),
        .observed_s = number_or_nan(json_object_get(root, "observed_s")),
        .stop_in_s = number_or_nan(json_object_get(root, "stop_in_s")),
        .detect_s = json_number_value(json_object_get(root, "detect_s")),
    };
    decode_texts(root, status);
    decode_metrics(json_object_get(root, "metrics"), status);
    decode_flight(json_object_get(root, "in_flight"), "partner", &status->partner_flight);
    decode_flight(json_object_get(root, "in_flight"), "shared", &status->shared_flight);
    return 0;
}

int rundir_read_status(const struct rundir *rundir, struct run_status *status, struct error *error)
{
    json_t *root;
    json_error_t problem;
    int code = rundir_read_json(rundir, "status.json", &root, error);
    if (code != ONWARD_OK)
        return code;
    int failed = decode_status(root, status, &problem);
    json_decref(root);
    if (failed)
        return error_set(error, ONWARD_ERR_CORRUPT, "%s/status.json: %s", rundir->path,
                         problem.text);
    return ONWARD_OK;
}
