/* random.c - Philox4x32-10, and a keyed permutation built on it.
 *
 * The permutation is a Feistel network on the smallest number of bits that holds `size`, whose two
 * halves may differ by one bit; a value outside of 0 .. size-1 goes through it again until it is
 * inside (cycle walking, fewer than two rounds on average). Philox gives the round keys; the round
 * function is a multiply-and-shift mixer, as a Philox call per round would show in the time of a
 * step. */
#include "random.h"

#include <assert.h>
#include <math.h>

enum { PHILOX_ROUNDS = 10, ORDER_ROUNDS = 8, ORDER_MIN_BITS = 2 };

/* What the last word of a counter says it is for, so that no two uses share a number. */
enum purpose { PURPOSE_UNIFORM = 1, PURPOSE_ORDER = 2, PURPOSE_UNIT = 3, PURPOSE_NORMAL = 4 };

void random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t product0 = (uint64_t)0xD2511F53U * c0;
        uint64_t product1 = (uint64_t)0xCD9E8D57U * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product1;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product0;
        k0 += 0x9E3779B9U;
        k1 += 0xBB67AE85U;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* Four words for (seed, high, low, purpose). */
static void draw(uint64_t seed, uint64_t index, uint32_t stream, enum purpose purpose,
                 uint32_t out[4])
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), stream, purpose};
    random_philox(counter, key, out);
}

void random_uniform(uint64_t seed, uint32_t stream, float limit, float *values, size_t count)
{
    for (size_t i = 0; i < count; i += 4) {
        uint32_t words[4];
        draw(seed, i / 4, stream, PURPOSE_UNIFORM, words);
        for (size_t lane = 0; lane < 4 && i + lane < count; lane++) {
            float unit = (float)(words[lane] >> 8) * 0x1p-24F; /* [0, 1), exact */
            values[i + lane] = (2.0F * unit - 1.0F) * limit;
        }
    }
}

/* Two numbers in [0, 1) for (seed, pair, stream, purpose). */
static void draw_pair(uint64_t seed, uint64_t pair, uint32_t stream, enum purpose purpose,
                      double units[2])
{
    uint32_t words[4];
    draw(seed, pair, stream, purpose, words);
    for (int i = 0; i < 2; i++)
        units[i] = (double)(((uint64_t)words[2 * i + 1] << 32 | words[2 * i]) >> 11) * 0x1p-53;
}

void random_unit(uint64_t seed, uint32_t stream, double *values, size_t count)
{
    for (size_t i = 0; i < count; i += 2) {
        double units[2];
        draw_pair(seed, i / 2, stream, PURPOSE_UNIT, units);
        values[i] = units[0];
        if (i + 1 < count)
            values[i + 1] = units[1];
    }
}

void random_normal(uint64_t seed, uint32_t stream, double deviation, double *values, size_t count)
{
    for (size_t i = 0; i < count; i += 2) {
        double units[2];
        draw_pair(seed, i / 2, stream, PURPOSE_NORMAL, units);
        double radius = deviation * sqrt(-2.0 * log(1.0 - units[0]));
        values[i] = radius * cos(2.0 * M_PI * units[1]);
        if (i + 1 < count)
            values[i + 1] = radius * sin(2.0 * M_PI * units[1]);
    }
}

void random_order_init(struct random_order *order, uint64_t seed, uint64_t epoch, uint64_t size)
{
    assert(size > 0 && size <= UINT64_C(1) << 62);
    unsigned bits = ORDER_MIN_BITS;
    while (UINT64_C(1) << bits < size)
        bits++;
    order->size = size;
    order->left_bits = bits / 2;
    order->right_bits = bits - bits / 2;
    for (uint32_t round = 0; round < ORDER_ROUNDS; round++) {
        uint32_t words[4];
        draw(seed, epoch, round, PURPOSE_ORDER, words);
        order->round_keys[round] = (uint64_t)words[1] << 32 | words[0];
    }
}

static uint64_t mix(uint64_t value, uint64_t key)
{
    value = (value ^ key) * UINT64_C(0xFF51AFD7ED558CCD);
    value ^= value >> 32;
    value *= UINT64_C(0xC4CEB9FE1A85EC53);
    return value >> 32 ^ value;
}

/* One pass through the network: each round changes one half by what the other is, and so can be
 * undone, which makes the whole a bijection on 0 .. 2^bits - 1. */
static uint64_t permute(const struct random_order *order, uint64_t value)
{
    uint64_t left_mask = (UINT64_C(1) << order->left_bits) - 1;
    uint64_t right_mask = (UINT64_C(1) << order->right_bits) - 1;
    uint64_t left = value >> order->right_bits, right = value & right_mask;
    for (int round = 0; round < ORDER_ROUNDS; round += 2) {
        left ^= mix(right, order->round_keys[round]) & left_mask;
        right ^= mix(left, order->round_keys[round + 1]) & right_mask;
    }
    return left << order->right_bits | right;
}

uint64_t random_order_at(const struct random_order *order, uint64_t place)
{
    assert(place < order->size);
    /* Ends: a cycle of the permutation that starts inside comes back inside. */
    do
        place = permute(order, place);
    while (place >= order->size);
    return place;
}
