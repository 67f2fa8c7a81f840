/* policy.c - how many workers an epoch has, and when a lost one is spawned again. */
#include "policy.h"

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static bool in_range(int64_t value, int64_t limit)
{
    return value >= 0 && value <= limit;
}

bool policy_is_valid(const struct controller_policy *policy)
{
    return policy->subtask_count >= 1 && in_range(policy->step_count, POLICY_MAX_STEP) &&
           policy->min_workers >= 1 && policy->max_workers >= policy->min_workers &&
           policy->replace <= REPLACE_SPAWN &&
           in_range(policy->checkpoint_steps, POLICY_MAX_STEP) &&
           in_range(policy->checkpoint_us, POLICY_MAX_US) &&
           in_range(policy->checkpoint_min_us, POLICY_MAX_US) &&
           in_range(policy->checkpoint_max_us, POLICY_MAX_US) &&
           (policy->checkpoint_max_us == 0 ||
            policy->checkpoint_max_us >= policy->checkpoint_min_us) &&
           in_range(policy->backoff_us, POLICY_MAX_US >> POLICY_MAX_BACKOFF_DOUBLINGS) &&
           policy->no_progress_limit >= 1;
}

uint32_t policy_ceiling(const struct controller_policy *policy, uint32_t max_workers)
{
    return min_u32(min_u32(max_workers, policy->subtask_count), CONTROLLER_MAX_MEMBERS);
}

/* Members beyond the spares that are to be kept. */
static uint32_t beyond_spares(const struct controller_policy *policy, uint32_t members)
{
    return members > policy->spare_count ? members - policy->spare_count : 0;
}

/* Without replacement a lineup shrinks with its losses; only who joins makes it grow. */
static uint32_t size_without_replacement(const struct controller_policy *policy,
                                         const struct policy_supply *supply)
{
    uint32_t others = supply->usable - supply->survivors;
    return supply->survivors + min_u32(supply->joiners, beyond_spares(policy, others));
}

uint32_t policy_size(const struct controller_policy *policy, const struct policy_supply *supply)
{
    uint32_t size;
    if (supply->desired == 0)
        size = beyond_spares(policy, supply->usable);
    else if (policy->replace == REPLACE_NONE && !supply->scaled)
        size = size_without_replacement(policy, supply);
    else
        size = max_u32(supply->desired, beyond_spares(policy, supply->usable));
    size = max_u32(size, policy->min_workers);
    return min_u32(min_u32(size, supply->usable), policy_ceiling(policy, supply->max_workers));
}

bool policy_budget_left(const struct controller_policy *policy, const struct policy_budget *budget)
{
    return budget->used < policy->restart_budget;
}

void policy_spawn_failed(const struct controller_policy *policy, struct policy_budget *budget,
                         int64_t now_us)
{
    uint32_t doublings = min_u32(budget->failures_in_row, POLICY_MAX_BACKOFF_DOUBLINGS);
    budget->not_before_us = now_us + (policy->backoff_us << doublings);
    if (budget->failures_in_row < UINT32_MAX)
        budget->failures_in_row++;
}

void policy_spawn_succeeded(struct policy_budget *budget)
{
    budget->failures_in_row = 0;
    budget->not_before_us = 0;
}
