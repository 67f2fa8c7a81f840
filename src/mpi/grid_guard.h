/* grid_guard.h - MPI as BLACS sees it: calls that always return, also when a worker was lost.
 *
 * ScaLAPACK looks at no return code, and BLACS ends the job on one that it did not expect. After a
 * loss, workers wait in communicators in which nobody died for those that met the error; to revoke
 * these communicators crashes Open MPI 5 where it cuts a long message between two living workers.
 * So BLACS' calls come here instead (MPI's profiling interface), between grid_guard_enter and
 * grid_guard_leave: none of them waits without looking whether the team was revoked, and from then
 * on they all do nothing and report success, so that ScaLAPACK soon runs to its end, on garbage. */
#ifndef MPI_GRID_GUARD_H
#define MPI_GRID_GUARD_H

#include <mpi.h>

/* The most workers of a grid. */
enum { GRID_GUARD_MOST_WORKERS = 4096 };

/* Calls on the communicators of BLACS are guarded from now on; team: that whose revocation tells of
 * a loss. Local. */
void grid_guard_enter(MPI_Comm team);
/* They are not any more. Collective over the team: ONWARD_OK only when nothing went wrong on any
 * worker, else ONWARD_ERR_LOST; the team is revoked then. */
int grid_guard_leave(void);
/* How many communicators BLACS has derived since grid_guard_enter. */
int grid_guard_derived(void);

#endif
