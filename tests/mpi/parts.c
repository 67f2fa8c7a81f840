/* parts.c - a sharded field whose parts are right for one number of workers alone, as those of a
 * program are that has a number built in.
 *
 *     parts RIGHT overlap|holes|both|lie|cyclic|even|many [STEPS]
 *
 * By any other number than RIGHT of workers some elements are in two parts, or in none, or (both)
 * as many in none as in two, so that their number is right. Or (lie) the answers of the processes
 * do not agree, as they have to: each takes itself for rank 0. Or (cyclic) all is right, by any
 * number: rows are dealt out in turn, BLOCK at a time. Or (even) all is right by an even number,
 * and by another one there is no layout. Or (many) all is
 * right, as for cyclic, and there are MORE arrays, each of as many hyperslabs a worker as one may
 * have. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "onward.h"

enum { ROWS = 60, COLUMNS = 100, BLOCK = 7, STEP_US = 1000 };
enum { MORE = 7, MORE_BLOCK = 6, MORE_LENGTH = ONWARD_MAX_SLABS * MORE_BLOCK };

struct parts {
    int right; /* number of workers */
    int here;  /* rank among them, at first */
    const char *mistake;
    int field;
    int more[MORE];
};

static int layout(void *context, const struct onward_role *role, struct onward_slab *slabs)
{
    const struct parts *parts = context;
    int rank = role->rank, size = role->size;
    onward_slab_block(slabs, 0, ROWS, rank, size);
    bool is_cyclic = strcmp(parts->mistake, "cyclic") == 0 || strcmp(parts->mistake, "many") == 0;
    if (is_cyclic)
        onward_slab_cyclic(slabs, 0, ROWS, BLOCK, rank, size);
    if (strcmp(parts->mistake, "even") == 0)
        return size % 2 == 0 ? 1 : ONWARD_ERR_ARGUMENT;
    if (is_cyclic || size == parts->right)
        return 1;
    if (strcmp(parts->mistake, "lie") == 0)
        onward_slab_block(slabs, 0, ROWS,
                          rank == parts->here ? 0
                          : rank == 0         ? parts->here
                                              : rank,
                          size);
    else if (strcmp(parts->mistake, "overlap") == 0) /* one more row than it has */
        slabs->stride[0] = ++slabs->block[0];
    else if (strcmp(parts->mistake, "holes") == 0) /* one less */
        slabs->stride[0] = --slabs->block[0];
    else if (rank == size - 1) /* what the first has, too */
        onward_slab_block(slabs, 0, ROWS, 0, size);
    return 1;
}

/* Of each block its share. */
static int lay_out_more(void *context, const struct onward_role *role, struct onward_slab *slabs)
{
    (void)context;
    for (uint64_t i = 0; i < ONWARD_MAX_SLABS; i++) {
        onward_slab_block(&slabs[i], 0, MORE_BLOCK, role->rank, role->size);
        slabs[i].start[0] += i * MORE_BLOCK;
    }
    return ONWARD_MAX_SLABS;
}

static int protect_more(struct onward *ow, struct parts *parts)
{
    const uint64_t dims[] = {MORE_LENGTH};
    int code = ONWARD_OK;
    for (int i = 0; i < MORE && code == ONWARD_OK; i++) {
        char name[] = {'m', 'o', 'r', 'e', (char)('0' + i), '\0'};
        code = onward_shard(ow, name, ONWARD_DOUBLE, 1, dims, lay_out_more, parts, &parts->more[i]);
    }
    return code;
}

static void change(struct onward *ow, int array, const struct onward_role *role)
{
    uint64_t count = 0;
    double *own = onward_part(ow, array, &count);
    for (uint64_t i = 0; i < count; i++)
        own[i] = 0.5 * own[i] + (double)(role->step % 7) + array;
}

static void do_step(struct onward *ow, const struct parts *parts, const struct onward_role *role)
{
    usleep(STEP_US);
    MPI_Barrier(role->comm);
    change(ow, parts->field, role);
    for (int i = 0; i < MORE && strcmp(parts->mistake, "many") == 0; i++)
        change(ow, parts->more[i], role);
}

static int work(struct onward *ow, struct parts *parts)
{
    const uint64_t dims[] = {ROWS, COLUMNS};
    struct onward_role role;
    int verdict = onward_shard(ow, "field", ONWARD_DOUBLE, 2, dims, layout, parts, &parts->field);
    if (verdict == ONWARD_OK)
        verdict = onward_describe(ow, "field", "line,place", "m/s");
    if (verdict == ONWARD_OK && strcmp(parts->mistake, "many") == 0)
        verdict = protect_more(ow, parts);
    if (verdict != ONWARD_OK)
        return verdict;
    while ((verdict = onward_next(ow, &role)) > ONWARD_DONE)
        if (verdict == ONWARD_STEP)
            do_step(ow, parts, &role);
    return verdict;
}

int main(int argc, char **argv)
{
    struct parts parts = {.right = argc > 2 ? atoi(argv[1]) : 0,
                          .mistake = argc > 2 ? argv[2] : ""};
    struct onward_options options;
    struct onward *ow;
    const char *rank = getenv("OMPI_COMM_WORLD_RANK"); /* behind the controller's */
    parts.here = rank ? atoi(rank) - 1 : 0;
    onward_options_init(&options);
    options.subtask_count = 8;
    options.step_count = argc > 3 ? atoll(argv[3]) : 100;
    options.program = "parts";
    int code = onward_open(MPI_COMM_NULL, &options, &ow);
    if (code != ONWARD_OK) {
        fprintf(stderr, "parts: %s\n", onward_text(NULL));
        return onward_exit_code(code);
    }
    code = onward_is_controller(ow) ? onward_control(ow) : work(ow, &parts);
    if (code < 0)
        fprintf(stderr, "parts: %s\n", onward_text(ow));
    return onward_exit_code(onward_close(ow));
}
