/* grid.c - see grid.h. Calls of BLACS and ScaLAPACK are made under a guard (grid_guard.h). */
#include "grid.h"

#include <limits.h>
#include <stdlib.h>

#include "grid_guard.h"
#include "ulfm.h"

int Csys2blacs_handle(MPI_Comm comm);
void Cblacs_gridinit(int *context, const char *order, int rows, int columns);
void Cblacs_gridinfo(int context, int *rows, int *columns, int *row, int *column);
void pdpotrf_(const char *uplo, const int *n, double *a, const int *ia, const int *ja,
              const int *descriptor, int *info);
void pdpotrs_(const char *uplo, const int *n, const int *right, const double *a, const int *ia,
              const int *ja, const int *descriptor_a, double *b, const int *ib, const int *jb,
              const int *descriptor_b, int *info);

struct grid {
    MPI_Comm comm; /* of BLACS, derived from the team */
    MPI_Comm team;
    int context;
    int rows, columns, row, column;
};

/* In place of ScaLAPACK's, which prints: all that it says is in info, and after a loss it is
 * garbage.
 */
__attribute__((visibility("default"))) void pxerbla_(const int *context, const char *routine,
                                                     const int *info, size_t routine_size);
void pxerbla_(const int *context, const char *routine, const int *info, size_t routine_size)
{
    (void)context, (void)routine, (void)info, (void)routine_size;
}

void grid_shape(int size, int *rows, int *columns)
{
    *rows = 1;
    for (int r = 1; r * r <= size; r++)
        if (size % r == 0)
            *rows = r;
    *columns = size / *rows;
}

static int derive(struct grid *grid)
{
    int code = MPI_Comm_dup(grid->team, &grid->comm);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_set_errhandler(grid->comm, MPI_ERRORS_RETURN); /* BLACS' inherit it */
    return grid_agree(grid->team, code == MPI_SUCCESS);
}

static int init_blacs(struct grid *grid, struct error *error)
{
    int rows = -1, columns = -1;
    grid_guard_enter(grid->team);
    grid->context = Csys2blacs_handle(grid->comm);
    Cblacs_gridinit(&grid->context, "Row-major", grid->rows, grid->columns);
    int code = grid_guard_leave();
    if (code != ONWARD_OK)
        return code;
    Cblacs_gridinfo(grid->context, &rows, &columns, &grid->row, &grid->column);
    if (rows == grid->rows && columns == grid->columns && grid_guard_derived() > 0)
        return ONWARD_OK;
    return error_set(error, ONWARD_ERR_MPI,
                     "BLACS made a grid of %d x %d and %d communicators, expected %d x %d", rows,
                     columns, grid_guard_derived(), grid->rows, grid->columns);
}

int grid_open(MPI_Comm comm, struct grid **result, struct error *error)
{
    int size;
    struct grid *grid = calloc(1, sizeof *grid);
    *result = NULL;
    if (grid_agree(comm, grid != NULL) != ONWARD_OK) {
        int lost = grid ? ONWARD_ERR_LOST
                        : error_set(error, ONWARD_ERR_MEMORY, "no memory for a process grid");
        free(grid);
        return lost;
    }
    grid->team = comm;
    MPI_Comm_size(comm, &size);
    grid_shape(size, &grid->rows, &grid->columns);
    int code = size <= GRID_GUARD_MOST_WORKERS
                   ? derive(grid)
                   : error_set(error, ONWARD_ERR_LIMIT, "a process grid of %d workers, at most %d",
                               size, GRID_GUARD_MOST_WORKERS);
    if (code == ONWARD_OK)
        code = init_blacs(grid, error);
    if (code != ONWARD_OK)
        free(grid);
    else
        *result = grid;
    return code;
}

void grid_abandon(struct grid *grid)
{
    free(grid);
}

/* Rows of a block-cyclic array that the process row `row` of `rows` holds, at least 1. */
static int leading(int extent, int block, int row, int rows)
{
    int count = 0;
    for (int first = row * block; first < extent; first += rows * block)
        count += extent - first < block ? extent - first : block;
    return count > 0 ? count : 1;
}

int grid_solve(const struct grid *grid, const struct grid_system *system, int *info)
{
    const int one = 1;
    const int n = system->order, right = system->right, block = system->block;
    const int lead = leading(n, block, grid->row, grid->rows);
    const int matrix[] = {1, grid->context, n, n, block, block, 0, 0, lead};
    const int solution[] = {1, grid->context, n, right, block, block, 0, 0, lead};
    int own = 0;
    *info = 0;
    if (grid_agree(grid->team, true) != ONWARD_OK)
        return ONWARD_ERR_LOST;
    grid_guard_enter(grid->team);
    pdpotrf_("L", &n, system->matrix, &one, &one, matrix, &own);
    int code = grid_guard_leave();
    if (code == ONWARD_OK &&
        MPI_Allreduce(&own, info, 1, MPI_INT, MPI_MAX, grid->team) != MPI_SUCCESS)
        code = ONWARD_ERR_LOST;
    if (code != ONWARD_OK || *info > 0)
        return code;
    if (*info < 0)
        return ONWARD_ERR_ARGUMENT;
    grid_guard_enter(grid->team);
    pdpotrs_("L", &n, &right, system->matrix, &one, &one, matrix, system->solution, &one, &one,
             solution, &own);
    return grid_guard_leave();
}

int grid_exchange(MPI_Comm comm, const double *send, const int *send_counts, double *receive,
                  const int *receive_counts)
{
    int size;
    MPI_Comm_size(comm, &size);
    int *places = calloc((size_t)size * 2, sizeof *places);
    if (!places)
        return ONWARD_ERR_MEMORY;
    for (int k = 1; k < size; k++) {
        places[k] = places[k - 1] + send_counts[k - 1];
        places[size + k] = places[size + k - 1] + receive_counts[k - 1];
    }
    int code = MPI_Alltoallv(send, send_counts, places, MPI_DOUBLE, receive, receive_counts,
                             places + size, MPI_DOUBLE, comm);
    free(places);
    return code == MPI_SUCCESS ? ONWARD_OK : ONWARD_ERR_LOST;
}

int grid_sum(MPI_Comm comm, double *values, int count)
{
    int code = MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_DOUBLE, MPI_SUM, comm);
    return code == MPI_SUCCESS ? ONWARD_OK : ONWARD_ERR_LOST;
}
