/* restart.c - what comes after an incarnation: the end of the task, or the next one.
 *
 * When mpirun went down, every host is asked at once, and what is left of the task there is killed
 * on the way; the next incarnation gets those that answer. The budget (budget.h) bounds how often;
 * incarnations without progress end the task with an error that names the step, and where losses
 * came one after the other at that step, whose they were. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "joins.h"
#include "rehearsal.h"
#include "say.h"
#include "segments.h"
#include "slurm.h"
#include "supervise_internal.h"

enum { CAUSE_BYTES = 1024, REASONS_BYTES = 400 };

static const double first_answer_factor = 3;

static void end_result(struct supervisor *s, int exit_code, const char *state, const char *text)
{
    struct supervise_result *result = s->result;
    result->exit_code = exit_code;
    snprintf(result->state, sizeof result->state, "%s", state);
    snprintf(result->text, sizeof result->text, "%.*s", (int)sizeof result->text - 1, text);
}

/* The status is written twice a second; heartbeats, and the losses that ended it all, tell more. */
static int64_t newest_step(const struct supervisor *s)
{
    int64_t step = s->watch.status.step;
    int64_t beaten = s->plain.settings ? -1 : beats_newest_step(s->detector.beats);
    int64_t lost = s->losses.count > 0 ? s->losses.step : -1;
    step = beaten > step ? beaten : step;
    return lost > step ? lost : step;
}

/* The controller did not say how it ended: the launcher does. */
static void record_end(struct supervisor *s)
{
    struct run_status status = s->watch.status;
    const struct supervise_result *result = s->result;
    if (!s->watch.seen && rundir_read_status(s->settings->rundir, &status, NULL) != ONWARD_OK)
        status = s->watch.status; /* else what an earlier start came to stands */
    snprintf(status.state, sizeof status.state, "%s", result->state);
    snprintf(status.text, sizeof status.text, "%.255s", result->text);
    status.exit_code = result->exit_code;
    status.incarnation = s->incarnation;
    if (!s->watch.seen && s->best_step > status.step)
        status.step = s->best_step;
    if (!s->watch.seen && s->best_checkpoint > status.checkpoint_step)
        status.checkpoint_step = s->best_checkpoint;
    if (rundir_check_fence(s->settings->rundir, NULL) == ONWARD_ERR_FENCED)
        return; /* both are another's */
    json_t *extra = json_pack("{s:s}", "text", result->text);
    rundir_write_status(s->settings->rundir, &status, NULL);
    rundir_event(s->settings->rundir, result->state, status.epoch, status.step, extra, NULL);
    json_decref(extra);
    s->watch.status = status;
}

/* The job has lost more processes than it can go on without; the hosts may have room for others. */
static bool are_too_few(const struct supervisor *s, enum outcome outcome)
{
    return outcome == OUTCOME_ENDED && s->watch.status.exit_code == EXIT_TOO_FEW;
}

/* Why it has to be started again, in a few words. */
static void describe_cause(const struct supervisor *s, enum outcome outcome, char *text,
                           size_t text_bytes)
{
    char how[96];
    child_describe(&s->child, how, sizeof how);
    char rank[160] = "";
    if (!*s->output.lost_host && !*s->error_output.lost_host)
        ranks_describe(&s->plain.ranks, rank, sizeof rank);
    if (s->is_planned)
        snprintf(text, text_bytes, "%s", s->move.cause);
    else if (are_too_few(s, outcome))
        snprintf(text, text_bytes, "%s", s->watch.status.text);
    else if (outcome == OUTCOME_CUT_OFF || outcome == OUTCOME_UNSTARTED)
        snprintf(text, text_bytes, "%s", s->cut_off);
    else if (outcome == OUTCOME_SILENT && s->watch.seen)
        snprintf(text, text_bytes, "the controller was silent for %g s",
                 supervise_silent_limit_s(s));
    else if (outcome == OUTCOME_SILENT)
        snprintf(text, text_bytes, "the program did not open its task in %.3g s",
                 supervise_start_limit_s(s));
    else if (*rank)
        snprintf(text, text_bytes, "%s", rank);
    else if (s->watch.seen)
        snprintf(text, text_bytes, "mpirun went down (%s)", how);
    else
        snprintf(text, text_bytes, "mpirun ended (%s) before the program opened its task", how);
}

bool restart_is_poisoned(const struct supervisor *s)
{
    return *s->losses.poison != '\0';
}

static void describe_losses(const struct supervisor *s, int64_t step, char *text, size_t text_bytes)
{
    losses_describe(&s->losses, s->settings->rundir, step, text, text_bytes);
}

/* Empty when it may be started again, else why not. */
static void refuse_restart(const struct supervisor *s, enum outcome outcome, char *why,
                           size_t why_bytes)
{
    char losses[256];
    bool never_began =
        outcome != OUTCOME_UNSTARTED && !supervise_has_opened(s) && s->result->restarts == 0;
    bool may_be_host = s->settings->allotment->places.count > 0 && WIFEXITED(s->child.status) &&
                       WEXITSTATUS(s->child.status) != EXIT_USAGE;
    why[0] = '\0';
    if (never_began && !may_be_host) {
        snprintf(why, why_bytes, "it is not started again");
    } else if (s->plain.settings && s->budget.stuck >= BUDGET_STUCK_LIMIT) {
        snprintf(why, why_bytes, "no new restart file was written in %d incarnations",
                 s->budget.stuck);
    } else if (s->budget.stuck >= BUDGET_STUCK_LIMIT) {
        describe_losses(s, s->budget.best_step, losses, sizeof losses);
        snprintf(why, why_bytes, "no step was completed after step %lld in %d incarnations%s%s",
                 (long long)s->budget.best_step, s->budget.stuck, *losses ? ", " : "", losses);
    } else if (!budget_allows(&s->budget)) {
        snprintf(why, why_bytes, "no restart is left (--max-restarts)");
    }
}

static void fail(struct supervisor *s, const char *cause, const char *why)
{
    char text[2 * PATH_MAX];
    const char *last = s->error_output.last[0] ? s->error_output.last : s->output.last;
    bool bad_input =
        !s->watch.seen && WIFEXITED(s->child.status) && WEXITSTATUS(s->child.status) == EXIT_USAGE;
    snprintf(text, sizeof text, "%s: %s; see %s%s%s", cause, why, s->log,
             *last ? ", which ends with: " : "", last);
    end_result(s, bad_input ? EXIT_USAGE : 1, "failed", text);
    record_end(s);
}

void restart_fail(struct supervisor *s, const struct error *error)
{
    end_result(s, onward_exit_code(error->code), "failed", error->text);
    record_end(s);
}

static void end_by_signal(struct supervisor *s)
{
    char text[128];
    snprintf(text, sizeof text, "killed after SIG%s, before it had stopped by itself",
             sigabbrev_np(s->signal));
    end_result(s, 128 + s->signal, "stopped", text);
    record_end(s);
}

/* Nobody was there to stop the task: it stands as it is. */
static void end_waiting(struct supervisor *s)
{
    end_result(s, EXIT_RESUMABLE, "stopped",
               "stopped as asked while it waited for hosts; it can be resumed");
    record_end(s);
}

static void end_too_few(struct supervisor *s, const char *cause, uint32_t members)
{
    char text[CAUSE_BYTES + 128];
    snprintf(text, sizeof text,
             "only %u worker%s fit on the hosts that answer, expected at least %u%s%s", members,
             members == 1 ? "" : "s", s->settings->allotment->min_workers, *cause ? "; " : "",
             cause);
    end_result(s, EXIT_TOO_FEW, "failed", text);
    record_end(s);
}

/* Whether as many fit as are needed, at last; else that was said. */
static bool has_enough(struct supervisor *s, int64_t incarnation, const char *cause,
                       uint32_t members)
{
    uint32_t needed = s->settings->allotment->min_workers;
    if (members < needed && s->settings->wait_s > 0 && !s->signal)
        members = waiting_for_hosts(s, incarnation, members);
    if (supervise_must_end(s))
        end_by_signal(s);
    else if (members < needed && (s->signal || s->stops_waiting))
        end_waiting(s);
    else if (members < needed)
        end_too_few(s, cause, members);
    else
        return true;
    return false;
}

static uint32_t usable_hosts(const struct places *places)
{
    uint32_t usable = 0;
    for (uint32_t i = 0; i < places->count; i++)
        usable += places->list[i].usable ? 1 : 0;
    return usable;
}

static int try_write(struct supervisor *s, struct error *error)
{
    return rundir_try_write(s->settings->rundir, error);
}

/* What was started early waits for the claim, but not for long. */
static int try_claim(struct supervisor *s, struct error *error)
{
    if (!s->is_started)
        supervise_name_start(s);
    int code = rundir_claim(s->settings->rundir, &s->incarnation, error);
    if (code != ONWARD_OK && s->is_started)
        early_settle(s, false);
    return code;
}

static int claim_next(struct supervisor *s, const char *cause, json_t *lost, struct error *error)
{
    const struct run_status *status = &s->watch.status;
    int64_t step = newest_step(s);
    if (step > s->best_step)
        s->best_step = step;
    if (status->checkpoint_step > s->best_checkpoint)
        s->best_checkpoint = status->checkpoint_step;
    int code = room_wait(s, try_claim, error);
    if (code != ONWARD_OK)
        return code;
    s->result->restarts++;
    if (!s->is_planned)
        budget_take(&s->budget);
    json_t *extra = json_pack("{s:s, s:i, s:O}", "cause", cause, "restarts", s->result->restarts,
                              "hosts_lost", lost);
    rundir_event(s->settings->rundir, "relaunch", status->epoch, s->best_step, extra, NULL);
    json_t *event =
        json_pack("{s:s, s:I, s:I, s:s, s:I}", "event", "relaunch", "incarnation",
                  (json_int_t)s->incarnation, "step", (json_int_t)s->best_step, "cause", cause,
                  "hosts", (json_int_t)usable_hosts(&s->settings->allotment->places));
    char text[PROGRESS_LINE_BYTES];
    if (progress_event(&s->events, event, text, sizeof text))
        display_line(s->settings->display, text);
    json_decref(event);
    json_decref(extra);
    return ONWARD_OK;
}

static void end_without_room(struct supervisor *s, const char *cause, const struct error *error)
{
    char text[CAUSE_BYTES + ERROR_TEXT_BYTES];
    snprintf(text, sizeof text, "%s; it is not started again, %s", cause, error->text);
    if (s->signal) {
        end_by_signal(s);
        return;
    }
    end_result(s, EXIT_RESUMABLE, "stopped", text);
    record_end(s);
}

/* The hosts that went missing are part of the cause. */
static json_t *add_lost_hosts(const struct supervisor *s, const struct hosts *hosts, char *cause,
                              size_t cause_bytes)
{
    char reasons[CAUSE_BYTES / 2];
    json_t *lost = allot_lost(s->settings->allotment, hosts, reasons, sizeof reasons);
    size_t used = strlen(cause);
    if (reasons[0])
        snprintf(cause + used, cause_bytes - used, "; %s", reasons);
    return lost;
}

/* A host that lived when mpirun went down is worth waiting for: to leave it out because it answers
 * late, as a busy one does, would cost its workers. Not one that mpirun went down for. */
static void expect_answers(struct supervisor *s)
{
    struct places *places = &s->settings->allotment->places;
    for (uint32_t i = 0; i < places->count; i++) {
        struct place *place = &places->list[i];
        bool was_lost =
            places_is(place, s->output.lost_host) || places_is(place, s->error_output.lost_host);
        bool was_good = place->usable || place->returned;
        bool was_heard = detector_heard(&s->detector, place->host.name, s->down_s) ||
                         detector_heard(&s->detector, place->own_name, s->down_s);
        place->is_expected = !was_lost && ((s->lost_nothing && was_good) || was_heard);
    }
}

/* The next incarnation, and what starts it, unless that is on its way. */
static int take_next(struct supervisor *s, const char *cause, json_t *lost, bool *again,
                     struct error *error)
{
    int code = claim_next(s, cause, lost, error);
    if (code == ONWARD_OK && !s->is_started)
        code = allot_command(s->settings->allotment, s->incarnation, error);
    if (code != ONWARD_OK && s->is_started)
        early_settle(s, false);
    *again = code == ONWARD_OK;
    if (*again) {
        places_retire_unlisted(&s->settings->allotment->places);
        host_changes_ask_again(s);
    }
    if (code == ONWARD_OK || !rundir_may_recover(error))
        return code;
    end_without_room(s, cause, error);
    return ONWARD_OK;
}

/* Another launcher may have taken over while this one was cut off, or waited. */
static int check_owner(const struct supervisor *s, struct error *error)
{
    int code = rundir_check_fence(s->settings->rundir, error);
    return code == ONWARD_ERR_FENCED ? code : ONWARD_OK;
}

/* A new start is allowed: finds hosts for it and takes the next incarnation. False in *again when
 * there are none or no time is left. A task that was to stop when mpirun went down is started again
 * to write the checkpoint that it was asked for: its newest steps are in the hosts' memory alone.
 */
static int prepare_restart(struct supervisor *s, char *cause, bool *again, struct error *error)
{
    struct allotment *allotment = s->settings->allotment;
    double pause_s = s->is_planned ? 0 : budget_pause_s(&s->budget);
    if (check_owner(s, error) != ONWARD_OK)
        return error->code;
    move_withdraw(s);
    if (allotment->places.count == 0) /* else onward-host does it, on each host */
        segments_remove();
    struct hosts before = allotment->hosts;
    allotment->hosts = (struct hosts){.list = NULL};
    rehearsal_hand_on(s->settings->rundir, s->settings->incarnation, s->incarnation,
                      s->room.problem == 0);
    supervise_pause(s, pause_s);
    if (room_wait(s, try_write, error) != ONWARD_OK && rundir_may_recover(error)) {
        hosts_clear(&before);
        end_without_room(s, cause, error);
        return ONWARD_OK;
    }
    joins_look(s, true);
    expect_answers(s);
    if (check_owner(s, error) != ONWARD_OK) { /* the waits were long enough */
        hosts_clear(&before);
        return error->code;
    }
    bool is_early = early_begin(s);
    uint32_t members = allot_probe(allotment, s->incarnation + 1, false);
    json_t *lost = add_lost_hosts(s, &before, cause, CAUSE_BYTES);
    hosts_clear(&before);
    if (is_early)
        early_settle(s, members >= allotment->min_workers);
    bool goes_on = has_enough(s, s->incarnation + 1, cause, members);
    int code = check_owner(s, error);
    if (code == ONWARD_OK && goes_on)
        code = take_next(s, cause, lost, again, error);
    json_decref(lost);
    move_begin(s);
    return code;
}

/* What the controller said of the end; where losses came one after the other at one step, that they
 * did. */
static void end_as_said(struct supervisor *s)
{
    const struct run_status *status = &s->watch.status;
    char losses[256] = "", text[640];
    if (status->exit_code != EXIT_RESUMABLE && s->losses.count >= BUDGET_STUCK_LIMIT)
        describe_losses(s, status->step, losses, sizeof losses);
    snprintf(text, sizeof text, "%s%s%s", status->text, *losses ? ": " : "", losses);
    end_result(s, (int)status->exit_code,
               status->exit_code == EXIT_RESUMABLE ? "stopped" : "failed", text);
}

/* What is no reason for a new start. */
static bool has_ended(struct supervisor *s, enum outcome outcome)
{
    if (outcome == OUTCOME_COMPLETE)
        end_result(s, 0, "complete", "");
    else if (restart_is_poisoned(s))
        fail(s, s->losses.poison, "it is not started again");
    else if (outcome == OUTCOME_ENDED && (s->signal || !are_too_few(s, outcome)))
        end_as_said(s);
    else if (outcome == OUTCOME_SIGNAL || supervise_must_end(s))
        end_by_signal(s);
    else
        return false;
    return true;
}

int restart_decide(struct supervisor *s, enum outcome outcome, bool *again, struct error *error)
{
    char cause[CAUSE_BYTES], why[512];
    *again = false;
    s->is_planned = outcome == OUTCOME_MOVE || (outcome == OUTCOME_ENDED && move_is_made(s));
    s->lost_nothing = s->is_planned || outcome == OUTCOME_UNSTARTED;
    if (!s->is_planned && has_ended(s, outcome))
        return ONWARD_OK;
    const struct run_status *status = &s->watch.status;
    int64_t step = newest_step(s);
    step = step > status->checkpoint_step ? step : status->checkpoint_step;
    if (s->plain.settings)
        step = plain_account(s);
    describe_cause(s, outcome, cause, sizeof cause);
    if (s->is_planned)
        return prepare_restart(s, cause, again, error);
    if (outcome != OUTCOME_UNSTARTED) /* which says nothing about the steps */
        budget_account(&s->budget, s->watch.seen ? step : -1, status->checkpoint_step,
                       s->seen_s > 0 ? s->down_s - s->seen_s : 0);
    refuse_restart(s, outcome, why, sizeof why);
    if (!*why)
        return prepare_restart(s, cause, again, error);
    if (outcome == OUTCOME_ENDED)
        end_as_said(s);
    else if (s->signal)
        end_by_signal(s);
    else
        fail(s, cause, why);
    return ONWARD_OK;
}

/* Nobody waits for a recovery yet: a host that is busy gets more time than later on. */
static uint32_t probe_first(struct allotment *allotment, int64_t incarnation)
{
    double limit_s = allotment->places.limit_s;
    allotment->places.limit_s = first_answer_factor * limit_s;
    uint32_t members = allot_probe(allotment, incarnation, true);
    allotment->places.limit_s = limit_s;
    return members;
}

/* Whether it is for want of answers, or of hosts that the file may name, that too few fit. A new
 * task waits where the user says so, and for no host of which nobody knows the name. */
static bool may_wait(const struct supervisor *s)
{
    const struct allotment *allotment = s->settings->allotment;
    uint32_t slots = 0;
    if (s->incarnation <= 1 && (s->settings->wait_s <= 0 || places_has_unknown(&allotment->places)))
        return false;
    for (uint32_t i = 0; i < allotment->places.count; i++)
        slots += allotment->places.list[i].host.slots;
    return s->settings->hostfile || slots >= allotment->min_workers;
}

/* All in one line. */
static int refuse_start(const struct supervisor *s, uint32_t members, const char *reasons,
                        struct error *error)
{
    const struct allotment *allotment = s->settings->allotment;
    return error_set(error, ONWARD_ERR_INPUT,
                     "%.120s: %s%s%u of %u hosts can be used, with room for %u worker%s: expected "
                     "room for at least %u (--min)",
                     s->settings->hosts_where, reasons, *reasons ? "; " : "",
                     usable_hosts(&allotment->places), allotment->places.count, members,
                     members == 1 ? "" : "s", allotment->min_workers);
}

int restart_begin(struct supervisor *s, bool *starts, struct error *error)
{
    struct allotment *allotment = s->settings->allotment;
    const struct places *places = &allotment->places;
    uint32_t members = probe_first(allotment, s->incarnation);
    for (uint32_t i = 0; i < places->count; i++)
        if (places->list[i].is_blind && slurm_is_inside()) /* it would be so for the whole job */
            return error_set(error, ONWARD_ERR_INPUT, "%s", places->list[i].reason);
    char reasons[REASONS_BYTES];
    places_reasons(places, reasons, sizeof reasons);
    bool is_enough = members >= allotment->min_workers;
    if (!is_enough && !may_wait(s))
        return refuse_start(s, members, reasons, error);
    if (s->settings->begins)
        say("%s", s->settings->begins);
    bool goes_on = is_enough || s->settings->wait_s > 0; /* else they are named as it ends */
    for (uint32_t i = 0; goes_on && i < places->count; i++)
        if (!places->list[i].usable)
            say("%s", places->list[i].reason);
    *starts = has_enough(s, s->incarnation, goes_on ? "" : reasons, members);
    if (*starts && (s->signal || s->stops_waiting)) { /* nobody is there to be asked */
        end_waiting(s);
        *starts = false;
    }
    if (!*starts)
        return check_owner(s, error);
    uint32_t usable = usable_hosts(places); /* some may have come */
    if (usable < places->count)
        say("going on with %u of %u hosts", usable, places->count);
    return allot_command(allotment, s->incarnation, error);
}
