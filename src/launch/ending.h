/* ending.h - what a task came to, in a line or as JSON. */
#ifndef LAUNCH_ENDING_H
#define LAUNCH_ENDING_H

#include "launch_options.h"
#include "rundir.h"
#include "supervise.h"

/* Says it, after the verb had its say (launch_options.conclude). Returns the exit status, which is
 * in result, too. */
int ending_report(const struct launch_options *options, struct supervise_result *result,
                  const struct rundir *rundir, const char *task);

/* A line for each rehearsed fault that did not happen since that incarnation. */
void ending_tell_faults(const struct launch_options *options, const struct rundir *rundir,
                        int64_t incarnation, const struct supervise_result *result);

/* True when there is nothing left to do, after saying so: the task was complete before, or has done
 * more steps than are asked for. */
bool ending_is_there(const struct launch_options *options, const struct rundir *rundir,
                     const struct task_record *record, int *exit_code);

#endif
