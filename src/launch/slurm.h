/* slurm.h - the allocation of Slurm that onward runs in, as Slurm describes it to a job. */
#ifndef LAUNCH_SLURM_H
#define LAUNCH_SLURM_H

#include <stdbool.h>
#include <stddef.h>

#include "hosts.h"

/* Are we in a job of Slurm (below sbatch or salloc)? */
bool slurm_is_inside(void);

/* The ID of the job, or NULL. */
const char *slurm_job(void);

/* The hosts of the job and as many slots on each as tasks were asked for, from SLURM_JOB_NODELIST
 * and SLURM_TASKS_PER_NODE (without it, from SLURM_JOB_CPUS_PER_NODE); the list is the caller's to
 * clear. ONWARD_ERR_INPUT names the variable that does not parse, or does not fit the others. */
int slurm_hosts(struct hosts *hosts, struct error *error);

/* Slots from counts as Slurm writes them, "2(x3),1": one number for each host, (xN) for N in a row.
 * `where` (a variable) is for messages. After an error the slots are as they were. */
int slurm_take_counts(const char *text, const char *where, struct hosts *hosts,
                      struct error *error);

/* Asks Slurm, once and bounded, whether the job is still there. ONWARD_ERR_INPUT where it says that
 * it is not; where it does not answer in time the job is believed in. */
int slurm_check_job(struct error *error);

/* Puts the job, which must be running, back into the queue, and says so or why not. */
void slurm_requeue(void);

/* Where a task of this job runs, once it is known that the job is still there: NAME:SLOTS,... and,
 * where agent is not NULL, what reaches a host, `HELPER reach', with the path of onward-host as
 * helper. Both are the caller's to free(). */
int slurm_place(const char *helper, char **hosts, char **agent, struct error *error);

/* `onward-host reach HOST COMMAND...': runs COMMAND by a shell on a host of the job, in a step of
 * its own that shares what the job has there, and whose loss is nothing to others. Returns only
 * when srun cannot be started. */
int slurm_reach(int argc, char **argv);

#endif
