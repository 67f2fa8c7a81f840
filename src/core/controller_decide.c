/* controller_decide.c - the decision of an epoch change: who works, on what state, or the end.
 *
 * Everybody who lives has reported. The order of the questions: may it go on at all, is somebody to
 * be spawned first, what state is there to resume from, who takes which role. */
#include "controller_state.h"

#include <assert.h>
#include <stdlib.h>

enum { SPARE_PASSES = 64 }; /* passes in one change beyond two for each member */

bool change_may_spawn(const struct controller_plain *plain)
{
    if (!plain->policy.can_spawn)
        return false;
    if (plain->spawn_free)
        return true;
    return plain->policy.replace == REPLACE_SPAWN &&
           policy_budget_left(&plain->policy, &plain->budget);
}

static struct policy_supply take_stock(const struct controller *state)
{
    const struct controller_plain *plain = &state->plain;
    struct policy_supply supply = {
        .desired = plain->desired, .max_workers = plain->max_workers, .scaled = plain->scaled};
    if (plain->size_limit > 0 && plain->size_limit < supply.max_workers)
        supply.max_workers = plain->size_limit;
    for (uint32_t i = 0; i < state->roster.count; i++) {
        const struct roster_member *member = state->roster.members[i];
        if (!roster_is_usable(member))
            continue;
        bool survivor = member->shown.rank != CONTROLLER_NO_RANK;
        supply.usable++;
        supply.survivors += survivor;
        supply.joiners += !survivor && !member->waited;
    }
    return supply;
}

/* A change without a new complete step counts once, if something was lost in it. */
static bool progress_is_made(struct controller_plain *plain)
{
    if (plain->best_step > plain->change_step) {
        plain->stalled = 0;
    } else if (!plain->planned && !plain->stall_counted) {
        plain->stall_counted = 1;
        plain->stalled++;
    }
    return plain->stalled < plain->policy.no_progress_limit;
}

/* Did the newest state die with those who worked? Nobody who is left, and nobody who could be
 * spawned, has it, but those of the next start can have it from what the hosts still hold. How new
 * it was is not known: workers report at times, not each step. */
static bool is_better_relaunched(const struct controller_plain *plain,
                                 const struct restore_choice *choice)
{
    bool is_far_back = choice->source == SOURCE_FRESH || choice->source == SOURCE_CHECKPOINT;
    return plain->policy.can_relaunch && !plain->policy.sharded && plain->has_worked &&
           is_far_back && choice->step < plain->policy.step_count;
}

/* How many to spawn before a lineup can be formed at all; 0: go on with those who are there, and
 * spawn while they work. */
static uint32_t spawn_count(const struct controller_plain *plain,
                            const struct policy_supply *supply)
{
    const struct controller_policy *policy = &plain->policy;
    uint32_t wanted = plain->desired > policy->min_workers ? plain->desired : policy->min_workers;
    if (supply->usable >= policy->min_workers || plain->spawn_tried || !change_may_spawn(plain))
        return 0;
    return wanted - supply->usable;
}

void change_order_spawn(struct controller_plain *plain, uint32_t count,
                        struct controller_actions *actions)
{
    plain->spawn_was_free = plain->spawn_free;
    if (plain->spawn_free)
        plain->spawn_free = 0;
    else
        plain->budget.used++;
    plain->spawn_tried = plain->spawn_pending = 1;
    plain->spawn_asked = count;
    controller_act(actions, ACTION_SPAWN)->count = count;
}

static uint8_t reason_of_too_few(const struct controller_plain *plain)
{
    bool may_replace = plain->policy.can_spawn && plain->policy.replace == REPLACE_SPAWN;
    if (plain->stop_requested)
        return GIVE_UP_STOPPED;
    if (may_replace && plain->policy.restart_budget > 0 && !plain->policy.can_relaunch &&
        !policy_budget_left(&plain->policy, &plain->budget))
        return GIVE_UP_BUDGET;
    return GIVE_UP_TOO_FEW;
}

/* The next usable member, from *next on, that was not in the lineup before. */
static uint32_t next_in_pool(const struct roster *roster, uint32_t *next)
{
    for (;; (*next)++) {
        assert(*next < roster->count);
        const struct roster_member *member = roster->members[*next];
        if (roster_is_usable(member) && member->shown.rank == CONTROLLER_NO_RANK)
            return roster->members[(*next)++]->shown.id;
    }
}

/* Survivors keep their order; others take the places of those who are gone, then come behind. */
static void choose_workers(const struct controller *state, uint32_t survivors, uint32_t size,
                           uint32_t *chosen)
{
    uint32_t newcomers = size > survivors ? size - survivors : 0;
    uint32_t count = 0, next = 0;
    for (uint32_t rank = 0; rank < state->lineup_size && count < size; rank++) {
        const struct roster_member *member = roster_find(&state->roster, state->lineup[rank]);
        if (member != NULL && roster_is_usable(member)) {
            chosen[count++] = member->shown.id;
        } else if (newcomers > 0) {
            chosen[count++] = next_in_pool(&state->roster, &next);
            newcomers--;
        }
    }
    while (count < size)
        chosen[count++] = next_in_pool(&state->roster, &next);
}

static void set_lineup(struct controller *state, uint32_t *chosen, uint32_t size)
{
    for (uint32_t i = 0; i < state->roster.count; i++)
        state->roster.members[i]->shown.rank = CONTROLLER_NO_RANK;
    for (uint32_t rank = 0; rank < size; rank++)
        roster_find(&state->roster, chosen[rank])->shown.rank = (int32_t)rank;
    for (uint32_t i = 0; i < state->roster.count; i++) {
        struct roster_member *member = state->roster.members[i];
        member->passed_over = roster_is_usable(member) && member->shown.rank == CONTROLLER_NO_RANK;
    }
    free(state->lineup);
    state->lineup = chosen;
    state->lineup_size = size;
}

static uint32_t new_desired(const struct controller_plain *plain, uint32_t size)
{
    uint32_t ceiling = policy_ceiling(&plain->policy, plain->max_workers);
    bool shrinks = plain->policy.replace == REPLACE_NONE && !plain->scaled;
    uint32_t desired = shrinks || size > plain->desired ? size : plain->desired;
    return desired < ceiling ? desired : ceiling;
}

static void note_spare_workers(struct controller_plain *plain, uint32_t usable,
                               struct controller_actions *actions)
{
    uint32_t ceiling = policy_ceiling(&plain->policy, plain->max_workers);
    if (plain->spare_noted || usable <= ceiling)
        return;
    plain->spare_noted = 1;
    controller_note(actions, NOTE_SPARE_WORKERS, 0, 0, usable - ceiling);
}

static void open_epoch(struct controller *state, const struct policy_supply *supply,
                       const struct restore_choice *choice, struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    int64_t lost = plain->known_step > choice->step ? plain->known_step - choice->step : 0;
    if (plain->epoch_opened == 0)
        note_spare_workers(plain, supply->usable, actions);
    if (lost > 0)
        controller_note(actions, NOTE_STEPS_LOST, 0, choice->step,
                        lost < UINT32_MAX ? (uint32_t)lost : UINT32_MAX);
    plain->desired = new_desired(plain, state->lineup_size);
    plain->epoch_given++;
    plain->resume_step = choice->step;
    if (choice->step > plain->best_step)
        plain->best_step = choice->step;
    if (choice->step > plain->known_step)
        plain->known_step = choice->step;
    plain->progress_step = plain->best_step;
    plain->opening = 1;
    struct controller_action *action = controller_act(actions, ACTION_OPEN_EPOCH);
    action->source = choice->source;
    action->member = choice->member;
    action->size = state->lineup_size;
    action->epoch = plain->epoch_given;
    action->step = choice->step;
    action->steps_lost = lost;
}

static int decide_lineup(struct controller *state, const struct policy_supply *supply,
                         const struct restore_choice *choice, struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    uint32_t size = policy_size(&plain->policy, supply);
    if (choice->source == SOURCE_FRESH && plain->policy.sharded && !plain->policy.initial_kept &&
        plain->best_step > 0) {
        controller_give_up(state, GIVE_UP_NO_STATE, actions);
        return 0;
    }
    uint32_t *chosen = malloc(size * sizeof(*chosen));
    if (chosen == NULL)
        return -1;
    choose_workers(state, supply->survivors, size, chosen);
    set_lineup(state, chosen, size);
    open_epoch(state, supply, choice, actions);
    return 0;
}

/* A pass that was cut before the result of its spawn came, or one that cannot go on without another
 * spawn. Else those who were ordered while the others worked may still come. */
static void close_open_spawn(struct controller *state, bool too_few,
                             struct controller_actions *actions)
{
    struct controller_event none = {.type = EVENT_SPAWN_RESULT};
    if (state->plain.spawn_pending && (state->plain.spawn_tried || too_few))
        change_spawn_result(state, &none, actions);
}

int change_gathered(struct controller *state, const struct controller_event *event,
                    struct controller_actions *actions)
{
    struct controller_plain *plain = &state->plain;
    struct restore_choice choice;
    (void)event;
    if (!plain->in_change || restore_choose(&state->roster, &plain->checkpoint.committed,
                                            plain->policy.sharded, &choice) != 0)
        return -1;
    struct policy_supply supply = take_stock(state);
    close_open_spawn(state, supply.usable < plain->policy.min_workers, actions);
    plain->opening = 0;
    plain->reform_wanted = REFORM_NO;
    uint32_t spawn = spawn_count(plain, &supply);
    if (!progress_is_made(plain) || plain->passes++ > SPARE_PASSES + 2 * state->roster.count)
        controller_give_up(state, GIVE_UP_NO_PROGRESS, actions);
    else if (plain->stop_requested && plain->epoch_given == 0)
        controller_give_up(state, GIVE_UP_STOPPED, actions);
    else if (is_better_relaunched(plain, &choice))
        controller_give_up(state, GIVE_UP_STATE_ON_HOSTS, actions);
    else if (spawn > 0)
        change_order_spawn(plain, spawn, actions);
    else if (supply.usable < plain->policy.min_workers)
        controller_give_up(state, reason_of_too_few(plain), actions);
    else
        return decide_lineup(state, &supply, &choice, actions);
    return 0;
}
