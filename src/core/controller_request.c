/* controller_request.c - what the operator asks for: checkpoint, stop, scale, drain, undrain.
 *
 * A request is judged first, and changes something only where it fits: a scale below the minimum,
 * say, is refused. What would change the lineup comes too late once the task does its final work
 * or was asked to stop: it would only hold up the end. */
#include "controller_state.h"

static int request_checkpoint(struct controller_plain *plain)
{
    plain->checkpoint.requested = 1;
    plain->checkpoint.requested_step = plain->checkpoint.front_step;
    return 0;
}

static int request_stop(struct controller_plain *plain)
{
    end_ask_stop(plain);
    return 0;
}

static int request_scale(struct controller *state, uint32_t count,
                         struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    plain->max_workers = count;
    plain->desired = policy_ceiling(&plain->policy, count);
    plain->scaled = 1;
    plain->spawn_free = plain->policy.can_spawn && plain->desired > state->lineup_size;
    if (plain->desired < state->lineup_size ||
        (plain->desired > state->lineup_size && controller_spare_count(state) > 0))
        change_want(state, true, actions);
    return 0;
}

static bool is_meant(const struct roster_member *member, const struct controller_event *event)
{
    if (!member->is_worker)
        return false;
    return event->member != 0 ? member->shown.id == event->member
                              : member->shown.host == event->host;
}

static uint32_t meant_count(const struct controller *state, const struct controller_event *event,
                            uint8_t member_state)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < state->roster.count; i++)
        count += is_meant(state->roster.members[i], event) &&
                 state->roster.members[i]->shown.state == member_state;
    return count;
}

/* Spares take over; nobody is spawned in place of who was asked to leave. */
static void expect_fewer(struct controller *state)
{
    struct controller_plain *plain = &state->plain;
    uint32_t usable = roster_usable_count(&state->roster);
    if (usable < plain->policy.min_workers)
        usable = plain->policy.min_workers;
    if (plain->desired > usable)
        plain->desired = usable;
}

static int request_drain(struct controller *state, const struct controller_event *event,
                         struct controller_actions *actions)
{
    for (uint32_t i = 0; i < state->roster.count; i++)
        if (is_meant(state->roster.members[i], event))
            state->roster.members[i]->shown.state = MEMBER_DRAINING;
    expect_fewer(state);
    change_want(state, true, actions);
    return 0;
}

static int request_undrain(struct controller *state, const struct controller_event *event,
                           struct controller_actions *actions)
{
    for (uint32_t i = 0; i < state->roster.count; i++) {
        struct roster_member *member = state->roster.members[i];
        if (!is_meant(member, event))
            continue;
        member->shown.state = MEMBER_READY;
        member->waited = 0; /* they come back as if they joined */
    }
    change_want(state, true, actions);
    return 0;
}

static enum request_verdict judge_scale(const struct controller_policy *policy, uint32_t count)
{
    if (count < policy->min_workers)
        return REQUEST_BELOW_MINIMUM;
    return count > CONTROLLER_MAX_MEMBERS ? REQUEST_BEYOND_LIMIT : REQUEST_FITS;
}

/* Of those who are there without those who leave, and those who can come in their place. */
static uint64_t workers_after(const struct controller *state, const struct controller_event *drain,
                              uint32_t leaving)
{
    uint64_t left = roster_usable_count(&state->roster) - leaving;
    return left + (change_may_spawn(&state->plain) ? drain->count : 0);
}

static enum request_verdict judge_members(const struct controller *state,
                                          const struct controller_event *event)
{
    bool drains = event->request == REQUEST_DRAIN;
    uint32_t ready = meant_count(state, event, MEMBER_READY);
    uint32_t draining = meant_count(state, event, MEMBER_DRAINING);
    if (ready + draining == 0)
        return REQUEST_NOBODY;
    if ((drains ? ready : draining) == 0)
        return REQUEST_ALREADY;
    return drains && workers_after(state, event, ready) < state->plain.policy.min_workers
               ? REQUEST_BELOW_MINIMUM
               : REQUEST_FITS;
}

enum request_verdict controller_judge_request(const struct controller *state,
                                              const struct controller_event *event)
{
    const struct controller_plain *plain = &state->plain;
    if (event->request == REQUEST_CHECKPOINT || event->request == REQUEST_STOP)
        return REQUEST_FITS;
    if (event->request < REQUEST_CHECKPOINT || event->request > REQUEST_UNDRAIN)
        return REQUEST_UNKNOWN;
    if (plain->finish_given || plain->stop_requested || plain->ended)
        return REQUEST_ENDING;
    return event->request == REQUEST_SCALE ? judge_scale(&plain->policy, event->count)
                                           : judge_members(state, event);
}

int request_take(struct controller *state, const struct controller_event *event,
                 struct controller_actions *actions)
{
    if (controller_judge_request(state, event) != REQUEST_FITS)
        return -1;
    switch (event->request) {
    case REQUEST_CHECKPOINT:
        return request_checkpoint(&state->plain);
    case REQUEST_STOP:
        return request_stop(&state->plain);
    case REQUEST_SCALE:
        return request_scale(state, event->count, actions);
    case REQUEST_DRAIN:
        return request_drain(state, event, actions);
    default:
        return request_undrain(state, event, actions);
    }
}
