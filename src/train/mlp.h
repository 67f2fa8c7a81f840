/* mlp.h - the trainer `mlp`: a multi-layer perceptron by synchronous mini-batch descent. */
#ifndef TRAIN_MLP_H
#define TRAIN_MLP_H

#include "dataset.h"
#include "onward.h"
#include "train_config.h"

/* Does the steps of the task until it is complete, as a worker, and writes result.h5. ONWARD_OK
 * when onward_next ended the loop, whatever the task came to, which onward_close tells; else the
 * failure of this worker alone. */
int mlp_run(struct onward *ow, const struct config *config, const struct dataset *dataset,
            struct error *error);

#endif
