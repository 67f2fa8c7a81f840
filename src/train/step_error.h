/* step_error.h - what a failed onward call inside a step means to a trainer. */
#ifndef TRAIN_STEP_ERROR_H
#define TRAIN_STEP_ERROR_H

#include "error.h"

/* ONWARD_ERR_LOST passes through: the step is left, and onward_next has it done again. Anything
 * else would let a step count as complete that changed nothing on this worker, so it becomes this
 * worker's failure, with onward's text. */
static inline int step_error(const struct onward *ow, int code, struct error *error)
{
    return code == ONWARD_ERR_LOST ? code : error_set(error, code, "%s", onward_text(ow));
}

#endif
