/* farm_conclude.h - the end of `onward farm': what it came to, from the run directory. */
#ifndef LAUNCH_FARM_CONCLUDE_H
#define LAUNCH_FARM_CONCLUDE_H

#include "launch_options.h"
#include "rundir.h"

/* exit_code: of start_task. With keep-order prints the outputs. Returns the exit status: 1 when
 * some subtasks failed. */
int farm_conclude(const struct launch_options *options, const struct task_record *record,
                  int exit_code);

#endif
