/* random.h - random numbers that any worker can compute for itself: a counter-based generator.
 *
 * A number depends on its key and its counter alone, never on what was drawn before, so initial
 * weights and the order of the samples are the same on every worker and for any number of them. */
#ifndef TRAIN_RANDOM_H
#define TRAIN_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Philox4x32-10 (Salmon et al., SC'11): 128 bits of counter under 64 bits of key. */
void random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* values[i] is uniform in [-limit, limit), keyed by (seed, stream, i). */
void random_uniform(uint64_t seed, uint32_t stream, float limit, float *values, size_t count);

/* values[i] is uniform in [0, 1), keyed likewise, on a grid of 2^-53. */
void random_unit(uint64_t seed, uint32_t stream, double *values, size_t count);

/* values[i] is normal with mean 0, keyed likewise (Box and Muller's transform). */
void random_normal(uint64_t seed, uint32_t stream, double deviation, double *values, size_t count);

/* The order of `size` samples in one pass over the data: a permutation keyed by (seed, epoch of
 * data) whose every place is computed on its own, without memory. */
struct random_order {
    uint64_t size;
    unsigned left_bits, right_bits;
    uint64_t round_keys[8];
};

void random_order_init(struct random_order *order, uint64_t seed, uint64_t epoch, uint64_t size);

/* Which sample is at `place`; both in 0 .. size-1. */
uint64_t random_order_at(const struct random_order *order, uint64_t place);

#endif
