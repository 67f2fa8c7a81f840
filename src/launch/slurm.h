/* slurm.h - the allocation of Slurm that onward runs in, as Slurm describes it to a job. */
#ifndef LAUNCH_SLURM_H
#define LAUNCH_SLURM_H

#include <stdbool.h>
#include <stddef.h>

#include "hosts.h"
#include "places.h"

/* Are we in a job of Slurm (below sbatch or salloc)? SLURM_JOB_ID says so. */
bool slurm_is_inside(void);

/* The ID of the job, or NULL. */
const char *slurm_job(void);

/* When the time of the job is over, in seconds since 1970 (SLURM_JOB_END_TIME); 0: this is no job,
 * or that is not known. */
double slurm_end_time_s(void);

/* The hosts of the job and as many slots on each as tasks were asked for, from SLURM_JOB_NODELIST
 * and SLURM_TASKS_PER_NODE (without it, or by_cpus, from SLURM_JOB_CPUS_PER_NODE); the list is the
 * caller's to clear. ONWARD_ERR_INPUT names the variable that is missing, does not parse, or does
 * not fit the others. */
int slurm_hosts(bool by_cpus, struct hosts *hosts, struct error *error);

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
int slurm_place(const char *helper, bool by_cpus, char **hosts, char **agent, struct error *error);

/* Takes that host out of the job, which goes on without it, and out of the variables of this
 * process that describe the job. ONWARD_ERR_IO with what Slurm said. Bounded. */
int slurm_give_host(const struct places *places, const char *host, struct error *error);
/* `onward-host give-back HOST': the same, but for the variables; prints which hosts are left. */
int slurm_give_back(const char *host);

/* `onward-host reach HOST COMMAND...': runs COMMAND by a shell on a host of the job, or of one that
 * joined (slurm_joined.h), in a step of its own that shares what the job has there, and whose loss
 * is nothing to others. Returns only when srun cannot be started. */
int slurm_reach(int argc, char **argv);

#endif
