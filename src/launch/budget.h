/* budget.h - how often a task may be started again, and after which pause.
 *
 * Each restart takes one from the budget. An incarnation that completed steps gives back one for
 * every 100 of them and one for every 60 s that it ran: a task that lost a host now and then over
 * days goes on, one that dies again and again does not, however quickly it comes back. The pause
 * grows with what is used of the budget: 0, 1, 2, 4 ... s. */
#ifndef LAUNCH_BUDGET_H
#define LAUNCH_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum { BUDGET_STUCK_LIMIT = 3 }; /* incarnations in a row that came no further */

struct budget {
    int max, used;
    int stuck;               /* incarnations in a row without progress */
    int64_t best_step;       /* of all incarnations, completed or in a checkpoint */
    int64_t best_checkpoint; /* which is progress, too, while lost steps are done again */
};

/* An incarnation is over: how far it came (step; below 0 when it never started), the newest
 * checkpoint, and how long it ran. */
void budget_account(struct budget *budget, int64_t step, int64_t checkpoint_step, double seconds);

/* Is one restart left? */
bool budget_allows(const struct budget *budget);

/* The pause before the next restart, in seconds; then take it. */
double budget_pause_s(const struct budget *budget);
void budget_take(struct budget *budget);

#endif
