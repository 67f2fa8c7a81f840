/* next.c - onward_next: ends a step, goes through a change of the lineup, waits where there is
 * nothing to do, and begins the next step. */
#include <string.h>

#include "control.h"
#include "copies.h"
#include "slots.h"
#include "trace.h"

/* A spare sleeps under 1 % of a core; a worker at the end of its steps waits for a short while. */
enum { SPARE_NS = 10000000, END_NS = 1000000 };

/* One store each: only this thread writes them. */
void mark_place(struct onward *ow, enum beat_place place)
{
    struct heart_marks *marks = &ow->marks;
    uint64_t moves = atomic_load_explicit(&marks->moves, memory_order_relaxed);
    atomic_store_explicit(&marks->place, (uint8_t)place, memory_order_relaxed);
    atomic_store_explicit(&marks->moves, moves + 1, memory_order_relaxed);
    atomic_store_explicit(&marks->member, ow->member, memory_order_relaxed);
    atomic_store_explicit(&marks->rank, ow->role.rank, memory_order_relaxed);
    atomic_store_explicit(&marks->epoch, ow->role.epoch, memory_order_relaxed);
    atomic_store_explicit(&marks->complete_step, ow->complete_step, memory_order_relaxed);
}

void mark_telling(struct onward *ow, int disk_errno)
{
    struct heart_marks *marks = &ow->marks;
    atomic_store_explicit(&marks->disk_errno, disk_errno, memory_order_relaxed);
    atomic_fetch_add_explicit(&marks->tellings, 1, memory_order_relaxed);
}

void mark_spawning(struct onward *ow, bool spawns)
{
    atomic_store_explicit(&ow->marks.spawns, spawns, memory_order_relaxed);
}

/* The step that just ended counts if no loss was seen in it. */
static void end_step(struct onward *ow)
{
    if (!ow->in_step)
        return;
    ow->in_step = false;
    trace_subtask(ow->trace, TRACE_NO_SUBTASK);
    if (ow->options.service || ow->gave_up || transport_loss_seen(ow->transport))
        return; /* by contract or in its slot, each array is still as after complete_step */
    ow->complete_step++;
    slots_commit(ow);
    /* At most one poll too early; spares a clock call. Not polled yet: the first step of an epoch.
     */
    ow->step_end_ns = ow->poll_ns ? ow->poll_ns : clock_ns();
}

static void end_final_work(struct onward *ow)
{
    if (!ow->finishing || ow->final_done_sent || transport_loss_seen(ow->transport))
        return;
    struct message done = {.kind = MESSAGE_FINAL_DONE, .step = ow->complete_step};
    worker_add_metrics(ow, &done); /* that work may have told some */
    ow->final_done_sent = worker_send(ow, &done);
}

static void begin_final_work(struct onward *ow)
{
    ow->finishing = true;
    fault_at_phase(ow, INJECT_PHASE_FINISH);
    if (!ow->options.wants_finish)
        end_final_work(ow);
}

static int begin_step(struct onward *ow, struct onward_role *role)
{
    ow->role.step = ow->complete_step;
    *role = ow->role;
    ow->role.changed = false;
    ow->in_step = true;
    trace_step(ow->trace, ow->role.step);
    if (ow->fault_count > 0)
        fault_at_step(ow);
    ow->started_step = ow->complete_step;
    return ONWARD_STEP;
}

/* What there is to do now; ONWARD_DONE also stands for "wait". */
static int decide(struct onward *ow, struct onward_role *role)
{
    if (!ow->in_lineup || ow->gave_up)
        return ONWARD_DONE;
    copies_step(ow);
    if (transport_loss_seen(ow->transport) || copies_hold(ow))
        return ONWARD_DONE;
    if (transport_loss_seen(ow->transport)) /* the controller's own answer began the change */
        return ONWARD_DONE;
    worker_checkpoint(ow);
    if (worker_holds(ow))
        return ONWARD_DONE;
    if (ow->complete_step < ow->options.step_count)
        return begin_step(ow, role);
    if (ow->finish_ordered && !ow->finishing) {
        begin_final_work(ow);
        *role = ow->role;
        role->step = ow->complete_step;
        ow->role.changed = false;
        return ow->options.wants_finish ? ONWARD_FINISH : ONWARD_DONE;
    }
    return ONWARD_DONE;
}

static int ended(struct onward *ow)
{
    return ow->end_code == ONWARD_OK ? ONWARD_DONE : ow->end_code;
}

/* Once every step is complete, orders decide what comes, so they are waited for without a pause
 * to the next report. */
static void wait_a_little(struct onward *ow)
{
    if (ow->in_lineup && ow->complete_step >= ow->options.step_count && ow->report_ns > 0) {
        worker_report(ow);
        ow->report_ns = INT64_MAX; /* told; a change of the lineup starts reports again */
    }
    service_idle(ow);
    sleep_ns(ow->in_lineup ? END_NS : SPARE_NS);
}

static int next(struct onward *ow, struct onward_role *role)
{
    if (ow->ended)
        return ended(ow);
    if (ow->dedicated)
        return error_set(&ow->error, ONWARD_ERR_ORDER,
                         "onward_next was called on the controller; call onward_control");
    end_step(ow);
    for (;;) {
        end_final_work(ow); /* again where it could not be said */
        if (ow->opened)
            worker_poll(ow);
        if (ow->complete_ordered) { /* before a loss: whoever dies from now on changes nothing */
            ow->ended = true;
            error_set(&ow->error, ow->end_code, "%s", onward_error_message(ow->end_code));
        }
        if (!ow->ended && (!ow->opened || transport_loss_seen(ow->transport))) {
            int code = change_run(ow);
            if (code != ONWARD_OK)
                return code;
        }
        if (ow->ended)
            return ended(ow);
        int verdict = decide(ow, role);
        if (verdict != ONWARD_DONE)
            return verdict;
        wait_a_little(ow);
    }
}

int onward_next(struct onward *ow, struct onward_role *role)
{
    mark_place(ow, BEAT_INSIDE);
    int verdict = next(ow, role);
    if (verdict > ONWARD_DONE)
        mark_place(ow, verdict == ONWARD_STEP ? BEAT_STEP : BEAT_FINAL);
    return verdict;
}

bool onward_ok(const struct onward *ow)
{
    return !transport_loss_seen(ow->transport);
}

int onward_metric(struct onward *ow, const char *name, double value)
{
    if (!name || !*name || strlen(name) >= RUNDIR_METRIC_NAME_BYTES)
        return error_set(&ow->error, ONWARD_ERR_ARGUMENT,
                         "onward_metric: the name has to have 1 to %d bytes",
                         RUNDIR_METRIC_NAME_BYTES - 1);
    uint32_t i = 0;
    while (i < ow->metric_count && strcmp(ow->metrics[i].name, name) != 0)
        i++;
    if (i == RUNDIR_METRICS)
        return error_set(&ow->error, ONWARD_ERR_LIMIT, "onward_metric: more than %d names",
                         RUNDIR_METRICS);
    strcpy(ow->metrics[i].name, name);
    ow->metrics[i].value = value;
    if (i == ow->metric_count)
        ow->metric_count++;
    return ONWARD_OK;
}

static int sum_result(struct onward *ow, const char *call, int code)
{
    if (code == ONWARD_ERR_LOST)
        transport_note_loss(ow->transport);
    if (code != ONWARD_OK)
        error_set(&ow->error, code, "%s: %s", call, onward_error_message(code));
    return code;
}

/* Contributions come in order: the one after this was added, or the first, is worked on now. */
static void enter_subtask(struct onward *ow, uint32_t subtask)
{
    bool is_own = ow->in_step && subtask - ow->role.first < ow->role.count;
    trace_subtask(ow->trace, is_own ? (int64_t)subtask : TRACE_NO_SUBTASK);
}

int onward_sum_begin(struct onward *ow, enum onward_type type, size_t length)
{
    if (!ow->in_step && !ow->finishing)
        return sum_result(ow, "onward_sum_begin", ONWARD_ERR_ORDER);
    if (type != ONWARD_FLOAT && type != ONWARD_DOUBLE)
        return sum_result(ow, "onward_sum_begin", ONWARD_ERR_ARGUMENT);
    int code = sum_begin(ow->sum, type == ONWARD_DOUBLE, length, ow->options.subtask_count,
                         ow->role.first, ow->role.count);
    if (code == ONWARD_OK)
        enter_subtask(ow, ow->role.first);
    return sum_result(ow, "onward_sum_begin", code);
}

void *onward_sum_buffer(struct onward *ow)
{
    return sum_buffer(ow->sum);
}

int onward_sum_add(struct onward *ow, uint32_t subtask, const void *contribution)
{
    if (!contribution)
        return sum_result(ow, "onward_sum_add", ONWARD_ERR_ARGUMENT);
    int code = sum_add(ow->sum, subtask, contribution);
    if (code == ONWARD_OK)
        enter_subtask(ow, subtask + 1);
    return sum_result(ow, "onward_sum_add", code);
}

int onward_sum_end(struct onward *ow, void *total)
{
    if (transport_loss_seen(ow->transport)) {
        sum_cancel(ow->sum);
        return sum_result(ow, "onward_sum_end", ONWARD_ERR_LOST);
    }
    fault_at_phase(ow, INJECT_PHASE_SUM);
    mark_place(ow, BEAT_INSIDE);
    int code = sum_end(ow->sum, transport_team(ow->transport), total);
    mark_place(ow, ow->in_step ? BEAT_STEP : BEAT_FINAL);
    return sum_result(ow, "onward_sum_end", code);
}
