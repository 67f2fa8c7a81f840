/* grid.c - see grid.h.
 *
 * BLACS derives communicators of its own (rows, columns, all) from the one it is given, and they
 * inherit its error handler. Ours revokes the communicator that failed, so that nobody in that
 * scope waits for a worker that went on, and hands the error to the handler of the team, which
 * notes the loss. */
#include "grid.h"

#include <limits.h>
#include <stdlib.h>

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

/* MPI hands an error handler nothing but the communicator, which BLACS derived from ours. */
static MPI_Comm the_team = MPI_COMM_NULL;

static void on_error(MPI_Comm *comm, int *error, ...)
{
    if (ulfm_is_loss(*error) && !ulfm_is_revoked(*comm))
        ulfm_revoke(*comm);
    if (the_team != MPI_COMM_NULL)
        MPI_Comm_call_errhandler(the_team, *error);
}

void grid_shape(int size, int *rows, int *columns)
{
    *rows = 1;
    for (int r = 1; r * r <= size; r++)
        if (size % r == 0)
            *rows = r;
    *columns = size / *rows;
}

int grid_agree(MPI_Comm comm, bool healthy)
{
    int flag = healthy;
    int code = ulfm_agree(comm, &flag);
    return code == MPI_SUCCESS && flag ? ONWARD_OK : ONWARD_ERR_LOST;
}

static int derive(struct grid *grid)
{
    MPI_Errhandler handler;
    int code = MPI_Comm_dup(grid->team, &grid->comm);
    if (grid_agree(grid->team, code == MPI_SUCCESS) != ONWARD_OK)
        return ONWARD_ERR_LOST;
    code = MPI_Comm_create_errhandler(on_error, &handler);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_set_errhandler(grid->comm, handler);
    if (code == MPI_SUCCESS)
        code = MPI_Errhandler_free(&handler);
    the_team = grid->team;
    return code == MPI_SUCCESS ? ONWARD_OK : ONWARD_ERR_MPI;
}

/* A worker lost while BLACS derives its communicators leaves it with null ones, on which MPI calls
 * the handlers of the two predefined communicators, which would end the process. */
static void init_blacs(struct grid *grid)
{
    MPI_Comm predefined[] = {MPI_COMM_WORLD, MPI_COMM_SELF};
    MPI_Errhandler before[2];
    for (int i = 0; i < 2; i++) {
        MPI_Comm_get_errhandler(predefined[i], &before[i]);
        MPI_Comm_set_errhandler(predefined[i], MPI_ERRORS_RETURN);
    }
    grid->context = Csys2blacs_handle(grid->comm);
    Cblacs_gridinit(&grid->context, "Row-major", grid->rows, grid->columns);
    for (int i = 0; i < 2; i++) {
        MPI_Comm_set_errhandler(predefined[i], before[i]);
        MPI_Errhandler_free(&before[i]);
    }
}

int grid_open(MPI_Comm comm, struct grid **result, struct error *error)
{
    int size, rows, columns;
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
    int code = derive(grid);
    if (code == ONWARD_ERR_MPI)
        error_set(error, code, "the communicator of the process grid cannot be made");
    if (code == ONWARD_OK) {
        init_blacs(grid);
        code = grid_agree(comm, true);
    }
    if (code == ONWARD_OK) {
        Cblacs_gridinfo(grid->context, &rows, &columns, &grid->row, &grid->column);
        if (rows != grid->rows || columns != grid->columns)
            code =
                error_set(error, ONWARD_ERR_MPI, "BLACS made a grid of %d x %d, expected %d x %d",
                          rows, columns, grid->rows, grid->columns);
    }
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
    int lowest;
    *info = 0;
    if (grid_agree(grid->team, true) != ONWARD_OK)
        return ONWARD_ERR_LOST;
    pdpotrf_("L", &n, system->matrix, &one, &one, matrix, info);
    int code = grid_agree(grid->team, true);
    if (code != ONWARD_OK)
        return code;
    if (MPI_Allreduce(info, &lowest, 1, MPI_INT, MPI_MAX, grid->team) != MPI_SUCCESS)
        return ONWARD_ERR_LOST;
    *info = lowest;
    if (lowest > 0)
        return ONWARD_OK;
    pdpotrs_("L", &n, &right, system->matrix, &one, &one, matrix, system->solution, &one, &one,
             solution, &lowest);
    return grid_agree(grid->team, true);
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
