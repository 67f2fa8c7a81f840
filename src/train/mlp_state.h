/* mlp_state.h - what the trainer `mlp` holds: the protected state, and the work space of a step.
 *
 * Everything protected is replicated, and changes in one place alone, at the end of a step after
 * its last communication (commit_step in mlp.c), so that the newest complete step is always whole
 * on the workers that finished it. */
#ifndef TRAIN_MLP_STATE_H
#define TRAIN_MLP_STATE_H

#include "dataset.h"
#include "evaluate.h"
#include "network.h"
#include "onward.h"
#include "train_config.h"

/* One evaluation of the history, at step number * evaluate_every. */
enum history_column { HISTORY_ACCURACY, HISTORY_LOSS, HISTORY_TRAINING_LOSS, HISTORY_COLUMNS };

enum best_column { BEST_ACCURACY, BEST_STEP, BEST_COLUMNS };

struct mlp {
    struct onward *ow;
    const struct config *config;
    const struct dataset *dataset;
    struct network_shape shape;
    uint32_t subtask_count;

    /* protected */
    float *parameters, *moments[OPTIMIZER_MAX_MOMENTS];
    float *best_parameters;             /* NULL unless keep_best */
    double best[BEST_COLUMNS];          /* step -1: none yet */
    double (*history)[HISTORY_COLUMNS]; /* NULL without evaluations */
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

/* Writes result.h5 into the run directory, after `steps` complete steps, whose state has the score.
 */
int mlp_write_result(const struct mlp *mlp, int64_t steps, const struct evaluation *score,
                     struct error *error);

#endif
