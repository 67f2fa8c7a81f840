/* slurm_task.h - which job of Slurm belongs to which task: the run directory says it. */
#ifndef LAUNCH_SLURM_TASK_H
#define LAUNCH_SLURM_TASK_H

#include <stdbool.h>

#include "rundir.h"

/* Writes the job that we are in, if any, to slurm.json in the run directory; what cannot be written
 * is said, and costs nothing but the way from the job to the task. */
void slurm_task_record(const struct rundir *rundir);

/* The hosts of the job that a task was last started in, as Slurm writes them, into text; false: not
 * known, or no room. */
bool slurm_task_hosts(const struct rundir *rundir, char *text, size_t text_bytes);

/* Is `text` the ID of a job (17, or 12_3 of an array) whose task is in `base` (NULL: the default),
 * and no task's own? Then its task goes into `task`. Of several the newest start counts. */
bool slurm_task_find(const char *base, const char *text, char task[RUNDIR_TASK_BYTES]);

#endif
