/* sum_exchange.h - the canonical sum: partial sums along the tree, and their exchange by slices.
 *
 * Each worker folds its contributions into the maximal subtrees of its range (sumtree_cover). The
 * vector is then cut into as many slices as there are workers; worker j gets slice j of every
 * other worker's subtrees, folds them in tree order, and all slices are gathered. */
#ifndef MPI_SUM_EXCHANGE_H
#define MPI_SUM_EXCHANGE_H

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

struct sum;

struct sum *sum_create(void);
void sum_destroy(struct sum *sum);

/* Begins over subtasks [first, first+count) of subtask_count. is_double: else float. Local.
 * Returns enum onward_error (MEMORY). Vectors are kept for the next sum of the same size. */
int sum_begin(struct sum *sum, int is_double, size_t length, uint32_t subtask_count, uint32_t first,
              uint32_t count);
/* Where the next contribution goes; NULL when all are added or memory is short. */
void *sum_buffer(struct sum *sum);
/* Adds the next contribution, which must be that of `subtask`. */
int sum_add(struct sum *sum, uint32_t subtask, const void *contribution);
/* Collective over comm, whose ranks own the subtasks by lineup_split. Writes the total. */
int sum_end(struct sum *sum, MPI_Comm comm, void *total);
/* Forgets what was begun. */
void sum_cancel(struct sum *sum);

#endif
