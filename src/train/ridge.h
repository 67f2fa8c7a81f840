/* ridge.h - the trainer `ridge`: ridge regression, and classification by regression on one-hot
 * targets, on raw or random Fourier features, with ScaLAPACK. */
#ifndef TRAIN_RIDGE_H
#define TRAIN_RIDGE_H

#include "dataset.h"
#include "onward.h"
#include "train_config.h"

/* As mlp_run: does the steps of the task until it is complete, as a worker, and writes result.h5.
 * Where the system of a lambda is not positive definite the task is given up, with a text that
 * names it. */
int ridge_run(struct onward *ow, const struct config *config, const struct dataset *dataset,
              struct error *error);

#endif
