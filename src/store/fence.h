/* fence.h - whether this side may still write, asked right before something becomes visible.
 *
 * What is put in place was written before, which may have taken any time: a file server hangs, a
 * virtual machine is paused. Meanwhile another incarnation may have claimed the task. */
#ifndef STORE_FENCE_H
#define STORE_FENCE_H

#include "error.h"

/* check: ONWARD_OK, else nothing is put in place and what it returned is what the call returns. */
struct fence {
    int (*check)(const void *context, struct error *error);
    const void *context;
};

/* NULL: there is none, and all may be written. */
static inline int fence_check(const struct fence *fence, struct error *error)
{
    return fence ? fence->check(fence->context, error) : ONWARD_OK;
}

#endif
