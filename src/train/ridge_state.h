/* ridge_state.h - what the trainer `ridge` holds.
 *
 * With Z the features of all samples that are learned from [samples, terms] and Y their targets
 * [samples, targets], the weights W solve (Z'Z + lambda I) W = Z'Y, where the constant term is not
 * penalised. Z'Z and Z'Y are sharded arrays in ScaLAPACK's block-cyclic layout, column-major (so of
 * dims {columns, rows}), of Z'Z the lower triangle alone. W for each lambda, and its scores, are
 * replicated. */
#ifndef TRAIN_RIDGE_STATE_H
#define TRAIN_RIDGE_STATE_H

#include "blocks.h"
#include "dataset.h"
#include "feature_map.h"
#include "grid.h"
#include "onward.h"
#include "train_config.h"

/* Scores of one lambda, over held-out rows and test rows. */
enum score_column {
    SCORE_HELD_CORRECT, /* rows classified right; 0 for target: value */
    SCORE_HELD_SQUARES, /* sum of squared errors over rows and targets */
    SCORE_TEST_CORRECT,
    SCORE_TEST_SQUARES,
    SCORE_COLUMNS
};

/* Of one worker in the role: extents of its parts. */
struct ridge_share {
    uint64_t rows, columns; /* of Z'Z */
    uint64_t right;         /* columns of Z'Y, of the same rows */
};

struct ridge {
    struct onward *ow;
    const struct config *config;
    const struct dataset *dataset;
    struct features *features;
    uint64_t terms, targets, block;
    uint64_t learn_rows;                /* first rows of the training split; the rest is held out */
    int gram, moments, weights, scores; /* arrays of onward */

    /* of the role */
    struct onward_role role;
    int grid_rows, grid_columns;
    struct ridge_share share;
    struct grid *grid; /* NULL until it is needed */

    /* work space: samples of a chunk; features and targets of the own samples of a step, and of all
     * samples those that the own parts need */
    float *x;
    int32_t *y;
    double *z, *packed, *row_part, *column_part;
};

enum { RIDGE_CHUNK = 512 };

int ridge_create(struct onward *ow, const struct config *config, const struct dataset *dataset,
                 struct ridge **ridge, struct error *error);
void ridge_destroy(struct ridge *ridge);

/* The first step of a role: the parts have other addresses and extents, the grid is another. */
int ridge_take_role(struct ridge *ridge, const struct onward_role *role, struct error *error);

/* Dimensions of the arrays as the worker `rank` of the lineup has them. */
struct blocks ridge_rows(const struct ridge *ridge, int rank);
struct blocks ridge_columns(const struct ridge *ridge, int rank);
struct blocks ridge_right(const struct ridge *ridge, int rank);
struct ridge_share ridge_share_of(const struct ridge *ridge, int rank);

/* Features and targets of `count` rows from `first` on of a split, a row of terms + targets each.
 */
int ridge_make_rows(struct ridge *ridge, struct reader *reader, uint64_t first, uint64_t count,
                    double *z, struct error *error);

/* The samples of subtask k of step `step`, as rows of the training split. */
void ridge_samples(const struct ridge *ridge, int64_t step, uint32_t first_subtask,
                   uint32_t subtask_count, uint64_t *first, uint64_t *count);

/* One batch into Z'Z and Z'Y (ridge_gram.c). */
int ridge_accumulate(struct ridge *ridge, struct error *error);
/* The weights of lambda number `index` (ridge_solve.c). GAVE_UP, on all workers, where the system
 * is not positive definite. */
int ridge_solve(struct ridge *ridge, uint32_t index, struct error *error);
/* Scores of all (ridge_score.c). */
int ridge_score(struct ridge *ridge, struct error *error);
/* Which lambda is best by the held-out rows. */
uint32_t ridge_best(const struct ridge *ridge);
/* Mean of a score over its rows: part right, or mean squared error. */
double ridge_mean(const struct ridge *ridge, uint32_t index, enum score_column column);
int ridge_write_result(const struct ridge *ridge, struct error *error);

#endif
