/* draw.c - the draws of a drill, by SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom
 * number generators, 2014). Exponential times by inversion. */
#include "draw.h"

#include <math.h>

void draw_start(struct draw *draw, uint64_t seed)
{
    draw->state = seed;
}

static double uniform(struct draw *draw)
{
    uint64_t z = draw->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

static double exponential(struct draw *draw)
{
    return -log1p(-uniform(draw));
}

struct draw_fault draw_next(struct draw *draw)
{
    struct draw_fault fault;
    fault.gap = exponential(draw);
    fault.kind = uniform(draw);
    fault.victim = uniform(draw);
    fault.until_back = exponential(draw);
    return fault;
}

uint32_t draw_index(double number, uint32_t count)
{
    uint32_t index = (uint32_t)(number * count);
    return index < count ? index : count - 1;
}
