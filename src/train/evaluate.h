/* evaluate.h - the score of the parameters on the test split, computed by the whole team. */
#ifndef TRAIN_EVALUATE_H
#define TRAIN_EVALUATE_H

#include "dataset.h"
#include "network.h"
#include "onward.h"

struct evaluation {
    double accuracy; /* part of the rows whose class was found, 0 to 1 */
    double loss;     /* mean cross-entropy, in nats */
};

/* Collective over the team. The test split is cut over the subtasks as a batch is, and each part
 * is taken `chunk` rows at a time, so the result has the same bits for any number of workers.
 * ONWARD_ERR_LOST: a member was lost, leave the step. Another error is this worker's own. */
int evaluate_test(struct onward *ow, const struct onward_role *role, const struct dataset *dataset,
                  uint32_t subtask_count, uint32_t chunk, struct network *network,
                  const float *parameters, struct evaluation *evaluation, struct error *error);

#endif
