/* told.h - who says how a task ended. */
#ifndef BASE_TOLD_H
#define BASE_TOLD_H

#include <stdbool.h>
#include <stdlib.h>

#include "onward.h"

/* Whether the launcher says it, so that a program need not: of these codes the controller has told
 * it why. */
static inline bool end_is_told(int code)
{
    return getenv("ONWARD_INCARNATION") &&
           (code == ONWARD_ERR_STOPPED || code == ONWARD_ERR_GAVE_UP ||
            code == ONWARD_ERR_TOO_FEW || code == ONWARD_ERR_INPUT);
}

#endif
