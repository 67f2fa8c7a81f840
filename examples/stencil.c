/* stencil.c - heat on a plate: a 2-D field in blocks of rows and columns, one a worker, with an
 * exchange of halos over role.comm. Any worker may die, and workers may come and go: the field is
 * laid out anew for whoever is there, and each cell is computed the same way whoever owns it, so
 * the result has the same bits for any number of workers.
 *
 *     onward run -n 4 -- ./stencil [ROWS COLUMNS STEPS [down]]       down: the blocks are numbered
 *                                                                    down the columns
 *     onward run -n 4 --inject kill:worker=2@step=100 -- ./stencil */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onward.h"

struct plate {
    uint64_t dims[2];
    int64_t steps;
    bool is_down;         /* blocks are numbered down the columns, not along the rows */
    int field;            /* array of onward_shard */
    int grid[2], here[2]; /* blocks in each dimension, and which one is ours */
    uint64_t first[2], size[2];
    double *framed; /* the block with a halo of one cell around it */
};

/* size = p x q with p <= q, as square as it gets. */
static void make_grid(int size, int grid[2])
{
    grid[0] = 1;
    for (int p = 1; p * p <= size; p++)
        if (size % p == 0)
            grid[0] = p;
    grid[1] = size / grid[0];
}

/* Which block in each dimension is that of a rank; and back. */
static void find_block(const struct plate *plate, const int grid[2], int rank, int at[2])
{
    at[0] = plate->is_down ? rank % grid[0] : rank / grid[1];
    at[1] = plate->is_down ? rank / grid[0] : rank % grid[1];
}

static int rank_of(const struct plate *plate, const int grid[2], const int at[2])
{
    return plate->is_down ? at[1] * grid[0] + at[0] : at[0] * grid[1] + at[1];
}

/* What worker `rank` of `size` owns: one block. */
static int layout(void *context, const struct onward_role *role, struct onward_slab *slabs)
{
    const struct plate *plate = context;
    int grid[2], at[2];
    make_grid(role->size, grid);
    find_block(plate, grid, role->rank, at);
    for (int d = 0; d < 2; d++)
        onward_slab_block(slabs, d, plate->dims[d], at[d], grid[d]);
    return 1;
}

static double *cell(const struct plate *plate, uint64_t row, uint64_t column)
{
    return &plate->framed[row * (plate->size[1] + 2) + column];
}

/* The first step of a role: the block may be another one, and its bits are those of role->step. */
static int take_block(struct onward *ow, struct plate *plate, const struct onward_role *role)
{
    struct onward_slab slab;
    double *own = onward_part(ow, plate->field, NULL);
    make_grid(role->size, plate->grid);
    layout(plate, role, &slab);
    find_block(plate, plate->grid, role->rank, plate->here);
    for (int d = 0; d < 2; d++) {
        plate->first[d] = slab.start[d];
        plate->size[d] = slab.block[d];
    }
    free(plate->framed);
    plate->framed = calloc((plate->size[0] + 2) * (plate->size[1] + 2), sizeof(double));
    if (!plate->framed)
        return -1;
    for (uint64_t i = 0; own && role->step == 0 && i < plate->size[0]; i++)
        for (uint64_t j = 0; j < plate->size[1]; j++)
            own[i * plate->size[1] + j] =
                (double)((plate->first[0] + i) * 31 % 101 + (plate->first[1] + j) * 17 % 103);
    return 0;
}

/* Rank of the neighbour `by` blocks on in dimension d; none beyond the edge of the plate. */
static int neighbour(const struct plate *plate, int d, int by)
{
    int at[2] = {plate->here[0], plate->here[1]};
    at[d] += by;
    if (at[d] < 0 || at[d] >= plate->grid[d])
        return MPI_PROC_NULL;
    return rank_of(plate, plate->grid, at);
}

/* With the four neighbours at once; a failed exchange is no matter: the step is thrown away then.
 * (No MPI_Sendrecv: that of Open MPI 5.0 crashes when it fails beside the edge of the plate.) */
static void exchange_halos(const struct plate *plate, MPI_Comm comm)
{
    uint64_t rows = plate->size[0], columns = plate->size[1];
    MPI_Request requests[8];
    int count = 0;
    MPI_Datatype line;
    MPI_Type_vector((int)rows, 1, (int)columns + 2, MPI_DOUBLE, &line);
    MPI_Type_commit(&line);
    for (int by = -1; by <= 1; by += 2) {
        int up = neighbour(plate, 0, by), side = neighbour(plate, 1, by);
        double *row = cell(plate, by < 0 ? 1 : rows, 1);
        double *column = cell(plate, 1, by < 0 ? 1 : columns);
        double *halo_row = cell(plate, by < 0 ? 0 : rows + 1, 1);
        double *halo_column = cell(plate, 1, by < 0 ? 0 : columns + 1);
        MPI_Irecv(halo_row, (int)columns, MPI_DOUBLE, up, 0, comm, &requests[count++]);
        MPI_Irecv(halo_column, 1, line, side, 1, comm, &requests[count++]);
        MPI_Isend(row, (int)columns, MPI_DOUBLE, up, 0, comm, &requests[count++]);
        MPI_Isend(column, 1, line, side, 1, comm, &requests[count++]);
    }
    for (int i = 0; i < count;
         i++) /* each to its end: MPI_Waitall leaves some open when one fails */
        MPI_Wait(&requests[i], MPI_STATUS_IGNORE);
    MPI_Type_free(&line);
}

static void do_step(struct onward *ow, const struct plate *plate, const struct onward_role *role)
{
    double *own = onward_part(ow, plate->field, NULL);
    uint64_t columns = plate->size[1];
    for (uint64_t i = 0; i < plate->size[0]; i++)
        memcpy(cell(plate, i + 1, 1), &own[i * columns], columns * sizeof(double));
    exchange_halos(plate, role->comm);
    for (uint64_t i = 1; i <= plate->size[0]; i++)
        for (uint64_t j = 1; j <= columns; j++)
            own[(i - 1) * columns + j - 1] =
                0.5 * *cell(plate, i, j) +
                0.125 * (*cell(plate, i - 1, j) + *cell(plate, i + 1, j)) +
                0.125 * (*cell(plate, i, j - 1) + *cell(plate, i, j + 1));
}

/* The order of an addition changes its bits, so what is summed are the bits themselves. */
static void print_checksum(struct onward *ow, const struct plate *plate,
                           const struct onward_role *role)
{
    const double *own = onward_part(ow, plate->field, NULL);
    uint64_t sum = 0, total = 0;
    for (uint64_t i = 0; i < plate->size[0]; i++)
        for (uint64_t j = 0; j < plate->size[1]; j++) {
            uint64_t bits, place = (plate->first[0] + i) * plate->dims[1] + plate->first[1] + j;
            memcpy(&bits, &own[i * plate->size[1] + j], sizeof bits);
            sum += (bits ^ place) * 0x9e3779b97f4a7c15u;
        }
    MPI_Reduce(&sum, &total, 1, MPI_UINT64_T, MPI_SUM, 0, role->comm);
    if (role->rank == 0)
        printf("checksum of the field %016llx\n", (unsigned long long)total);
}

static void work(struct onward *ow, struct plate *plate)
{
    struct onward_role role;
    int verdict;
    if (onward_shard(ow, "temperature", ONWARD_DOUBLE, 2, plate->dims, layout, plate,
                     &plate->field) != ONWARD_OK ||
        onward_describe(ow, "temperature", "row,column", "K") != ONWARD_OK)
        return;
    while ((verdict = onward_next(ow, &role)) > ONWARD_DONE) {
        if (role.changed && take_block(ow, plate, &role) != 0)
            return;
        if (verdict == ONWARD_STEP)
            do_step(ow, plate, &role);
        else /* ONWARD_FINISH */
            print_checksum(ow, plate, &role);
    }
}

int main(int argc, char **argv)
{
    struct plate plate = {.dims = {512, 512}, .steps = 1000};
    struct onward_options options;
    struct onward *ow;
    plate.is_down = argc == 5 && strcmp(argv[4], "down") == 0;
    if (argc >= 4) {
        plate.dims[0] = strtoull(argv[1], NULL, 10);
        plate.dims[1] = strtoull(argv[2], NULL, 10);
        plate.steps = strtoll(argv[3], NULL, 10);
    }
    onward_options_init(&options);
    options.subtask_count = 64; /* at most so many workers */
    options.step_count = plate.steps;
    options.wants_finish = true;
    if (onward_open(MPI_COMM_NULL, &options, &ow) != ONWARD_OK) {
        fprintf(stderr, "stencil: %s\n", onward_text(NULL));
        return 1;
    }
    if (onward_is_controller(ow))
        onward_control(ow);
    else
        work(ow, &plate);
    free(plate.framed);
    return onward_exit_code(onward_close(ow));
}
