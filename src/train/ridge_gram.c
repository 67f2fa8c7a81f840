/* ridge_gram.c - one batch into Z'Z and Z'Y.
 *
 * A subtask is the features of one block of samples. Each worker makes those of its own subtasks
 * and sends every other worker the columns of Z that this one needs: for its part of Z'Z the
 * columns of its rows and those of its columns. Then each multiplies for its own blocks, below the
 * diagonal alone, which needs no communication: one dgemm a block column, or one dsyrk where it is
 * alone. This moves as much as pdsyrk would and has no synchronisation inside. */
#include <cblas.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ridge_state.h"
#include "step_error.h"

/* What one worker takes of a row of Z: the columns of `first`, then those of `then` of the targets.
 */
struct take {
    struct blocks first, then; /* then.extent 0: nothing */
};

/* Copies what is taken of one row, block by block; returns the end. */
static double *copy_blocks(const struct blocks *blocks, const double *from, double *to)
{
    for (uint64_t begin = blocks->rank * blocks->block; begin < blocks->extent;
         begin += blocks->size * blocks->block) {
        uint64_t left = blocks->extent - begin;
        uint64_t count = left < blocks->block ? left : blocks->block;
        memcpy(to, from + begin, count * sizeof *to);
        to += count;
    }
    return to;
}

static struct take take_of(const struct ridge *ridge, int rank, bool for_rows)
{
    if (for_rows)
        return (struct take){ridge_rows(ridge, rank), {0, 1, 0, 1}};
    return (struct take){ridge_columns(ridge, rank), ridge_right(ridge, rank)};
}

static uint64_t take_width(const struct take *take)
{
    return blocks_count(&take->first) + blocks_count(&take->then);
}

/* How many samples of this step the worker has. */
static uint64_t samples_of(const struct ridge *ridge, int rank)
{
    uint64_t first, count;
    uint32_t subtasks = (uint32_t)ridge->config->subtasks, size = (uint32_t)ridge->role.size;
    uint64_t begin, subtask_count;
    dataset_part(subtasks, size, (uint32_t)rank, &begin, &subtask_count);
    ridge_samples(ridge, ridge->role.step, (uint32_t)begin, (uint32_t)subtask_count, &first,
                  &count);
    return count;
}

/* One half of the exchange: afterwards `part` is [samples of the batch, width of what is taken]. */
static int exchange(struct ridge *ridge, uint64_t own, bool for_rows, double *part)
{
    int size = ridge->role.size;
    uint64_t stride = ridge->terms + ridge->targets;
    int *counts = calloc((size_t)size * 2, sizeof *counts);
    if (!counts)
        return ONWARD_ERR_MEMORY;
    struct take mine = take_of(ridge, ridge->role.rank, for_rows);
    double *to = ridge->packed;
    for (int rank = 0; rank < size; rank++) {
        struct take take = take_of(ridge, rank, for_rows);
        counts[rank] = (int)(own * take_width(&take));
        counts[size + rank] = (int)(samples_of(ridge, rank) * take_width(&mine));
        for (uint64_t i = 0; i < own; i++) {
            to = copy_blocks(&take.first, ridge->z + i * stride, to);
            to = copy_blocks(&take.then, ridge->z + i * stride + ridge->terms, to);
        }
    }
    int code = grid_exchange(ridge->role.comm, ridge->packed, counts, part, counts + size);
    free(counts);
    return code;
}

/* Adds to the own blocks of Z'Z and Z'Y. down: [samples, rows], across: [samples, columns, and the
 * targets from column `targets_at` on], both row-major with these strides. */
struct factors {
    const double *down, *across;
    uint64_t down_stride, across_stride, targets_at, samples;
};

static void multiply_gram(const struct ridge *ridge, const struct factors *factors)
{
    const struct blocks rows = ridge_rows(ridge, ridge->role.rank);
    const struct blocks columns = ridge_columns(ridge, ridge->role.rank);
    const struct ridge_share *share = &ridge->share;
    double *gram = onward_part(ridge->ow, ridge->gram, NULL);
    if (ridge->role.size == 1) { /* packs Z once, where a dgemm a block column does each time */
        cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, (int)share->rows,
                    (int)factors->samples, 1.0, factors->down, (int)factors->down_stride, 1.0, gram,
                    (int)share->rows);
        return;
    }
    for (uint64_t at = 0; at < share->columns; at += ridge->block) {
        uint64_t width = share->columns - at < ridge->block ? share->columns - at : ridge->block;
        uint64_t from = blocks_first_from(&rows, blocks_global(&columns, at));
        if (from < share->rows)
            cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, (int)(share->rows - from),
                        (int)width, (int)factors->samples, 1.0, factors->down + from,
                        (int)factors->down_stride, factors->across + at,
                        (int)factors->across_stride, 1.0, gram + at * share->rows + from,
                        (int)share->rows);
    }
}

static void multiply(const struct ridge *ridge, const struct factors *factors)
{
    const struct ridge_share *share = &ridge->share;
    double *moments = onward_part(ridge->ow, ridge->moments, NULL);
    if (factors->samples == 0 || share->rows == 0)
        return;
    multiply_gram(ridge, factors);
    if (share->right > 0)
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, (int)share->rows, (int)share->right,
                    (int)factors->samples, 1.0, factors->down, (int)factors->down_stride,
                    factors->across + factors->targets_at, (int)factors->across_stride, 1.0,
                    moments, (int)share->rows);
}

int ridge_accumulate(struct ridge *ridge, struct error *error)
{
    uint64_t first, own, stride = ridge->terms + ridge->targets, all, unused;
    const struct ridge_share *share = &ridge->share;
    ridge_samples(ridge, ridge->role.step, ridge->role.first, ridge->role.count, &first, &own);
    ridge_samples(ridge, ridge->role.step, 0, (uint32_t)ridge->config->subtasks, &unused, &all);
    int code = ridge_make_rows(ridge, ridge->dataset->train, first, own, ridge->z, error);
    if (code != ONWARD_OK)
        return code;
    struct factors factors = {ridge->z, ridge->z, stride, stride, ridge->terms, all};
    if (ridge->role.size > 1) {
        factors = (struct factors){ridge->row_part, ridge->column_part,
                                   share->rows,     share->columns + share->right,
                                   share->columns,  all};
        code = exchange(ridge, own, true, ridge->row_part);
        if (code == ONWARD_OK)
            code = exchange(ridge, own, false, ridge->column_part);
    }
    if (code == ONWARD_OK && !onward_ok(ridge->ow))
        code = ONWARD_ERR_LOST;
    if (code == ONWARD_ERR_MEMORY)
        return error_set(error, code, "no memory for an exchange of %d workers", ridge->role.size);
    if (code == ONWARD_OK)
        multiply(ridge, &factors);
    return code;
}
