/* budget.c - counts restarts against progress. */
#include "budget.h"

enum { STEPS_FOR_ONE = 100, SECONDS_FOR_ONE = 60, MAX_PAUSE_S = 30, MAX_DOUBLINGS = 5 };

static int64_t gain(int64_t *best, int64_t now)
{
    int64_t gained = now > *best ? now - *best : 0;
    *best += gained;
    return gained;
}

void budget_account(struct budget *budget, int64_t step, int64_t checkpoint_step, double seconds)
{
    int64_t saved = gain(&budget->best_checkpoint, checkpoint_step);
    int64_t gained = gain(&budget->best_step, step);
    gained = gained > saved ? gained : saved;
    if (gained == 0) {
        budget->stuck++;
        return;
    }
    budget->stuck = 0;
    int64_t given = gained / STEPS_FOR_ONE + (int64_t)(seconds / SECONDS_FOR_ONE);
    budget->used = given >= budget->used ? 0 : budget->used - (int)given;
}

bool budget_allows(const struct budget *budget)
{
    return budget->used < budget->max;
}

double budget_pause_s(const struct budget *budget)
{
    if (budget->used == 0)
        return 0;
    return budget->used > MAX_DOUBLINGS ? MAX_PAUSE_S : 1 << (budget->used - 1);
}

void budget_take(struct budget *budget)
{
    budget->used++;
}
