/* join_check.h - may a job of Slurm join this task? */
#ifndef LAUNCH_JOIN_CHECK_H
#define LAUNCH_JOIN_CHECK_H

#include "verb.h"

struct error;
struct rundir;

/* Opens the run directory of the task, which must run, in a job of Slurm, and be this user's.
 * ONWARD_ERR_INPUT or ONWARD_ERR_NOT_FOUND says what it is and what was expected. */
int join_check(const struct task_options *task, struct rundir **rundir, struct error *error);

#endif
