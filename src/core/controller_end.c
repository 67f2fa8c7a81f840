/* controller_end.c - how a task ends well: finish, or stop because it was asked to.
 *
 * Finish: every worker of the epoch completed step_count; the last checkpoint (a few attempts,
 * since a full disk must not throw the result away); the final work of every worker; complete. A
 * change in between starts this over with the new lineup. Stop: a checkpoint that is not older than
 * the request, or a few attempts at one, then the end. The time of the job that is nearly over is a
 * request to stop, early enough for the checkpoint. */
#include "controller_state.h"

static const int64_t end_reserve_us = 10000000; /* for what comes behind the checkpoint */

bool end_all_at_end(const struct controller *state)
{
    return !state->plain.in_change && state->plain.at_end_count == state->lineup_size;
}

int end_final_work(struct controller *state, const struct controller_event *event,
                   struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    struct roster_member *member = roster_find(&state->roster, event->member);
    (void)actions;
    if (member == NULL || member->shown.rank == CONTROLLER_NO_RANK || member->final_done ||
        plain->in_change || !plain->finish_given)
        return -1;
    member->final_done = 1;
    plain->final_done_count++;
    return 0;
}

/* Orders the checkpoint at step_count; true when it is there, not wanted, or cannot be had. */
static bool final_checkpoint_is_settled(struct controller *state,
                                        struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    struct checkpoint_planner *planner = &plain->checkpoint;
    int64_t step_count = plain->policy.step_count;
    if (planner->flight.active)
        return false; /* its end, or its deadline, comes first */
    if (!plain->policy.finish_checkpoint || restore_newest(&planner->committed) >= step_count)
        return true;
    if (planner->final_failures < FAILURE_LIMIT) {
        checkpoint_order(state, plain->checkpoint.front_step, false, actions);
        return false;
    }
    if (!plain->final_noted)
        controller_note(actions, NOTE_NO_FINAL_CHECKPOINT, 0, step_count, planner->final_failures);
    plain->final_noted = 1;
    return true;
}

static void finish_advance(struct controller *state, struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    if (!plain->finish_given && final_checkpoint_is_settled(state, actions)) {
        plain->finish_given = 1;
        controller_act(actions, ACTION_FINISH)->step = plain->policy.step_count;
    }
    if (plain->finish_given && plain->final_done_count == state->lineup_size) {
        plain->ended = 1;
        controller_act(actions, ACTION_COMPLETE)->step = plain->policy.step_count;
    }
}

void end_ask_stop(struct controller_plain *plain)
{
    if (plain->stop_requested)
        return;
    plain->stop_requested = 1;
    plain->stop_step = plain->best_step;
    plain->checkpoint.failures = plain->checkpoint.misses = 0;
}

int64_t end_stop_us(const struct controller_plain *plain)
{
    int64_t stop_us = plain->end_us - end_reserve_us - checkpoint_lead_us(&plain->checkpoint);
    return plain->end_us == 0 ? 0 : stop_us < 1 ? 1 : stop_us;
}

static void look_at_end_time(struct controller *state, struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    if (plain->end_us == 0 || plain->stop_requested || plain->now_us < end_stop_us(plain))
        return;
    int64_t left_us = plain->end_us > plain->now_us ? plain->end_us - plain->now_us : 0;
    end_ask_stop(plain);
    plain->end_is_near = 1;
    controller_note(actions, NOTE_END_TIME, 0, plain->best_step,
                    (uint32_t)(left_us / 1000000 < UINT32_MAX ? left_us / 1000000 : UINT32_MAX));
}

static bool may_stop(const struct controller_plain *plain)
{
    const struct checkpoint_planner *planner = &plain->checkpoint;
    return restore_newest(&planner->committed) >= plain->stop_step ||
           planner->failures >= FAILURE_LIMIT || planner->misses >= MISS_LIMIT;
}

void end_advance(struct controller *state, struct controller_actions *actions)
{
    const struct controller_plain *plain = &state->plain;
    if (plain->in_change)
        return;
    if (end_all_at_end(state)) {
        finish_advance(state, actions);
        return;
    }
    look_at_end_time(state, actions);
    if (plain->stop_requested && may_stop(plain))
        controller_give_up(state, plain->end_is_near ? GIVE_UP_END_TIME : GIVE_UP_STOPPED, actions);
}
