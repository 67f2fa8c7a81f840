/* controller_check.c - every invariant of the controller, walked one after the other.
 *
 * Used after each event in tests and the simulator, and by controller_load to judge bytes from
 * another process: so it must be safe for any values in the members, and it recounts every counter.
 */
#include "controller_state.h"

#include "lineup.h"

typedef const char *check(const struct controller *state);

/* Values that are counts of steps or microseconds, from `lowest` up. */
static bool in_range(int64_t value, int64_t lowest)
{
    return value >= lowest && value <= 8 * POLICY_MAX_US;
}

static bool flags_are_valid(const struct controller_plain *plain)
{
    const uint8_t flags[] = {
        plain->started,
        plain->ended,
        plain->in_change,
        plain->opening,
        plain->planned,
        plain->stall_counted,
        plain->has_worked,
        plain->scaled,
        plain->spawn_pending,
        plain->spawn_tried,
        plain->spawn_free,
        plain->spawn_was_free,
        plain->spawn_came,
        plain->spare_noted,
        plain->stop_requested,
        plain->end_is_near,
        plain->finish_given,
        plain->final_noted,
        plain->checkpoint.requested,
        plain->checkpoint.flight.active,
        plain->checkpoint.flight.committing,
        plain->checkpoint.flight.ahead,
    };
    for (uint32_t i = 0; i < sizeof(flags); i++)
        if (flags[i] > 1)
            return false;
    return plain->reform_wanted <= REFORM_UNPLANNED;
}

static bool checkpoints_are_valid(const struct restore_checkpoints *committed)
{
    if (committed->count > CONTROLLER_MAX_CHECKPOINTS)
        return false;
    for (uint32_t i = 0; i < committed->count; i++)
        if (!in_range(committed->steps[i], i == 0 ? 0 : committed->steps[i - 1] + 1))
            return false;
    return true;
}

static const char *check_planner(const struct checkpoint_planner *planner)
{
    const struct checkpoint_flight *flight = &planner->flight;
    const struct interval *interval = &planner->interval;
    if (!checkpoints_are_valid(&planner->committed))
        return "the committed checkpoints are not in order";
    if (!in_range(interval->cost_us, 0) || !in_range(interval->observed_us, 0) ||
        !in_range(interval->failures, 0))
        return "the measured interval is out of range";
    if (!in_range(planner->requested_step, 0) || !in_range(planner->last_us, 0) ||
        !in_range(planner->not_before_us, 0) || !in_range(planner->front_step, 0) ||
        !in_range(planner->front_us, 0) || !in_range(planner->step_us, 0) ||
        !in_range(planner->duration_us, 0) || !in_range(flight->begun_us, 0) ||
        planner->miss_factor < 1 || planner->miss_factor > MAX_MISS_FACTOR)
        return "the checkpoint plan is out of range";
    if (!in_range(flight->step, 0) || !in_range(flight->ordered_us, 0) ||
        !in_range(flight->deadline_us, 0) || !in_range(flight->cost_us, 0))
        return "the checkpoint in flight is out of range";
    if ((flight->committing && !flight->active) || (!flight->active && flight->shard_count != 0))
        return "a checkpoint that is not in flight has shards";
    return NULL;
}

const char *controller_check_plain(const struct controller_plain *plain)
{
    if (!policy_is_valid(&plain->policy))
        return "the policy is out of range";
    if (!flags_are_valid(plain))
        return "a flag is neither 0 nor 1";
    if (!in_range(plain->now_us, 0) || !in_range(plain->budget.not_before_us, 0) ||
        !in_range(plain->end_us, 0))
        return "the time is out of range";
    if (!in_range(plain->epoch_opened, 0) || !in_range(plain->epoch_given, 0) ||
        plain->epoch_opened > plain->epoch_given)
        return "the epoch that opened is newer than the newest given out";
    if (!in_range(plain->resume_step, 0) || !in_range(plain->best_step, -1) ||
        !in_range(plain->known_step, -1) || !in_range(plain->progress_step, -1) ||
        !in_range(plain->change_step, -1) || !in_range(plain->stop_step, -1) ||
        plain->progress_step > plain->best_step)
        return "a step is out of range";
    if (plain->opening && !plain->in_change)
        return "an epoch is opening outside of a change";
    if (plain->max_workers < plain->policy.min_workers)
        return "the maximum of workers is below the minimum";
    if (plain->size_limit > 0 &&
        (!plain->in_change || plain->size_limit < plain->policy.min_workers))
        return "a size is refused outside of a change, or below the minimum";
    if (plain->desired > policy_ceiling(&plain->policy, plain->max_workers))
        return "more workers are desired than there may be";
    return check_planner(&plain->checkpoint);
}

static const char *check_plain(const struct controller *state)
{
    return controller_check_plain(&state->plain);
}

static const char *check_member(const struct roster_member *member)
{
    const struct core_member *shown = &member->shown;
    if (shown->state != MEMBER_READY && shown->state != MEMBER_DRAINING)
        return "a member's state is unknown";
    if (!in_range(shown->complete_step, -1) || shown->held_count > CONTROLLER_MAX_HELD)
        return "what a member reported is out of range";
    for (uint32_t i = 0; i < shown->held_count; i++) {
        const struct held_copy *copy = &shown->held[i];
        if (!in_range(copy->step, 0) || copy->shard_count < 1 ||
            copy->shard_count > CONTROLLER_MAX_MEMBERS || copy->shard >= copy->shard_count ||
            copy->level < LEVEL_MEMORY || copy->level > LEVEL_SHARED)
            return "a copy that a member holds is out of range";
    }
    if (member->is_worker > 1 || member->waited > 1 || member->passed_over > 1 ||
        member->at_end > 1 || member->shard_written > 1 || member->final_done > 1)
        return "a member's flag is neither 0 nor 1";
    return NULL;
}

static const char *check_roster(const struct controller *state)
{
    const struct roster *roster = &state->roster;
    uint32_t last_id = 0, controllers = 0;
    if (roster->count > CONTROLLER_MAX_MEMBERS || roster->count > roster->capacity)
        return "the roster is too long";
    for (uint32_t i = 0; i < roster->count; i++) {
        const struct core_member *shown = &roster->members[i]->shown;
        const char *wrong = check_member(roster->members[i]);
        if (wrong != NULL)
            return wrong;
        if (shown->id <= last_id || shown->id >= roster->next_id)
            return "member IDs are not in the order of registration";
        last_id = shown->id;
        controllers += shown->is_controller;
        if (shown->complete_step > state->plain.best_step)
            return "a member is ahead of the newest complete step";
    }
    return controllers > 1 ? "there is more than one controller" : NULL;
}

/* No lost member and, once it opened, no draining one; a dedicated controller never. */
static const char *check_lineup(const struct controller *state)
{
    const struct controller_plain *plain = &state->plain;
    uint32_t ranked = 0, found = 0;
    if (state->lineup_size > policy_ceiling(&plain->policy, CONTROLLER_MAX_MEMBERS))
        return "the lineup has more workers than there are subtasks";
    for (uint32_t i = 0; i < state->roster.count; i++)
        ranked += state->roster.members[i]->shown.rank != CONTROLLER_NO_RANK;
    for (uint32_t rank = 0; rank < state->lineup_size; rank++) {
        const struct roster_member *member = roster_find(&state->roster, state->lineup[rank]);
        if (member == NULL && !plain->in_change)
            return "a lost member is in the lineup";
        if (member == NULL)
            continue;
        found++;
        if (member->shown.rank != (int32_t)rank)
            return "a role is not held by the one member that the lineup names";
        if (!member->is_worker)
            return "a member that is no worker is in the lineup";
        if (member->shown.state == MEMBER_DRAINING && !plain->in_change)
            return "a draining member is in the lineup";
    }
    if (ranked != found)
        return "a member has a role that the lineup does not give it";
    if (!plain->in_change && plain->started && state->lineup_size == 0)
        return "an epoch without workers is open";
    return NULL;
}

static const char *check_subtasks(const struct controller *state)
{
    uint32_t subtask_count = state->plain.policy.subtask_count, next = 0;
    for (uint32_t rank = 0; rank < state->lineup_size; rank++) {
        struct lineup_range range = lineup_split(subtask_count, state->lineup_size, rank);
        if (range.first != next || range.count == 0)
            return "a subtask has not exactly one owner";
        if (lineup_owner(subtask_count, state->lineup_size, range.first) != rank)
            return "the owner of a subtask is not who does it";
        next += range.count;
    }
    return state->lineup_size > 0 && next != subtask_count ? "a subtask has no owner" : NULL;
}

static const char *check_counters(const struct controller *state)
{
    const struct controller_plain *plain = &state->plain;
    uint32_t at_end = 0, shards = 0, final_done = 0;
    for (uint32_t i = 0; i < state->roster.count; i++) {
        const struct roster_member *member = state->roster.members[i];
        bool has_role = member->shown.rank != CONTROLLER_NO_RANK;
        if (!has_role && (member->at_end || member->shard_written || member->final_done))
            return "a member without a role is counted among the workers";
        at_end += member->at_end;
        shards += member->shard_written;
        final_done += member->final_done;
        if (!plain->in_change && has_role &&
            member->at_end != (member->shown.complete_step >= plain->policy.step_count))
            return "who is at the end is not known";
    }
    if (at_end != plain->at_end_count || final_done != plain->final_done_count)
        return "a counter of the end does not agree with a recount";
    if (!plain->checkpoint.flight.committing && shards != plain->checkpoint.flight.shard_count)
        return "the count of shards does not agree with a recount";
    return NULL;
}

/* While an epoch is open no worker is behind the step it resumed from. */
static const char *check_steps(const struct controller *state)
{
    const struct controller_plain *plain = &state->plain;
    if (plain->in_change || !plain->started)
        return NULL;
    for (uint32_t rank = 0; rank < state->lineup_size; rank++) {
        const struct roster_member *member = roster_find(&state->roster, state->lineup[rank]);
        if (member->shown.complete_step < plain->resume_step)
            return "a worker is behind the step that the epoch resumed from";
        if (member->shown.complete_step > plain->checkpoint.front_step)
            return "a worker is ahead of the newest step of the epoch";
    }
    return NULL;
}

const char *controller_check(const struct controller *state)
{
    static check *const checks[] = {check_plain,    check_roster,   check_lineup,
                                    check_subtasks, check_counters, check_steps};
    for (uint32_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        const char *wrong = checks[i](state);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}
