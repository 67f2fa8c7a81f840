/* slurm_joined.h - hosts that came from other jobs of Slurm than the task's own: which job each is
 * of. It stands in the environment variable ONWARD_JOINED, HOST=JOB,..., so that what reaches a
 * host (onward-host reach), a child of mpirun's, knows it too. */
#ifndef LAUNCH_SLURM_JOINED_H
#define LAUNCH_SLURM_JOINED_H

#include <stdbool.h>

#include "hosts.h"

enum { SLURM_JOINED_JOB_BYTES = 64 };

/* Puts hosts of a job into the variable, or takes all of that job out of it. ONWARD_ERR_MEMORY. */
int slurm_joined_add(const struct hosts *hosts, const char *job, struct error *error);
int slurm_joined_drop(const char *job, struct error *error);

/* The job of a host into job; false: it is the task's own. */
bool slurm_joined_find(const char *host, char job[SLURM_JOINED_JOB_BYTES]);

/* The names of all these hosts, each with a comma in front; the caller's to free(). NULL: out of
 * memory. */
char *slurm_joined_names(void);

#endif
