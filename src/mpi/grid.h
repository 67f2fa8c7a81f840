/* grid.h - a process grid over the workers of an epoch, and what runs on it: the one user of BLACS
 * and ScaLAPACK, and the communication of block-cyclic arrays around them.
 *
 * A grid belongs to one communicator. It is not taken apart: at an epoch change the communicator is
 * revoked, and with it what BLACS derived from it, so the context of a dead epoch is abandoned, a
 * few kilobytes each. A worker lost inside of ScaLAPACK makes the calls of the others return early,
 * on garbage, which is then told by LOST (grid_guard.h).
 *
 * All functions but grid_shape are collective over the communicator, and return enum onward_error;
 * ONWARD_ERR_LOST when a loss came between. */
#ifndef MPI_GRID_H
#define MPI_GRID_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct grid;

/* rows x columns = size, as near to a square as it gets, rows <= columns. Worker `rank` is in row
 * rank / columns and column rank % columns. Local, thread-safe. */
void grid_shape(int size, int *rows, int *columns);

/* ONWARD_OK only when all workers said healthy. LOST: one did not, or the team was revoked before
 * this worker heard of all; then it is revoked for the others too, if it was not yet. */
int grid_agree(MPI_Comm comm, bool healthy);

/* Makes the grid; *grid is the caller's. Errors: LOST, MEMORY, LIMIT, MPI. */
int grid_open(MPI_Comm comm, struct grid **grid, struct error *error);
/* Frees the handle; the context is abandoned. Local. NULL is allowed. */
void grid_abandon(struct grid *grid);

/* A symmetric positive definite system of `order` unknowns with `right` right-hand sides, both
 * block-cyclic in blocks of `block` x `block` from the first process of the grid on, column-major
 * local arrays. The lower triangle of matrix is replaced by its Cholesky factor, solution by the
 * solution (pdpotrf, pdpotrs). *info: 0, or the order of the leading minor that is not positive
 * definite, the same on all. ARGUMENT when ScaLAPACK refuses the system. */
struct grid_system {
    int order, right, block;
    double *matrix, *solution;
};
int grid_solve(const struct grid *grid, const struct grid_system *system, int *info);

/* Sends send_counts[k] doubles to worker k, which lie in send one behind the other, and receives
 * receive_counts[k] from worker k likewise. */
int grid_exchange(MPI_Comm comm, const double *send, const int *send_counts, double *receive,
                  const int *receive_counts);

/* Each element becomes its sum over all workers. */
int grid_sum(MPI_Comm comm, double *values, int count);

#endif
