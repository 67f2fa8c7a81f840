/* control_saved.c - what the controller makes of the checkpoints that it finds in the run
 * directory: the newest that can be used, what becomes of those that cannot, and when there is
 * none, nor a local copy that can be read. */
#include <stdio.h>
#include <string.h>

#include "change_pass.h"

/* A smaller state is there before anybody would ask for it. */
#define TELL_STATE_BYTES ((uint64_t)32 << 20)

/* One look at the run directory. */
struct look {
    struct onward *ow;
    bool has_waited; /* once is enough: who is waited for has all of them, and the members wait */
};

static void warn_of(void *context, const char *text)
{
    struct look *look = context;
    control_warn(look->ow, "%s", text);
}

static void wait_once(void *context)
{
    struct look *look = context;
    if (!look->has_waited)
        sleep_ns(READ_AGAIN_NS);
    look->has_waited = true;
}

void control_find_checkpoint(struct onward *ow)
{
    struct error error = {0};
    struct checkpoint_id newest = {.step = -1};
    struct control *control = ow->control;
    struct look look = {.ow = ow};
    struct checkpoint_wanted wanted = {ow->options.task, control->tried_step, warn_of, &look,
                                       wait_once};
    int code = checkpoint_find(ow->run, &wanted, &newest, &control->unusable_checkpoints, &error);
    if (code == ONWARD_ERR_IO) { /* the directory could not be read */
        wait_once(&look);
        code = checkpoint_find(ow->run, &wanted, &newest, &control->unusable_checkpoints, &error);
    }
    if (code == ONWARD_OK && newest.step >= 0)
        control_feed(
            ow, (struct controller_event){.type = EVENT_CHECKPOINT_COMMITTED, .step = newest.step});
    else if (code != ONWARD_OK && code != ONWARD_ERR_NOT_FOUND) {
        control_warn(ow, "%s", error.text);
        control->unusable_checkpoints = 1; /* or more: nobody is to start over for that */
    }
    control->status.checkpoint_step = newest.step;
    control->checkpoint_incarnation = newest.incarnation;
}

/* One that was committed since the decision may be why this one is gone: it is taken next. Else the
 * one before is to be found. */
void control_checkpoint_bad(struct onward *ow, int64_t step)
{
    struct control *control = ow->control;
    control_settle_commit(ow);
    control_feed(ow, (struct controller_event){.type = EVENT_CHECKPOINT_BAD, .step = step});
    control->bad_step = step;
    if (control->restored_step == step)
        control->restored_step = -1;
    if (controller_checkpoint_step(control->core) > step)
        return;
    control->tried_step = step;
    control->knows_checkpoints = false;
}

static const struct change_report *find_failure(const struct change_report *reports, int count,
                                                int code)
{
    for (int i = 0; i < count; i++)
        if (reports[i].restore_code != ONWARD_OK &&
            (reports[i].restore_code == code || code == ONWARD_OK))
            return &reports[i];
    return NULL;
}

/* Damage is there for good; that a worker could not get at the file, or had no memory for it, says
 * nothing of the checkpoint. */
static void pass_over(struct onward *ow, const struct change_report *reports, int count)
{
    struct control *control = ow->control;
    const struct change_report *damaged = find_failure(reports, count, ONWARD_ERR_CORRUPT);
    const struct change_report *any = damaged ? damaged : find_failure(reports, count, ONWARD_OK);
    const char *why = any ? any->warning : "a worker was lost as it read it";
    control_warn(ow, "the checkpoint of step %lld is passed over: %.255s",
                 (long long)control->bad_step, why);
    if (damaged && !control_is_fenced(ow))
        checkpoint_mark_failed(ow->run, control->bad_step, why, NULL);
    else if (any && !control_is_fenced(ow))
        checkpoint_clear_mark(ow->run, control->bad_step, NULL); /* its reader lives */
    control->bad_step = -1;
}

/* What could not be read may be a copy of this run: in its first incarnation none is, before there
 * is an epoch. */
static bool may_be_held(const struct onward *ow)
{
    return ow->incarnation > 1 || controller_epoch(ow->control->core) > 0;
}

/* Those who read it died in the changes before, and one time too many. */
static void judge_restore(struct onward *ow)
{
    char why[ERROR_TEXT_BYTES];
    struct control *control = ow->control;
    if (control->restored_step < 0 || control->bad_step >= 0 ||
        !checkpoint_is_marked(ow->run, control->restored_step, why, sizeof why))
        return;
    control_checkpoint_bad(ow, control->restored_step);
}

void control_take_warnings(struct onward *ow, const struct change_report *reports, int count)
{
    judge_restore(ow);
    bool tells = ow->control->bad_step < 0;
    char *unread = ow->control->unread;
    size_t unread_bytes = sizeof ow->control->unread;
    unread[0] = '\0';
    for (int i = 0; i < count; i++) {
        if (tells || reports[i].restore_code == ONWARD_OK)
            control_take_warning(ow, reports[i].warning);
        if (unread[0] != '\0' || !reports[i].unread[0] || !may_be_held(ow))
            continue;
        ow->control->unread_code = reports[i].unread_code;
        snprintf(unread, unread_bytes, "%s: %s", reports[i].host, reports[i].unread);
    }
    const struct change_report *short_of = find_failure(reports, count, ONWARD_ERR_MEMORY);
    if (short_of && !ow->control->give_up)
        control_end(ow, ONWARD_ERR_MEMORY, short_of->warning);
    else if (!tells)
        pass_over(ow, reports, count);
}

/* Workers report at times, not each step: only of those who live is the newest step known. */
static bool is_witnessed(const struct controller *core, int64_t step)
{
    for (uint32_t i = 0; i < controller_member_count(core); i++) {
        const struct core_member *member = controller_member(core, i);
        if (member->reported && member->complete_step >= step)
            return true;
    }
    return false;
}

bool control_newest_is_saved(const struct onward *ow)
{
    const struct controller *core = ow->control->core;
    int64_t step = controller_checkpoint_step(core), best = controller_best_step(core);
    return step >= 0 && step >= best && is_witnessed(core, best);
}

bool control_must_not_start_over(const struct onward *ow)
{
    return ow->control->unusable_checkpoints > 0 || ow->control->unread[0];
}

/* The next start may be able to read it; whether it can is for somebody to see, so that the task
 * failed: what is stopped is put back into the queue, and would come back and back. What could not
 * be read, and why, is said in full. */
static void fail_for_unread(struct onward *ow)
{
    static const char in_short[] = "; resume without that host, or with another --local-dir";
    static const char in_full[] = "; nothing was removed: resume once it can be read, or without "
                                  "that host, or with another --local-dir to begin anew";
    static const char for_input[] = "; nothing was removed: resume with the program of before, or "
                                    "with another --local-dir to begin anew";
    static const char for_damage[] = "; nothing was removed: delete the wrong one and resume";
    char text[REPORT_TEXT_BYTES];
    bool is_input = ow->control->unread_code != ONWARD_ERR_IO;
    bool is_damage = ow->control->unread_code == ONWARD_ERR_CORRUPT;
    const char *advice = is_damage ? for_damage : is_input ? for_input : in_full;
    size_t length = strlen(ow->control->unread);
    bool fits = length + strlen(advice) < sizeof text;
    const char *short_advice = is_input ? "" : in_short;
    snprintf(text, sizeof text, "%.*s%s", (int)length, ow->control->unread,
             fits ? advice : short_advice);
    control_end(ow, ow->control->unread_code, text);
}

/* To begin at the initial values, and in time overwrite what may still be mended, is for the user
 * to decide. */
void control_refuse_to_start_over(struct onward *ow)
{
    struct control *control = ow->control;
    if (control->give_up || control->opened.type != ACTION_OPEN_EPOCH ||
        control->opened.source != SOURCE_FRESH || !control_must_not_start_over(ow))
        return;
    if (control->unusable_checkpoints == 0) {
        fail_for_unread(ow);
        return;
    }
    char text[REPORT_TEXT_BYTES];
    snprintf(text, sizeof text,
             "none of the %u checkpoints of task %.63s can be read whole (`onward ckpt verify' "
             "says why) and nothing was removed; `onward ckpt rm --force' would, to begin anew",
             control->unusable_checkpoints, ow->options.task);
    control_end(ow, ONWARD_ERR_INPUT, text);
}

uint64_t control_state_bytes(const struct change_report *reports, int count,
                             const struct opening *opening)
{
    uint64_t replicated = 0, sharded = 0;
    if (opening->source == SOURCE_MEMBER && !opening->move_state)
        return 0;
    for (int i = 0; i < count; i++) {
        replicated =
            reports[i].replicated_bytes > replicated ? reports[i].replicated_bytes : replicated;
        sharded = reports[i].sharded_bytes > sharded ? reports[i].sharded_bytes : sharded;
    }
    if (opening->source == SOURCE_HELD && opening->copy.shard_count == 0)
        replicated *= 4; /* it is read and compared with another, which is read, on two hosts */
    return replicated + sharded / (opening->size > 0 ? opening->size : 1);
}

static bool is_fenced(const struct onward *ow)
{
    return rundir_check_fence(ow->control->rundir, NULL) == ONWARD_ERR_FENCED;
}

/* Who reads it may die of it. */
void control_count_restore(struct onward *ow, const struct opening *opening)
{
    if (!ow->control || opening->source != SOURCE_CHECKPOINT || is_fenced(ow))
        return;
    ow->control->restored_step = opening->step;
    /* Where that cannot be written the launcher's limit of starts has to do. */
    checkpoint_mark_tried(ow->run, opening->step, NULL);
}

/* All agree on an epoch without those who died meanwhile; but each worker of it reports at once. */
void control_end_restore(struct onward *ow, uint32_t member)
{
    struct control *control = ow->control;
    bool is_over = true;
    for (uint32_t i = 0; i < ow->seat_count && control->restored_step >= 0; i++) {
        struct seat *seat = &ow->seats[i];
        seat->reported |= seat->member == member;
        is_over &= seat->rank < 0 || seat->reported;
    }
    if (control->restored_step < 0 || !is_over)
        return;
    if (!is_fenced(ow))
        checkpoint_clear_mark(ow->run, control->restored_step, NULL);
    control->restored_step = -1;
}

/* The launcher is told for how long it may hear nothing. */
void control_tell_restore(struct onward *ow, const struct opening *opening)
{
    if (opening->state_bytes < TELL_STATE_BYTES)
        return;
    control_event(ow, "restore",
                  json_pack("{s:s, s:I, s:I, s:f}", "source", control_source_name(opening->source),
                            "resume_step", (json_int_t)opening->step, "bytes",
                            (json_int_t)opening->state_bytes, "limit_s",
                            change_limit_s(ow, opening->state_bytes)));
}
