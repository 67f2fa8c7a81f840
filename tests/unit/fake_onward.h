/* fake_onward.h - a test double of libonward: the workers of a task are threads of one process.
 *
 * fake_run starts `workers` threads, each with a handle of its own, and runs a program on them.
 * Sums follow the canonical tree, worker by worker and then over the workers, as the real ones do.
 * A loss can be rehearsed: in the n-th sum of the task the last worker vanishes, the sum fails on
 * all, and the next onward_next gives roles over one worker fewer. On the way the double checks
 * what a program promises: that a step that was cut short changed no protected array, that it
 * writes wholly what it writes, and that after each step all workers hold the same bits. */
#ifndef FAKE_ONWARD_H
#define FAKE_ONWARD_H

#include "onward.h"

enum { FAKE_MAX_WORKERS = 8, FAKE_MAX_LOSSES = 4 };

struct fake_plan {
    int workers;
    uint32_t subtask_count;
    int64_t step_count;
    const char *run_directory;
    int64_t lost_sums[FAKE_MAX_LOSSES]; /* numbers from 1 of the sums that fail; 0: none */
};

struct fake_outcome {
    int64_t sums;      /* that were tried */
    int broken_atomic; /* steps cut short that had changed an array */
    int different;     /* steps after which workers differed */
    double accuracy;   /* newest metrics */
    double loss;
    double samples_per_step;
};

/* The program returns ONWARD_OK or its failure, which fake_run passes on. */
int fake_run(const struct fake_plan *plan, int (*program)(struct onward *ow, void *context),
             void *context, struct fake_outcome *outcome);

/* Bytes of the protected array of that name after the run, from worker 0; free() them. */
void *fake_array(const char *name, size_t *bytes);

#endif
