/* optimizer.c - the update of the parameters, fused in one pass over gradient, moments and
 * parameters. Built with -ffp-contract=off, so that no compiler makes other bits by fusing a
 * multiplication with an addition. */
#include "optimizer.h"

#include <math.h>

int optimizer_moment_count(const struct optimizer *optimizer)
{
    return optimizer->name == OPTIMIZER_ADAM ? 2 : 1;
}

static double cosine_factor(const struct optimizer *optimizer, int64_t step)
{
    int64_t span = optimizer->step_count - optimizer->warmup_steps;
    int64_t done = step - optimizer->warmup_steps;
    if (done >= span)
        return 0.0;
    return 0.5 * (1.0 + cos(acos(-1.0) * (double)done / (double)span));
}

double optimizer_rate(const struct optimizer *optimizer, int64_t step)
{
    double rate = optimizer->learning_rate;
    if (step < optimizer->warmup_steps)
        return rate * (double)(step + 1) / (double)optimizer->warmup_steps;
    switch (optimizer->schedule) {
    case SCHEDULE_STEP:
        return rate * pow(optimizer->decay_factor, (double)(step / optimizer->decay_steps));
    case SCHEDULE_COSINE:
        return rate * cosine_factor(optimizer, step);
    default:
        return rate;
    }
}

static void update_sgd(const struct optimizer *optimizer, int64_t step,
                       const float *restrict gradient, const float *restrict parameters,
                       const float *restrict velocity, const struct optimizer_next *next,
                       size_t count)
{
    float *restrict next_parameters = next->parameters, *restrict next_velocity = next->moments[0];
    const float rate = (float)optimizer_rate(optimizer, step);
    const float momentum = (float)optimizer->momentum;
    const float decay = (float)optimizer->weight_decay;
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        next_velocity[i] = momentum * velocity[i] + (gradient[i] + decay * parameters[i]);
        next_parameters[i] = parameters[i] - rate * next_velocity[i];
    }
}

/* The corrections for moments that start at zero (Kingma and Ba) go into rate and epsilon. */
static void update_adam(const struct optimizer *optimizer, int64_t step,
                        const float *restrict gradient, const float *restrict parameters,
                        const float *restrict first, const float *restrict second,
                        const struct optimizer_next *next, size_t count)
{
    float *restrict next_parameters = next->parameters;
    float *restrict next_first = next->moments[0], *restrict next_second = next->moments[1];
    const double rate = optimizer_rate(optimizer, step);
    const double root2 = sqrt(1.0 - pow(optimizer->beta2, (double)(step + 1)));
    const float scaled = (float)(rate * root2 / (1.0 - pow(optimizer->beta1, (double)(step + 1))));
    const float epsilon = (float)(optimizer->epsilon * root2);
    const float beta1 = (float)optimizer->beta1, other1 = (float)(1.0 - optimizer->beta1);
    const float beta2 = (float)optimizer->beta2, other2 = (float)(1.0 - optimizer->beta2);
    const float keep = (float)(1.0 - rate * optimizer->weight_decay);
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        next_first[i] = beta1 * first[i] + other1 * gradient[i];
        next_second[i] = beta2 * second[i] + other2 * (gradient[i] * gradient[i]);
        next_parameters[i] =
            keep * parameters[i] - scaled * next_first[i] / (sqrtf(next_second[i]) + epsilon);
    }
}

void optimizer_update(const struct optimizer *optimizer, int64_t step, const float *gradient,
                      const struct optimizer_state *state, const struct optimizer_next *next,
                      size_t count)
{
    if (optimizer->name == OPTIMIZER_ADAM)
        update_adam(optimizer, step, gradient, state->parameters, state->moments[0],
                    state->moments[1], next, count);
    else
        update_sgd(optimizer, step, gradient, state->parameters, state->moments[0], next, count);
}
