/* segments.h - shared memory of MPI that dead processes left on this host.
 *
 * Each member has a segment of Open MPI's, /dev/shm/sm_segment.HOST.USER.JOB.RANK, which goes in
 * MPI_Finalize. Members that are killed leave theirs, in the memory that local copies need. */
#ifndef LAUNCH_SEGMENTS_H
#define LAUNCH_SEGMENTS_H

#include <stdint.h>

/* Removes those of this user and host that no process has mapped or open, whoever left them.
 * Returns how many. */
uint32_t segments_remove(void);

#endif
