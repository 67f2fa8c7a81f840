/* farm_conclude.h - the end of `onward farm': what it came to, from the run directory. */
#ifndef LAUNCH_FARM_CONCLUDE_H
#define LAUNCH_FARM_CONCLUDE_H

#include "launch_options.h"
#include "rundir.h"

/* start_task for a farm, and what comes after it: with keep-order prints the outputs. Returns the
 * exit status: 1 when some subtasks failed. */
int farm_start(struct launch_options *options, struct task_record *record, bool again);

#endif
