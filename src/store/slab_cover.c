/* slab_cover.c - whether parts are each element of an array once; see slab.h.
 *
 * An element (i, j, ...) weighs a^i b^j ... modulo a prime, so that a block, and blocks at a
 * stride, are geometric series, and a part is a product of few of them: no element is visited, and
 * no part is compared with another. Parts that share elements and leave out as many weigh what the
 * array does only where a, b, ... are a root of the polynomial that their difference is. They are
 * fixed numbers that no layout knows of, and it has as many roots as the array is long, of 2^61. */
#include "slab.h"

#define PRIME (((uint64_t)1 << 61) - 1)

static const uint64_t bases[ONWARD_MAX_DIMS] = {
    0x0a3b195354a39b70, 0x1b03738712fad5c8, 0x13198a2e03707344, 0x04093822299f31d0,
    0x082efa98ec4e6c89, 0x052821e638d01377, 0x1e5466cf34e90c6c, 0x00ac29b7c97c50dd};

static uint64_t plus(uint64_t a, uint64_t b)
{
    uint64_t sum = a + b;
    return sum >= PRIME ? sum - PRIME : sum;
}

static uint64_t times(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return plus((uint64_t)product & PRIME, (uint64_t)(product >> 61));
}

static uint64_t power(uint64_t base, uint64_t exponent)
{
    uint64_t result = 1;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            result = times(result, base);
        base = times(base, base);
    }
    return result;
}

/* 1 + ratio + ... of so many terms: those of half as many twice, and perhaps one more. */
static uint64_t series(uint64_t ratio, uint64_t terms)
{
    uint64_t sum = 0, next = 1; /* of no term yet; what the next one is */
    for (int bit = 63; bit >= 0; bit--) {
        sum = times(sum, plus(next, 1));
        next = times(next, next);
        if (terms >> bit & 1) {
            sum = plus(times(sum, ratio), 1);
            next = times(next, ratio);
        }
    }
    return sum;
}

/* The indices of a slab along one dimension: whole blocks, and perhaps a cut one. */
static uint64_t line_weight(const struct onward_slab *slab, int d, const uint64_t *dims)
{
    uint64_t base = bases[d], count = slab->count[d], block = slab->block[d];
    uint64_t rest = slab_extent(slab, d, dims) % (block > 0 ? block : 1);
    uint64_t whole = rest > 0 ? count - 1 : count;
    uint64_t blocks = times(series(power(base, slab->stride[d]), whole), series(base, block));
    uint64_t cut = times(power(base, whole * slab->stride[d]), series(base, rest));
    return times(power(base, slab->start[d]), plus(blocks, cut));
}

uint64_t slab_weight(const struct onward_slab *slab, int ndims, const uint64_t *dims)
{
    uint64_t weight = 1;
    for (int d = 0; d < ndims; d++)
        weight = times(weight, line_weight(slab, d, dims));
    return weight;
}

uint64_t slab_weight_sum(uint64_t a, uint64_t b)
{
    return plus(a, b);
}
