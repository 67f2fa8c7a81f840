/* policy.h - how many workers an epoch has, and when a lost one is spawned again. */
#ifndef CORE_POLICY_H
#define CORE_POLICY_H

#include "controller.h"

enum { POLICY_MAX_BACKOFF_DOUBLINGS = 6 };

/* Bound on every count of steps and of microseconds, so that sums of a few never overflow. */
#define POLICY_MAX_STEP ((int64_t)1 << 53)
#define POLICY_MAX_US ((int64_t)1 << 53)

/* Whether all values are in range. */
bool policy_is_valid(const struct controller_policy *policy);

/* What the size of the next lineup depends on. */
struct policy_supply {
    uint32_t usable;      /* members that may be workers */
    uint32_t survivors;   /* of these: in the lineup before */
    uint32_t joiners;     /* of these: not in the lineup before, and never were spare */
    uint32_t desired;     /* size that was reached or asked for; 0: there was no lineup yet */
    uint32_t max_workers; /* the operator may have changed the policy's */
    bool scaled;          /* the operator asked for `desired` in this change */
};

/* The most workers that any lineup may have now. */
uint32_t policy_ceiling(const struct controller_policy *policy, uint32_t max_workers);

/* Size of the next lineup: at most usable. */
uint32_t policy_size(const struct controller_policy *policy, const struct policy_supply *supply);

/* How often lost workers were replaced, and when the next attempt may be. */
struct policy_budget {
    uint32_t used;            /* spawns that answered a failure */
    uint32_t failures_in_row; /* spawns that brought fewer than asked for */
    int64_t not_before_us;    /* back-off */
};

bool policy_budget_left(const struct controller_policy *policy, const struct policy_budget *budget);
void policy_spawn_failed(const struct controller_policy *policy, struct policy_budget *budget,
                         int64_t now_us);
void policy_spawn_succeeded(struct policy_budget *budget);

#endif
