/* blocks.h - arithmetic of a dimension that is dealt out in blocks, as ScaLAPACK does with source
 * 0.
 *
 * `extent` elements in blocks of `block`; block b is of process b % size. */
#ifndef TRAIN_BLOCKS_H
#define TRAIN_BLOCKS_H

#include <stdint.h>

struct blocks {
    uint64_t extent, block;
    uint64_t rank, size; /* which process of how many in this dimension */
};

/* How many elements the process has (numroc). */
static inline uint64_t blocks_count(const struct blocks *blocks)
{
    uint64_t full = blocks->extent / blocks->block, left = blocks->extent % blocks->block;
    uint64_t count = full / blocks->size * blocks->block, more = full % blocks->size;
    return count + (blocks->rank < more ? blocks->block : blocks->rank == more ? left : 0);
}

/* Where its element number `local` is in the whole. */
static inline uint64_t blocks_global(const struct blocks *blocks, uint64_t local)
{
    uint64_t own = local / blocks->block;
    return (own * blocks->size + blocks->rank) * blocks->block + local % blocks->block;
}

/* Its first element that is at `global` or behind it, where global begins a block. */
static inline uint64_t blocks_first_from(const struct blocks *blocks, uint64_t global)
{
    uint64_t wanted = global / blocks->block;
    if (wanted <= blocks->rank)
        return 0;
    uint64_t local = (wanted - blocks->rank + blocks->size - 1) / blocks->size * blocks->block;
    uint64_t count = blocks_count(blocks);
    return local < count ? local : count;
}

#endif
