/* ending.c - the last words about a task, and those about one that had come to its end before. */
#include "ending.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "progress.h"
#include "rehearsal.h"
#include "say.h"

static const char *result_place(const struct rundir *rundir, char *path, size_t path_bytes)
{
    snprintf(path, path_bytes, "%s/result.h5", rundir_path(rundir));
    if (access(path, R_OK) != 0)
        snprintf(path, path_bytes, "%s", rundir_path(rundir));
    return path;
}

static json_t *metrics_json(const struct run_status *status)
{
    json_t *metrics = json_object();
    for (uint32_t i = 0; i < status->metric_count && i < RUNDIR_METRICS; i++)
        json_object_set_new(metrics, status->metrics[i].name, json_real(status->metrics[i].value));
    return metrics;
}

static int print_result_json(const struct supervise_result *result, const char *task,
                             const char *place)
{
    const struct run_status *status = &result->status;
    int printed = print_json(
        json_pack("{s:s, s:s, s:i, s:s, s:I, s:I, s:I, s:I, s:i, s:f, s:o, s:s}", "task", task,
                  "state", result->state, "exit_code", result->exit_code, "text", result->text,
                  "step", (json_int_t)status->step, "step_count", (json_int_t)status->step_count,
                  "checkpoint_step", (json_int_t)status->checkpoint_step, "losses",
                  (json_int_t)status->losses, "restarts", result->restarts, "seconds",
                  result->seconds, "metrics", metrics_json(status), "place", place));
    return result->exit_code ? result->exit_code : printed;
}

static int conclude(const struct launch_options *options, int exit_code)
{
    return options->conclude ? options->conclude(options->conclude_context, exit_code) : exit_code;
}

int ending_report(const struct launch_options *options, struct supervise_result *result,
                  const struct rundir *rundir, const char *task)
{
    char path[PATH_MAX + 16], text[2 * PROGRESS_LINE_BYTES + PATH_MAX];
    const char *place = result_place(rundir, path, sizeof path);
    result->exit_code = conclude(options, result->exit_code);
    if (options->json)
        return print_result_json(result, task, place);
    struct progress_end end = {.task = task,
                               .state = result->state,
                               .text = result->text,
                               .step = result->status.step,
                               .step_count = result->status.step_count,
                               .seconds = result->seconds,
                               .losses = result->status.losses,
                               .restarts = result->restarts,
                               .place = place};
    progress_end_line(&end, text, sizeof text);
    if (result->exit_code != 0) {
        say("%s", text);
        if (result->exit_code == EXIT_RESUMABLE || result->exit_code == EXIT_TOO_FEW)
            say("`onward resume %s' goes on with it", task);
        return result->exit_code;
    }
    if (!options->quiet)
        puts(text);
    return finish_output(0);
}

void ending_tell_faults(const struct launch_options *options, const struct rundir *rundir,
                        int64_t incarnation, const struct supervise_result *result)
{
    const char *next = options->inject ? options->inject : "";
    for (uint32_t fault = 0; *next; fault++) {
        int length = (int)strcspn(next, ",");
        if (!rehearsal_has_happened(rundir, incarnation, result->incarnation, fault))
            say("--inject %.*s: it did not come to that", length, next);
        next += length;
        next += *next == ',';
    }
}

/* With fewer steps than it has there is no way back for it. */
static bool is_beyond(const struct launch_options *options, const struct rundir *rundir,
                      const struct task_record *record)
{
    struct run_status status;
    if (options->step_count < 0 || rundir_read_status(rundir, &status, NULL) != ONWARD_OK ||
        status.checkpoint_step <= record->step_count)
        return false;
    say("--steps %lld: task %s has a checkpoint of step %lld: expected at least as many",
        (long long)record->step_count, record->task, (long long)status.checkpoint_step);
    return true;
}

bool ending_is_there(const struct launch_options *options, const struct rundir *rundir,
                     const struct task_record *record, int *exit_code)
{
    struct run_completion completion;
    struct error error;
    bool complete;
    if (rundir_read_completion(rundir, &completion, &complete, &error) != ONWARD_OK) {
        *exit_code = say_error(&error);
        return true;
    }
    if (!complete || completion.step < record->step_count) {
        *exit_code = EXIT_USAGE;
        return is_beyond(options, rundir, record);
    }
    struct supervise_result result = {.exit_code = conclude(options, 0),
                                      .state = "complete",
                                      .text = "was complete already",
                                      .status = {.step = completion.step,
                                                 .step_count = completion.step,
                                                 .checkpoint_step = completion.step}};
    char path[PATH_MAX + 16];
    const char *place = result_place(rundir, path, sizeof path);
    if (options->json) {
        *exit_code = print_result_json(&result, record->task, place);
        return true;
    }
    printf("task %s is complete already: %lld steps, %s\n", record->task,
           (long long)completion.step, place);
    *exit_code = finish_output(result.exit_code);
    return true;
}
