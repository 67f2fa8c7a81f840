/* gang_conclude.h - the end of `onward gang': what it came to, from the run directory. */
#ifndef LAUNCH_GANG_CONCLUDE_H
#define LAUNCH_GANG_CONCLUDE_H

#include "launch_options.h"
#include "rundir.h"

/* exit_code: of start_task. Returns the exit status; that of the rank that failed when this is why
 * the task did. */
int gang_conclude(const struct launch_options *options, const struct task_record *record,
                  int exit_code);

#endif
