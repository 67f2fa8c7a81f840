/* optimizer.h - how the summed gradient changes the parameters: SGD with momentum, or Adam, under
 * a learning-rate schedule. */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H

#include <stddef.h>
#include <stdint.h>

enum optimizer_name { OPTIMIZER_SGD, OPTIMIZER_ADAM };
enum optimizer_schedule { SCHEDULE_CONSTANT, SCHEDULE_STEP, SCHEDULE_COSINE };

enum { OPTIMIZER_MAX_MOMENTS = 2 };

/* The parameters, and what the optimizer keeps between steps; moments that it has not are NULL. */
struct optimizer_state {
    const float *parameters, *moments[OPTIMIZER_MAX_MOMENTS];
};
struct optimizer_next {
    float *parameters, *moments[OPTIMIZER_MAX_MOMENTS];
};

struct optimizer {
    int name; /* enum optimizer_name */
    double learning_rate;
    double momentum;      /* SGD */
    double beta1, beta2;  /* Adam */
    double epsilon;       /* Adam */
    double weight_decay;  /* SGD: added to the gradient; Adam: decoupled (AdamW) */
    int schedule;         /* enum optimizer_schedule */
    int64_t warmup_steps; /* the rate rises over these in a straight line */
    int64_t decay_steps;  /* step schedule: the rate is multiplied by ... */
    double decay_factor;  /* ... this after every so many steps */
    int64_t step_count;   /* cosine: the rate reaches 0 after so many steps */
};

/* Arrays of the size of the parameters that it keeps between steps: 1 for SGD, 2 for Adam. */
int optimizer_moment_count(const struct optimizer *optimizer);

/* The learning rate of a step (from 0). */
double optimizer_rate(const struct optimizer *optimizer, int64_t step);

/* From the state and the gradient the next state, `count` elements each, in one pass; no array of
 * one overlaps one of another. The result depends on nothing but the arguments: each element is
 * computed in float by the same operations, however the compiler vectorizes them. */
void optimizer_update(const struct optimizer *optimizer, int64_t step, const float *gradient,
                      const struct optimizer_state *state, const struct optimizer_next *next,
                      size_t count);

#endif
