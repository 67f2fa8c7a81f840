/* start.h - from what was asked for to a supervised task. */
#ifndef LAUNCH_START_H
#define LAUNCH_START_H

#include "launch_options.h"
#include "rundir.h"

/* Starts the task of record (whose strings and arguments are borrowed), or goes on with it where it
 * is there already, and returns the exit status when it ended. `again`: a resume, which may not be
 * a new task. */
int start_task(const struct launch_options *options, struct task_record *record, bool again);

/* Puts what the options say over the record. */
void start_override(const struct launch_options *options, struct task_record *record);

/* A task ID from a program's name, the time and the process. */
void start_make_task(const char *program, char *task, size_t task_bytes);

/* Cores that this process may use. */
uint32_t start_core_count(void);

#endif
