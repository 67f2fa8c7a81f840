/* drill_costs.h - which epoch answers a fault of a drill, and what it cost. Faults and events of
 * the task's log in, costs out. */
#ifndef LAUNCH_DRILL_COSTS_H
#define LAUNCH_DRILL_COSTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "rundir.h"

enum { DRILL_MAX_OPEN = 1024, DRILL_CAUSE_BYTES = 256 };

/* A fault that no epoch has answered yet. */
struct drill_open {
    int64_t number; /* of the fault, from 1 */
    int64_t incarnation;
    uint32_t member;                            /* 0: a whole host */
    char host[RUNDIR_HOST_BYTES];               /* where it happened */
    bool is_noticed;                            /* the log has its loss, or a relaunch */
    int64_t noticed_incarnation, noticed_epoch; /* the answer is newer */
};

struct drill_costs {
    uint32_t open_count;
    struct drill_open open[DRILL_MAX_OPEN];
    int64_t given_up;   /* faults that were too many to keep */
    bool is_relaunched; /* the first epoch after a relaunch is still to come */
    int64_t epochs, steps_lost, relaunches;
    double stall_s, longest_stall_s;
};

/* What one epoch says of the faults that it answers. */
struct drill_cost {
    int64_t epoch, workers, step, steps_lost;
    double stall_s;
    char cause[DRILL_CAUSE_BYTES];
    uint32_t fault_count;
    int64_t
        faults[DRILL_MAX_OPEN]; /* their numbers; none: it follows a relaunch for another cause */
};

/* A fault that happened in this incarnation: to a member, or (0) to all on the host. */
void drill_costs_add(struct drill_costs *costs, int64_t number, int64_t incarnation,
                     uint32_t member, const char *host);
/* The next event of the log. True when it is the epoch that answers faults, or the first one after
 * a relaunch; what it cost is in *cost then, and added up. */
bool drill_costs_event(struct drill_costs *costs, const json_t *event, struct drill_cost *cost);
/* How many faults no epoch has answered. */
int64_t drill_costs_unanswered(const struct drill_costs *costs);

#endif
