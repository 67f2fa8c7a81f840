/* standing.h - how a task stands, seen from outside: its record, status, completion and owner. */
#ifndef LAUNCH_STANDING_H
#define LAUNCH_STANDING_H

#include "rundir.h"
#include "verb.h"

struct standing {
    bool owned; /* a living process runs it */
    bool complete;
    bool has_status;
    struct run_status status;
    struct run_completion completion;
    char state[16]; /* complete; while it is owned what the status says (restarting between a
                       planned stop and the start after it), or starting; stopped or failed;
                       interrupted: it died without a word */
};

/* Opens the run directory of the task that the options name. */
int standing_open(const struct task_options *options, struct rundir **rundir, struct error *error);

/* Looks once. */
int standing_read(const struct rundir *rundir, struct standing *standing, struct error *error);

#endif
