/* control_act.c - carries out the actions of the decision core: orders to workers, files in the
 * run directory, lines in the event log. Results go back to the core as events, at once; the core
 * bounds how deep that nests (one action leads to at most one result). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control.h"

void control_event_at(struct onward *ow, const char *event, int64_t step, json_t *extra)
{
    struct control *control = ow->control;
    /* A log on a full disk must not stop the training; the status says how things stand. */
    rundir_event(control->rundir, event, controller_epoch(control->core), step, extra, NULL);
    json_decref(extra);
}

void control_event(struct onward *ow, const char *event, json_t *extra)
{
    control_event_at(ow, event, controller_best_step(ow->control->core), extra);
}

void control_warn(struct onward *ow, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    control_event(ow, "warning", json_pack("{s:s}", "text", text));
}

static void fill_status(struct onward *ow, struct run_status *status)
{
    const struct controller *core = ow->control->core;
    control_fill_interval(ow, status);
    status->incarnation = ow->incarnation;
    status->epoch = controller_epoch(core);
    status->step = controller_current_step(core) > 0 ? controller_current_step(core) : 0;
    status->step_count = ow->options.step_count;
    status->checkpoint_step = controller_checkpoint_step(core);
    status->workers = controller_worker_count(core);
    status->spares = controller_spare_count(core);
    status->draining = controller_draining_count(core);
    status->members = controller_member_count(core);
    status->spawns_barred = control_is_barred(ow);
    status->progress =
        status->step_count > 0 ? (double)status->step / (double)status->step_count : 1;
    status->eta_s = status->steps_per_s > 0 && status->step_count < RUNDIR_ENDLESS_STEPS
                        ? (double)(status->step_count - status->step) / status->steps_per_s
                        : -1;
}

void control_write_status(struct onward *ow, const char *state)
{
    struct run_status *status = &ow->control->status;
    fill_status(ow, status);
    status->partner_flight = status->shared_flight = (struct run_flight){0};
    if (strcmp(state, "running") == 0)
        control_fill_flights(ow, status);
    snprintf(status->state, sizeof status->state, "%s", state);
    struct error error = {.errno_value = 0};
    int code = rundir_write_status(ow->control->rundir, status, &error);
    if (code == ONWARD_OK && ow->control->members_unwritten)
        control_write_members(ow);
    mark_telling(ow, error.errno_value);
}

/* A side that is fenced says nothing: the log is another's. */
void control_write_end(struct onward *ow, int code, const char *text)
{
    struct run_status *status = &ow->control->status;
    if (rundir_check_fence(ow->control->rundir, NULL) == ONWARD_ERR_FENCED)
        return;
    const char *state = code == ONWARD_OK            ? "complete"
                        : code == ONWARD_ERR_STOPPED ? "stopped"
                                                     : "failed";
    snprintf(status->text, sizeof status->text, "%s", text);
    status->exit_code = onward_exit_code(code);
    control_event(ow, state, json_pack("{s:s}", "text", text));
    control_write_status(ow, state);
}

/* To every worker, or to every member. */
void control_order(struct onward *ow, struct message message, bool workers_only)
{
    for (uint32_t i = 0; i < ow->seat_count; i++) {
        if (workers_only && ow->seats[i].rank < 0)
            continue;
        if (ow->seats[i].member == ow->member)
            worker_take_order(ow, &message);
        else
            transport_send(ow->transport, (int)i, &message, sizeof message);
    }
}

/* Nothing is said in the run directory, which is another incarnation's; the members learn it from
 * the opening of the change that begins now. */
bool control_is_fenced(struct onward *ow)
{
    struct control *control = ow->control;
    struct error error;
    if (rundir_check_fence(control->rundir, &error) != ONWARD_ERR_FENCED)
        return false;
    if (!control->give_up) {
        control->give_up = true;
        control->end_code = ONWARD_ERR_FENCED;
        snprintf(control->end_text, sizeof control->end_text, "%.*s",
                 (int)sizeof control->end_text - 1, error.text);
        if (!ow->changing)
            transport_interrupt(ow->transport);
    }
    return true;
}

/* Both ways the fence is asked, once: the record is not put in place by a side that is fenced. */
static int record_completion(struct onward *ow, struct error *error)
{
    struct control *control = ow->control;
    double seconds = (double)(clock_ns() - control->start_ns) / 1e9;
    struct run_completion completion = {ow->incarnation, controller_epoch(control->core),
                                        ow->options.step_count, seconds};
    if (!control->unsaved)
        return rundir_write_completion(control->rundir, &completion, error);
    int code = rundir_check_fence(control->rundir, error);
    return code != ONWARD_OK ? code
                             : error_set(error, ONWARD_ERR_STOPPED,
                                         "the final state could not be written to %s; make room "
                                         "and resume",
                                         ow->run);
}

static void complete(struct onward *ow)
{
    struct error error = {0};
    int code = record_completion(ow, &error);
    ow->ended = true;
    ow->end_code = code;
    if (code == ONWARD_OK && ow->options.step_count < RUNDIR_ENDLESS_STEPS)
        snprintf(error.text, sizeof error.text, "%lld step%s complete",
                 (long long)ow->options.step_count, ow->options.step_count == 1 ? "" : "s");
    else if (code != ONWARD_OK)
        ow->error = error;
    control_write_end(ow, code, error.text);
    control_order(ow, (struct message){.kind = ORDER_COMPLETE, .code = code}, false);
}

void control_end(struct onward *ow, int code, const char *text)
{
    struct control *control = ow->control;
    control->give_up = true;
    control->end_code = code;
    snprintf(control->end_text, sizeof control->end_text, "%s", text);
    control_write_end(ow, control->end_code, control->end_text);
    if (!ow->changing) /* members learn it from the opening of a change */
        transport_interrupt(ow->transport);
}

static int give_up_code(uint8_t reason)
{
    bool stops = reason == GIVE_UP_STOPPED || reason == GIVE_UP_END_TIME;
    bool has_few = reason == GIVE_UP_TOO_FEW || reason == GIVE_UP_STATE_ON_HOSTS;
    return has_few ? ONWARD_ERR_TOO_FEW : stops ? ONWARD_ERR_STOPPED : ONWARD_ERR_GAVE_UP;
}

static void give_up(struct onward *ow, const struct controller_action *action)
{
    static const char *const reasons[] = {
        [GIVE_UP_TOO_FEW] = "fewer workers are left than the minimum (--min)",
        [GIVE_UP_STOPPED] = "stopped as asked; it can be resumed",
        [GIVE_UP_NO_PROGRESS] = "no step was completed in several epochs in a row",
        [GIVE_UP_BUDGET] = "the budget of restarts is used up",
        [GIVE_UP_END_TIME] = "stopped before the end of its time; it can be resumed",
        [GIVE_UP_NO_STATE] = "no whole copy of the state is left anywhere",
        [GIVE_UP_STATE_ON_HOSTS] = "no worker that has the newest state is left",
    };
    control_end(ow, give_up_code(action->reason), reasons[action->reason]);
}

static void note(struct onward *ow, const struct controller_action *action)
{
    char text[160];
    switch (action->note) {
    case NOTE_STEPS_LOST:
        if (action->step == 0 && control_must_not_start_over(ow))
            return; /* it does not start over: control_refuse_to_start_over() */
        snprintf(text, sizeof text,
                 "%u complete steps are done again, from step %lld: no copy of a "
                 "newer state is left",
                 action->count, (long long)action->step);
        break;
    case NOTE_SPARE_WORKERS:
        snprintf(text, sizeof text,
                 "%u members stay spare: there are fewer subtasks, or a lower "
                 "--max, than workers",
                 action->count);
        break;
    case NOTE_CHECKPOINT_MISSED:
        snprintf(text, sizeof text,
                 "the checkpoint of step %lld came too late for member %u; it "
                 "is taken at a later step",
                 (long long)action->step, action->member);
        break;
    case NOTE_CHECKPOINT_FAILED:
        snprintf(text, sizeof text,
                 "the checkpoint of step %lld failed, %u in a row; it is tried again later",
                 (long long)action->step, action->count);
        break;
    case NOTE_END_TIME:
        snprintf(
            text, sizeof text,
            "%u s are left of the time of the job (--end-time): a checkpoint, and then the end",
            action->count);
        break;
    case NOTE_NO_FINAL_CHECKPOINT:
        ow->control->unsaved = true;
        snprintf(text, sizeof text, "the final checkpoint, of step %lld, failed %u times",
                 (long long)action->step, action->count);
        break;
    case NOTE_SPAWN_FAILED:
        if (ow->control->lacks_slots) /* spawn.c said why */
            return;
        snprintf(text, sizeof text, "%u spawned workers did not come; tried again later",
                 action->count);
        break;
    default:
        snprintf(text, sizeof text, "note %u of step %lld", action->note, (long long)action->step);
        break;
    }
    control_warn(ow, "%s", text);
}

static void act(struct onward *ow, const struct controller_action *action)
{
    switch (action->type) {
    case ACTION_REFORM:
        if (!ow->changing) /* else everyone is in it already */
            control_plan_change(ow);
        break;
    case ACTION_OPEN_EPOCH:
        ow->control->opened = *action;
        break;
    case ACTION_SPAWN:
        control_order_spawn(ow, action->count);
        break;
    case ACTION_TAKE_CHECKPOINT:
        control_order_checkpoint(ow, action->step);
        break;
    case ACTION_COMMIT_CHECKPOINT:
        control_commit(ow, action->step);
        break;
    case ACTION_FINISH:
        control_order(ow, (struct message){.kind = ORDER_FINISH}, true);
        break;
    case ACTION_COMPLETE:
        complete(ow);
        break;
    case ACTION_GIVE_UP:
        give_up(ow, action);
        break;
    case ACTION_NOTE:
        note(ow, action);
        break;
    case ACTION_ABANDON_CHECKPOINT: /* its shards go before the next one */
        ow->control->order_waits = false;
        break;
    default:
        break;
    }
}

void control_feed(struct onward *ow, struct controller_event event)
{
    struct controller_actions actions;
    event.now_us = clock_ns() / 1000;
    if (controller_step(ow->control->core, &event, &actions) != 0)
        return;
    for (uint32_t i = 0; i < actions.count && !ow->ended; i++)
        act(ow, &actions.items[i]);
}

void control_refuse_size(struct onward *ow, uint32_t size)
{
    bool is_told = ow->error.code == ONWARD_ERR_INPUT; /* who knew it may be lost */
    control_warn(ow, "the program cannot be laid out for %u workers, fewer are tried: %.300s", size,
                 is_told ? ow->error.text : "no reason was given");
    control_feed(ow, (struct controller_event){.type = EVENT_SIZE_REFUSED, .count = size});
}
