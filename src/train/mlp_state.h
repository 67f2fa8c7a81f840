/* mlp_state.h - what the trainer `mlp` holds: the protected state, and the work space of a step.
 *
 * Everything protected is replicated and in onward's memory: a step reads the state before it, and
 * writes the next one in one place alone (commit_step in mlp.c). What a step does not write stays.
 */
#ifndef TRAIN_MLP_STATE_H
#define TRAIN_MLP_STATE_H

#include "dataset.h"
#include "evaluate.h"
#include "network.h"
#include "onward.h"
#include "optimizer.h"
#include "train_config.h"

/* One evaluation of the history, at step number * evaluate_every. */
enum history_column { HISTORY_ACCURACY, HISTORY_LOSS, HISTORY_TRAINING_LOSS, HISTORY_COLUMNS };

enum best_column { BEST_ACCURACY, BEST_STEP, BEST_COLUMNS };

/* The protected arrays, as onward numbers them (`array` below). */
enum mlp_array {
    ARRAY_PARAMETERS,
    ARRAY_MOMENT1,
    ARRAY_MOMENT2,
    ARRAY_BEST_PARAMETERS,
    ARRAY_BEST,
    ARRAY_HISTORY,
    ARRAY_COUNT
};

struct mlp {
    struct onward *ow;
    const struct config *config;
    const struct dataset *dataset;
    struct network_shape shape;
    uint32_t subtask_count;

    /* protected: the state after the newest complete step, as of mlp_read_state */
    struct optimizer_state state;
    const float *best_parameters;             /* NULL unless keep_best */
    const double *best;                       /* step -1: none yet */
    const double (*history)[HISTORY_COLUMNS]; /* NULL without evaluations */
    int array[ARRAY_COUNT];                   /* -1: there is none */
    uint64_t history_length; /* by the steps of the config, so it is the same in each run of it */

    /* work space */
    struct network *network;
    uint32_t chunk;    /* rows the network has room for: fixed by the config */
    uint64_t *indices; /* samples of one subtask */
    float *total;      /* the summed gradient, and behind it the summed loss */
};

int mlp_create(struct onward *ow, const struct config *config, const struct dataset *dataset,
               struct mlp **mlp, struct error *error);
void mlp_destroy(struct mlp *mlp);

/* The state moves with each step: after each onward_next, before anything is read. */
void mlp_read_state(struct mlp *mlp);

/* Writes result.h5 into the run directory, after `steps` complete steps, whose state has the score.
 */
int mlp_write_result(const struct mlp *mlp, int64_t steps, const struct evaluation *score,
                     struct error *error);

#endif
