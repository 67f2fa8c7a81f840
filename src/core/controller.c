/* controller.c - events in, actions out.
 *
 * One handler for each type of event; a handler first looks whether the event can be, and only then
 * changes the state. After the handler the things that wait for time or for counters are looked at,
 * in a fixed order: the end of the task, checkpoints, the next spawn. */
#include "controller_state.h"

#include <assert.h>
#include <stdlib.h>

struct controller *controller_create(const struct controller_policy *policy)
{
    if (!policy_is_valid(policy))
        return NULL;
    struct controller *state = calloc(1, sizeof(*state));
    if (state == NULL)
        return NULL;
    roster_start(&state->roster);
    state->plain.policy = *policy;
    state->plain.max_workers = policy->max_workers;
    state->plain.best_step = -1;
    state->plain.progress_step = state->plain.change_step = -1;
    state->plain.checkpoint.miss_factor = 1;
    return state;
}

void controller_destroy(struct controller *state)
{
    if (state == NULL)
        return;
    roster_clear(&state->roster);
    free(state->lineup);
    free(state);
}

struct controller_action *controller_act(struct controller_actions *actions, uint8_t type)
{
    assert(actions->count < CONTROLLER_MAX_ACTIONS);
    struct controller_action *action = &actions->items[actions->count++];
    *action = (struct controller_action){.type = type};
    return action;
}

void controller_note(struct controller_actions *actions, uint8_t note, uint32_t member,
                     int64_t step, uint32_t count)
{
    struct controller_action *action = controller_act(actions, ACTION_NOTE);
    action->note = note;
    action->member = member;
    action->step = step;
    action->count = count;
}

void controller_give_up(struct controller *state, uint8_t reason,
                        struct controller_actions *actions)
{
    static const int exit_codes[] = {
        [GIVE_UP_TOO_FEW] = 69,        [GIVE_UP_STOPPED] = 75,  [GIVE_UP_NO_PROGRESS] = 1,
        [GIVE_UP_BUDGET] = 1,          [GIVE_UP_END_TIME] = 75, [GIVE_UP_NO_STATE] = 1,
        [GIVE_UP_STATE_ON_HOSTS] = 69,
    };
    struct controller_action *action = controller_act(actions, ACTION_GIVE_UP);
    action->reason = reason;
    action->exit_code = exit_codes[reason];
    state->plain.ended = 1;
}

/* A worker's message that was on its way when the lineup changed. */
static bool is_of_another_epoch(const struct controller_plain *plain,
                                const struct controller_event *event)
{
    return event->epoch != 0 && event->epoch != plain->epoch_opened;
}

/* Outside of a change a report counts only when it is of this epoch and goes forward. */
static bool report_is_late(const struct controller_plain *plain, const struct core_member *member,
                           const struct controller_event *event)
{
    return !event->in_change &&
           (is_of_another_epoch(plain, event) || event->step < member->complete_step);
}

static void copy_report(struct core_member *member, const struct controller_event *event)
{
    member->complete_step = event->step;
    member->clean = event->clean;
    member->held_count = event->held_count;
    for (uint32_t i = 0; i < event->held_count; i++)
        member->held[i] = event->held[i];
}

static int take_report(struct controller *state, const struct controller_event *event,
                       struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    struct roster_member *member = roster_find(&state->roster, event->member);
    if (member == NULL || report_is_late(plain, &member->shown, event))
        return -1;
    if (event->in_change) {
        change_begin(state, plain->in_change, actions);
        member->shown.reported = true;
        if (event->sharded)
            plain->policy.sharded = plain->policy.initial_kept = true;
        if (event->epoch > plain->epoch_given)
            plain->epoch_given = event->epoch;
    }
    copy_report(&member->shown, event);
    if (event->step > plain->best_step)
        plain->best_step = event->step;
    change_note_step(state, member, event->step);
    if (plain->in_change || member->shown.rank == CONTROLLER_NO_RANK)
        return 0;
    checkpoint_step_complete(state, event->step);
    if (!member->at_end && event->step >= plain->policy.step_count) {
        member->at_end = 1;
        plain->at_end_count++;
    }
    return 0;
}

static int take_tick(struct controller *state, const struct controller_event *event,
                     struct controller_actions *actions)
{
    (void)state;
    (void)event;
    (void)actions;
    return 0;
}

typedef int handler(struct controller *, const struct controller_event *,
                    struct controller_actions *);

static handler *const handlers[] = {
    [EVENT_START] = change_start,
    [EVENT_REGISTERED] = change_registered,
    [EVENT_LOST] = change_lost,
    [EVENT_GATHERED] = change_gathered,
    [EVENT_OPENED] = change_opened,
    [EVENT_SPAWN_RESULT] = change_spawn_result,
    [EVENT_REPORT] = take_report,
    [EVENT_CHECKPOINT_SHARD] = checkpoint_shard,
    [EVENT_CHECKPOINT_COMMITTED] = checkpoint_committed,
    [EVENT_CHECKPOINT_FAILED] = checkpoint_failed,
    [EVENT_CHECKPOINT_BAD] = checkpoint_bad,
    [EVENT_SIZE_REFUSED] = change_size_refused,
    [EVENT_FINAL_WORK_DONE] = end_final_work,
    [EVENT_REQUEST] = request_take,
    [EVENT_TICK] = take_tick,
};

static bool held_is_valid(const struct held_copy *copy)
{
    return copy->step >= 0 && copy->step <= POLICY_MAX_STEP && copy->shard_count >= 1 &&
           copy->shard_count <= CONTROLLER_MAX_MEMBERS && copy->shard < copy->shard_count &&
           copy->level >= LEVEL_MEMORY && copy->level <= LEVEL_SHARED;
}

/* What holds for every event, whatever the state. */
static bool event_is_valid(const struct controller_event *event)
{
    if (event->type < EVENT_START || event->type > EVENT_TICK)
        return false;
    if (event->now_us < 0 || event->now_us > POLICY_MAX_US || event->step < -1 ||
        event->step > POLICY_MAX_STEP || event->epoch < 0 || event->epoch > POLICY_MAX_STEP ||
        event->cost_us < 0 || event->cost_us > POLICY_MAX_US || event->end_us < 0 ||
        event->end_us > POLICY_MAX_US || event->observed_us < 0 ||
        event->observed_us > POLICY_MAX_US || event->held_count > CONTROLLER_MAX_HELD)
        return false;
    for (uint32_t i = 0; i < event->held_count; i++)
        if (!held_is_valid(&event->held[i]))
            return false;
    return true;
}

static bool is_work(uint8_t type)
{
    return type == EVENT_CHECKPOINT_SHARD || type == EVENT_CHECKPOINT_FAILED ||
           type == EVENT_FINAL_WORK_DONE;
}

static void settle(struct controller *state, struct controller_actions *actions)
{
    end_advance(state, actions);
    if (!state->plain.ended)
        checkpoint_advance(state, actions);
    if (!state->plain.ended)
        change_advance_spawn(state, actions);
}

int controller_step(struct controller *state, const struct controller_event *event,
                    struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    int64_t before_us = plain->now_us;
    actions->count = 0;
    if (!event_is_valid(event) || plain->ended || (!plain->started && event->type != EVENT_START))
        return -1;
    if (is_work(event->type) && is_of_another_epoch(plain, event))
        return -1;
    if (event->now_us > before_us)
        plain->now_us = event->now_us;
    if (handlers[event->type](state, event, actions) != 0) {
        plain->now_us = before_us;
        actions->count = 0;
        return -1;
    }
    if (event->type != EVENT_START) /* a new controller has another clock */
        interval_observe_time(&plain->checkpoint.interval, plain->now_us - before_us);
    if (!plain->ended && !state->waits_for_start)
        settle(state, actions);
    return 0;
}

uint32_t controller_member_count(const struct controller *state)
{
    return state->roster.count;
}

const struct core_member *controller_member(const struct controller *state, uint32_t index)
{
    return index < state->roster.count ? &state->roster.members[index]->shown : NULL;
}

const struct core_member *controller_find(const struct controller *state, uint32_t id)
{
    const struct roster_member *member = roster_find(&state->roster, id);
    return member == NULL ? NULL : &member->shown;
}

uint32_t controller_next_member_id(const struct controller *state)
{
    return state->roster.next_id;
}

bool controller_is_stopping(const struct controller *state)
{
    return state->plain.stop_requested;
}

void controller_stop_spawns(struct controller *state)
{
    state->plain.policy.can_spawn = false;
    state->plain.spawn_free = 0;
}

const struct controller_policy *controller_get_policy(const struct controller *state)
{
    return &state->plain.policy;
}

int64_t controller_epoch(const struct controller *state)
{
    return state->plain.epoch_opened;
}

int64_t controller_best_step(const struct controller *state)
{
    return state->plain.best_step;
}

int64_t controller_checkpoint_step(const struct controller *state)
{
    return restore_newest(&state->plain.checkpoint.committed);
}

struct controller_interval controller_get_interval(const struct controller *state)
{
    const struct controller_plain *plain = &state->plain;
    const struct interval *interval = &plain->checkpoint.interval;
    return (struct controller_interval){.interval_us = checkpoint_interval_us(plain),
                                        .cost_us = interval->cost_us,
                                        .mtbf_us = interval_mtbf_us(interval),
                                        .failures = interval->failures,
                                        .observed_us = interval->observed_us,
                                        .low_us = plain->policy.checkpoint_min_us,
                                        .high_us = plain->policy.checkpoint_max_us,
                                        .duration_us = plain->checkpoint.duration_us,
                                        .stop_us = end_stop_us(plain)};
}

uint32_t controller_worker_count(const struct controller *state)
{
    return state->lineup_size;
}

uint32_t controller_desired_count(const struct controller *state)
{
    return state->plain.desired;
}

uint32_t controller_spare_count(const struct controller *state)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < state->roster.count; i++)
        count += roster_is_usable(state->roster.members[i]) &&
                 state->roster.members[i]->shown.rank == CONTROLLER_NO_RANK;
    return count;
}

uint32_t controller_draining_count(const struct controller *state)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < state->roster.count; i++)
        count += state->roster.members[i]->shown.state == MEMBER_DRAINING;
    return count;
}

bool controller_in_change(const struct controller *state)
{
    return state->plain.in_change;
}
