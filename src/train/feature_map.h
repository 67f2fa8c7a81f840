/* feature_map.h - what ridge regression learns from: the raw features of a sample, or random
 * Fourier features of it, and a constant 1 behind them.
 *
 * Random Fourier features (Rahimi and Recht, NIPS 2007): z(x) = sqrt(2/D) cos(W x + b), where the
 * rows of W are drawn from N(0, 1/sigma^2 I) and b from [0, 2 pi). The inner product of two of them
 * approximates the Gaussian kernel exp(-|x-y|^2 / (2 sigma^2)). W and b follow from the seed alone.
 */
#ifndef TRAIN_FEATURE_MAP_H
#define TRAIN_FEATURE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct feature_plan {
    bool fourier;    /* else the raw features */
    uint32_t inputs; /* features of a sample */
    uint32_t width;  /* random Fourier features */
    double sigma;    /* of the kernel, in the unit of the features */
    uint64_t seed;
};

struct features;

/* *features is the caller's. Errors: MEMORY. */
int features_create(const struct feature_plan *plan, struct features **features,
                    struct error *error);
void features_destroy(struct features *features); /* NULL is allowed */

/* Numbers of a sample, the constant with them. */
uint32_t features_terms(const struct features *features);

/* x: [rows, inputs]. z: rows of `stride` numbers, of which the first features_terms are written.
 * Not for two threads at once on the same features. */
void features_make(struct features *features, const float *x, uint64_t rows, double *z,
                   size_t stride);

#endif
