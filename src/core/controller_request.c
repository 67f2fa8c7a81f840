/* controller_request.c - what the operator asks for: checkpoint, stop, scale, drain, undrain.
 *
 * A request that cannot be met, such as a scale below the minimum, is refused and changes nothing.
 */
#include "controller_state.h"

static int request_checkpoint(struct controller_plain *plain)
{
    plain->checkpoint.requested = 1;
    plain->checkpoint.requested_step = plain->checkpoint.front_step;
    return 0;
}

static int request_stop(struct controller_plain *plain)
{
    if (plain->stop_requested)
        return 0;
    plain->stop_requested = 1;
    plain->stop_step = plain->best_step;
    plain->checkpoint.failures = plain->checkpoint.misses = 0;
    return 0;
}

static int request_scale(struct controller *state, uint32_t count,
                         struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    if (count < plain->policy.min_workers || count > CONTROLLER_MAX_MEMBERS)
        return -1;
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

/* Sets the state of those who are meant; returns how many would change or changed. */
static uint32_t for_those_meant(struct controller *state, const struct controller_event *event,
                                uint8_t from, uint8_t to)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < state->roster.count; i++) {
        struct roster_member *member = state->roster.members[i];
        if (!is_meant(member, event) || member->shown.state != from)
            continue;
        member->shown.state = to;
        member->drain_noted = 0;
        count++;
    }
    return count;
}

static int request_drain(struct controller *state, const struct controller_event *event,
                         struct controller_actions *actions)
{
    const struct controller_policy *policy = &state->plain.policy;
    uint32_t meant =
        for_those_meant(state, event, MEMBER_READY, MEMBER_READY); /* counts, changes nothing */
    uint32_t usable = roster_usable_count(&state->roster);
    if (meant == 0 || (usable - meant < policy->min_workers && !change_may_spawn(&state->plain)))
        return -1;
    for_those_meant(state, event, MEMBER_READY, MEMBER_DRAINING);
    change_want(state, true, actions);
    return 0;
}

static int request_undrain(struct controller *state, const struct controller_event *event,
                           struct controller_actions *actions)
{
    if (for_those_meant(state, event, MEMBER_DRAINING, MEMBER_READY) == 0)
        return -1;
    for (uint32_t i = 0; i < state->roster.count; i++) /* they come back as if they joined */
        if (is_meant(state->roster.members[i], event))
            state->roster.members[i]->waited = 0;
    change_want(state, true, actions);
    return 0;
}

int request_take(struct controller *state, const struct controller_event *event,
                 struct controller_actions *actions)
{
    switch (event->request) {
    case REQUEST_CHECKPOINT:
        return request_checkpoint(&state->plain);
    case REQUEST_STOP:
        return request_stop(&state->plain);
    case REQUEST_SCALE:
        return request_scale(state, event->count, actions);
    case REQUEST_DRAIN:
        return request_drain(state, event, actions);
    case REQUEST_UNDRAIN:
        return request_undrain(state, event, actions);
    default:
        return -1;
    }
}
