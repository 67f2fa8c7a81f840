/* controller_change.c - the course of an epoch change: what begins it, what is gathered, what
 * opens.
 *
 * A join, a drain and a crash take the same way: change_begin, then the reports, then the decision
 * (controller_decide.c), then OPENED. What comes up between decision and OPENED makes another
 * change follow, unless the pass fails and is decided anew anyway. */
#include "controller_state.h"

static void forget_epoch_work(struct controller *state)
{
    for (uint32_t i = 0; i < state->roster.count; i++) {
        struct roster_member *member = state->roster.members[i];
        member->shown.reported = false;
        member->at_end = member->shard_written = member->final_done = 0;
    }
    state->plain.at_end_count = 0;
    state->plain.final_done_count = 0;
    state->plain.finish_given = 0;
}

static void mark_unplanned(struct controller_plain *plain)
{
    if (plain->planned)
        interval_observe_failure(&plain->checkpoint.interval);
    plain->planned = 0;
}

void change_begin(struct controller *state, bool planned, struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    if (!plain->in_change) {
        plain->in_change = plain->planned = 1;
        plain->opening = plain->stall_counted = plain->spawn_tried = 0;
        plain->reform_wanted = REFORM_NO;
        plain->passes = 0;
        plain->change_step = plain->progress_step;
        checkpoint_leave(state, actions);
        forget_epoch_work(state);
        controller_act(actions, ACTION_REFORM);
    }
    if (!planned)
        mark_unplanned(plain);
}

void change_want(struct controller *state, bool planned, struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    uint8_t wanted = planned ? REFORM_PLANNED : REFORM_UNPLANNED;
    change_begin(state, planned, actions);
    if (plain->opening && plain->reform_wanted < wanted)
        plain->reform_wanted = wanted;
}

/* The clock of the controller before is gone, and so is what it had under way. */
static void take_over(struct controller *state, struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    plain->checkpoint.flight = (struct checkpoint_flight){0};
    plain->checkpoint.committed.count = 0; /* what is in the run directory now is what counts */
    plain->checkpoint.last_us = plain->checkpoint.front_us = plain->now_us;
    plain->checkpoint.not_before_us = plain->now_us;
    plain->budget.not_before_us = plain->now_us;
    plain->spawn_pending = plain->spawn_came = plain->opening = 0;
    plain->reform_wanted = REFORM_NO;
    if (!plain->in_change) {
        change_begin(state, false, actions);
        return;
    }
    mark_unplanned(plain); /* the change goes on, and what it has used up of its bounds counts */
    forget_epoch_work(state);
    controller_act(actions, ACTION_REFORM);
}

int change_start(struct controller *state, const struct controller_event *event,
                 struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    if (!plain->started) {
        plain->started = plain->in_change = plain->planned = 1;
        plain->epoch_given = plain->epoch_opened = event->epoch;
        plain->known_step = event->step;
        plain->end_us = event->end_us;
        interval_remember(&plain->checkpoint.interval, event->cost_us, event->observed_us,
                          event->count);
        return 0;
    }
    struct roster_member *successor = roster_find(&state->roster, event->member);
    if (successor == NULL)
        return -1;
    for (uint32_t i = 0; i < state->roster.count; i++)
        state->roster.members[i]->shown.is_controller = false;
    successor->shown.is_controller = true;
    state->waits_for_start = false;
    plain->now_us = event->now_us;
    plain->end_us = event->end_us;
    take_over(state, actions);
    return 0;
}

/* A spare may still be at a step from which the others went back. */
void change_note_step(struct controller *state, const struct roster_member *member, int64_t step)
{
    struct controller_plain *plain = &state->plain;
    bool is_first_pass = !plain->in_change || plain->passes == 0; /* another has other ranks */
    bool counts = !plain->has_worked || (is_first_pass && member->shown.rank != CONTROLLER_NO_RANK);
    if (counts && step > plain->known_step)
        plain->known_step = step;
}

int change_registered(struct controller *state, const struct controller_event *event,
                      struct controller_actions *actions)
{
    struct roster_member *member = roster_add(&state->roster, event->member);
    if (member == NULL)
        return -1;
    member->shown.host = event->host;
    member->shown.is_controller = event->is_controller;
    member->is_worker = !event->is_controller;
    change_want(state, true, actions);
    member->shown.reported = true;
    member->shown.complete_step = event->step;
    member->shown.clean = event->clean && event->step >= 0;
    if (event->step > state->plain.best_step)
        state->plain.best_step = event->step;
    change_note_step(state, member, event->step);
    return 0;
}

int change_lost(struct controller *state, const struct controller_event *event,
                struct controller_actions *actions)
{
    if (roster_find(&state->roster, event->member) == NULL)
        return -1;
    change_want(state, false, actions);
    roster_remove(&state->roster, event->member);
    return 0;
}

/* Those who came were not all that were ordered: the others are next, in this change too. */
static void order_others_again(struct controller_plain *plain)
{
    plain->spawn_tried = 0;
    plain->spawn_free = plain->spawn_was_free;
}

int change_spawn_result(struct controller *state, const struct controller_event *event,
                        struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    if (!plain->spawn_pending)
        return -1;
    bool in_part = event->tried > 0 && event->tried < plain->spawn_asked;
    uint32_t tried = in_part ? event->tried : plain->spawn_asked;
    plain->spawn_pending = 0;
    plain->spawn_came = event->count > 0;
    plain->spawn_goal = roster_usable_count(&state->roster) + event->count;
    if (event->count < tried && plain->policy.can_spawn)
        controller_note(actions, NOTE_SPAWN_FAILED, 0, plain->best_step, tried - event->count);
    if (event->count == 0)
        policy_spawn_failed(&plain->policy, &plain->budget, plain->now_us);
    else
        change_want(state, true, actions);
    if (in_part && event->count == tried)
        order_others_again(plain);
    return 0;
}

/* Those who came and died before they had a role were no success: a back-off keeps that from going
 * round and round. */
static void judge_spawn(struct controller *state)
{
    struct controller_plain *plain = &state->plain;
    if (!plain->spawn_came)
        return;
    plain->spawn_came = 0;
    uint32_t usable = roster_usable_count(&state->roster);
    if (usable >= plain->desired || usable >= plain->spawn_goal)
        policy_spawn_succeeded(&plain->budget);
    else
        policy_spawn_failed(&plain->policy, &plain->budget, plain->now_us);
}

/* Every worker has the state of resume_step now. */
static void enter_epoch(struct controller *state)
{
    struct controller_plain *plain = &state->plain;
    bool at_end = plain->resume_step >= plain->policy.step_count;
    for (uint32_t i = 0; i < state->roster.count; i++) {
        struct roster_member *member = state->roster.members[i];
        member->waited |= member->passed_over;
        if (member->shown.rank == CONTROLLER_NO_RANK)
            continue;
        member->waited = 0;
        member->shown.complete_step = plain->resume_step;
        member->shown.clean = true;
        member->at_end = at_end;
        plain->at_end_count += at_end;
    }
}

int change_opened(struct controller *state, const struct controller_event *event,
                  struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    uint8_t again = plain->reform_wanted;
    if (!plain->opening || event->epoch != plain->epoch_given)
        return -1;
    plain->in_change = plain->opening = plain->scaled = 0;
    plain->size_limit = 0;
    plain->reform_wanted = REFORM_NO;
    plain->epoch_opened = plain->epoch_given;
    plain->known_step = plain->resume_step;
    plain->has_worked = 1;
    if (state->lineup_size >= plain->desired)
        plain->spawn_free = 0; /* grown by those who were there */
    judge_spawn(state);
    enter_epoch(state);
    checkpoint_epoch_opened(state);
    if (again != REFORM_NO)
        change_begin(state, again == REFORM_PLANNED, actions);
    return 0;
}

/* The next pass of this change has fewer workers; a change that follows tries all of them again. */
int change_size_refused(struct controller *state, const struct controller_event *event,
                        struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    (void)actions;
    if (!plain->opening || event->count != state->lineup_size ||
        event->count <= plain->policy.min_workers)
        return -1;
    plain->size_limit = event->count - 1;
    return 0;
}

void change_advance_spawn(struct controller *state, struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    if (plain->in_change || plain->finish_given || plain->stop_requested || plain->spawn_pending ||
        state->lineup_size >= plain->desired || end_all_at_end(state) || !change_may_spawn(plain) ||
        plain->now_us < plain->budget.not_before_us)
        return;
    uint32_t usable = roster_usable_count(&state->roster);
    if (usable < plain->desired)
        change_order_spawn(plain, plain->desired - usable, actions);
}
