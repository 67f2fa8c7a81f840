/* controller_checkpoint.c - when a checkpoint is taken, and what becomes of it.
 *
 * At most one is in flight. It is ordered for a step that no worker has reached yet: the newest
 * reported step, plus what is likely done since that report, plus a margin of about 50 ms of steps,
 * which doubles whenever the order came too late at some worker. One by steps is ordered as soon as
 * the one before is settled, however far ahead, and gives way to one that is due at once. */
#include "controller_state.h"

#include <assert.h>

static const int64_t margin_us = 50000;
static const int64_t max_since_report_us = 1000000;
static const int64_t max_margin_steps = 1000000;
static const int64_t grace_us = 120000000;
static const int64_t first_pause_us = 1000000;
static const int64_t assumed_duration_us = 1000000;
enum { MAX_PAUSE_DOUBLINGS = 6, FIRST_MARGIN_STEPS = 2 };

static int64_t limited(int64_t value, int64_t limit)
{
    return value < limit ? value : limit;
}

/* Of so many times margin_us. */
static int64_t margin_steps(const struct checkpoint_planner *planner, int64_t margins)
{
    int64_t steps = planner->step_us > 0 ? margins * margin_us / planner->step_us : 0;
    return limited(steps, max_margin_steps) + FIRST_MARGIN_STEPS;
}

/* The step that the first of the workers is likely at. */
static int64_t front_now(const struct controller_plain *plain)
{
    const struct checkpoint_planner *planner = &plain->checkpoint;
    int64_t since_us = limited(plain->now_us - planner->front_us, max_since_report_us);
    return planner->front_step + (planner->step_us > 0 ? since_us / planner->step_us : 0);
}

/* The first step that an order given now should reach all workers in time for. */
static int64_t next_step(const struct controller_plain *plain)
{
    const struct checkpoint_planner *planner = &plain->checkpoint;
    int64_t margin = margin_steps(planner, 1) * planner->miss_factor;
    int64_t step = front_now(plain) + limited(margin, max_margin_steps);
    int64_t committed = restore_newest(&planner->committed);
    return step > committed ? step : committed + 1;
}

/* In a change the front stands still, and what is reported is in known_step. */
static int64_t ahead_of_known(const struct controller_plain *plain, int64_t front)
{
    return front > plain->known_step ? front : plain->known_step;
}

int64_t controller_current_step(const struct controller *state)
{
    return ahead_of_known(&state->plain, state->plain.checkpoint.front_step);
}

int64_t controller_order_step(const struct controller *state, uint32_t margins)
{
    const struct controller_plain *plain = &state->plain;
    int64_t front = ahead_of_known(plain, front_now(plain));
    return margins > 0 ? front + margin_steps(&plain->checkpoint, margins) : front;
}

static int64_t next_multiple(const struct controller_plain *plain)
{
    int64_t every = plain->policy.checkpoint_steps, first = next_step(plain);
    return (first + every - 1) / every * every;
}

/* How long an order may go without an advance before it is given up. */
static int64_t patience_us(const struct checkpoint_planner *planner)
{
    return grace_us + limited(4 * planner->step_us, POLICY_MAX_US) +
           limited(16 * planner->interval.cost_us, POLICY_MAX_US);
}

int64_t checkpoint_lead_us(const struct checkpoint_planner *planner)
{
    int64_t duration_us = planner->duration_us > 0 ? planner->duration_us : assumed_duration_us;
    return limited(2 * duration_us, POLICY_MAX_US) + limited(4 * planner->step_us, POLICY_MAX_US);
}

int64_t checkpoint_interval_us(const struct controller_plain *plain)
{
    const struct controller_policy *policy = &plain->policy;
    if (!policy->checkpoint_auto)
        return policy->checkpoint_us;
    int64_t best = interval_us(&plain->checkpoint.interval, policy->checkpoint_min_us,
                               policy->checkpoint_max_us);
    return policy->checkpoint_us > 0 ? limited(best, policy->checkpoint_us) : best;
}

void checkpoint_epoch_opened(struct controller *state)
{
    struct controller_plain *plain = &state->plain;
    struct checkpoint_planner *planner = &plain->checkpoint;
    if (planner->last_us == 0)
        planner->last_us = plain->now_us;
    planner->front_step = plain->resume_step;
    planner->front_us = plain->now_us;
}

void checkpoint_step_complete(struct controller *state, int64_t step)
{
    struct controller_plain *plain = &state->plain;
    struct checkpoint_planner *planner = &plain->checkpoint;
    if (step <= planner->front_step)
        return;
    int64_t took_us = (plain->now_us - planner->front_us) / (step - planner->front_step);
    planner->step_us = planner->step_us == 0 ? took_us : (3 * planner->step_us + took_us) / 4;
    if (planner->flight.active && planner->front_step < planner->flight.step)
        planner->flight.deadline_us = plain->now_us + patience_us(planner);
    planner->front_step = step;
    planner->front_us = plain->now_us;
}

static void clear_shards(struct controller *state)
{
    for (uint32_t i = 0; i < state->roster.count; i++)
        state->roster.members[i]->shard_written = 0;
}

static void end_flight(struct controller *state)
{
    state->plain.checkpoint.flight = (struct checkpoint_flight){0};
    clear_shards(state);
}

void checkpoint_leave(struct controller *state, struct controller_actions *actions)
{
    const struct checkpoint_flight *flight = &state->plain.checkpoint.flight;
    if (!flight->active || flight->committing)
        return;
    controller_act(actions, ACTION_ABANDON_CHECKPOINT)->step = flight->step;
    end_flight(state);
}

void checkpoint_order(struct controller *state, int64_t step, bool ahead,
                      struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    assert(!plain->checkpoint.flight.active);
    plain->checkpoint.flight = (struct checkpoint_flight){
        .active = 1,
        .ahead = ahead,
        .step = step,
        .ordered_us = plain->now_us,
        .deadline_us = plain->now_us + patience_us(&plain->checkpoint),
    };
    controller_act(actions, ACTION_TAKE_CHECKPOINT)->step = step;
}

int checkpoint_shard(struct controller *state, const struct controller_event *event,
                     struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    struct checkpoint_flight *flight = &plain->checkpoint.flight;
    struct roster_member *member = roster_find(&state->roster, event->member);
    if (member == NULL || member->shown.rank == CONTROLLER_NO_RANK || member->shard_written ||
        plain->in_change || !flight->active || flight->committing || event->step != flight->step)
        return -1;
    member->shard_written = 1;
    flight->shard_count++;
    if (event->cost_us > flight->cost_us)
        flight->cost_us = event->cost_us;
    int64_t took_us = event->took_us > event->cost_us ? event->took_us : event->cost_us;
    int64_t begun_us = took_us < plain->now_us ? plain->now_us - took_us : 0;
    if (flight->begun_us == 0 || begun_us < flight->begun_us)
        flight->begun_us = begun_us;
    if (flight->shard_count < state->lineup_size)
        return 0;
    flight->committing = 1;
    flight->deadline_us = plain->now_us + patience_us(&plain->checkpoint);
    controller_act(actions, ACTION_COMMIT_CHECKPOINT)->step = flight->step;
    return 0;
}

/* The one in flight is committed. */
static void settle_flight(struct controller *state)
{
    struct checkpoint_planner *planner = &state->plain.checkpoint;
    int64_t took_us = state->plain.now_us - planner->flight.begun_us + 1;
    planner->duration_us =
        planner->duration_us == 0 ? took_us : (3 * planner->duration_us + took_us) / 4;
    planner->last_us = planner->flight.ordered_us;
    planner->failures = planner->misses = planner->final_failures = 0;
    interval_observe_cost(&planner->interval, planner->flight.cost_us);
    if (planner->flight.step >= planner->requested_step)
        planner->requested = 0;
    end_flight(state);
}

int checkpoint_committed(struct controller *state, const struct controller_event *event,
                         struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    struct checkpoint_planner *planner = &plain->checkpoint;
    (void)actions;
    if (event->step < 0)
        return -1;
    restore_add(&planner->committed, event->step);
    if (event->step > plain->best_step)
        plain->best_step = event->step;
    if (planner->flight.committing && planner->flight.step == event->step)
        settle_flight(state);
    return 0;
}

/* A failure that is nobody's lateness: disk full, commit refused, or the deadline. */
static void count_failure(struct controller *state, int64_t step,
                          struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    struct checkpoint_planner *planner = &plain->checkpoint;
    uint32_t doublings =
        planner->failures < MAX_PAUSE_DOUBLINGS ? planner->failures : MAX_PAUSE_DOUBLINGS;
    planner->not_before_us = plain->now_us + (first_pause_us << doublings);
    planner->failures++;
    planner->final_failures += step >= plain->policy.step_count;
    if (planner->failures >= FAILURE_LIMIT)
        planner->requested = 0;
    controller_note(actions, NOTE_CHECKPOINT_FAILED, 0, step, planner->failures);
}

static void count_miss(struct controller_plain *plain, uint32_t member, int64_t step,
                       struct controller_actions *actions)
{
    struct checkpoint_planner *planner = &plain->checkpoint;
    planner->misses++;
    planner->final_failures += step >= plain->policy.step_count;
    if (planner->miss_factor < MAX_MISS_FACTOR)
        planner->miss_factor *= 2;
    controller_note(actions, NOTE_CHECKPOINT_MISSED, member, step, planner->misses);
}

int checkpoint_failed(struct controller *state, const struct controller_event *event,
                      struct controller_actions *actions)
{
    struct checkpoint_flight *flight = &state->plain.checkpoint.flight;
    if (!flight->active || event->step != flight->step ||
        (event->member != 0 &&
         (flight->committing || roster_find(&state->roster, event->member) == NULL)))
        return -1;
    checkpoint_leave(state, actions);
    end_flight(state);
    if (event->member != 0)
        count_miss(&state->plain, event->member, event->step, actions);
    else
        count_failure(state, event->step, actions);
    return 0;
}

int checkpoint_bad(struct controller *state, const struct controller_event *event,
                   struct controller_actions *actions)
{
    (void)actions;
    return restore_remove(&state->plain.checkpoint.committed, event->step) ? 0 : -1;
}

static bool is_due_now(const struct controller_plain *plain)
{
    const struct checkpoint_planner *planner = &plain->checkpoint;
    int64_t interval = checkpoint_interval_us(plain);
    if (plain->stop_requested)
        return true;
    if (plain->now_us < planner->not_before_us)
        return false;
    return planner->requested || (interval > 0 && plain->now_us - planner->last_us >= interval);
}

static void end_when_overdue(struct controller *state, struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    struct checkpoint_flight *flight = &plain->checkpoint.flight;
    int64_t step = flight->step;
    if (!flight->active || plain->now_us < flight->deadline_us)
        return;
    checkpoint_leave(state, actions);
    end_flight(state);
    count_failure(state, step, actions);
}

/* Whether the one in flight is in the way of one that is due at `step`. */
static bool gives_way(const struct checkpoint_flight *flight, int64_t step)
{
    return flight->ahead && flight->shard_count == 0 && flight->step > step;
}

static void order_due(struct controller *state, struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    int64_t step = next_step(plain);
    if (step >= plain->policy.step_count)
        return; /* the one at step_count is near */
    if (gives_way(&plain->checkpoint.flight, step))
        checkpoint_leave(state, actions);
    if (!plain->checkpoint.flight.active)
        checkpoint_order(state, step, false, actions);
}

static void order_multiple(struct controller *state, struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    if (plain->checkpoint.flight.active || plain->now_us < plain->checkpoint.not_before_us)
        return;
    int64_t step = next_multiple(plain);
    if (step < plain->policy.step_count)
        checkpoint_order(state, step, true, actions);
}

void checkpoint_advance(struct controller *state, struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    end_when_overdue(state, actions);
    if (plain->in_change || plain->finish_given || end_all_at_end(state))
        return;
    if (is_due_now(plain))
        order_due(state, actions);
    else if (plain->policy.checkpoint_steps > 0)
        order_multiple(state, actions);
}
