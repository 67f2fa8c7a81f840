/* copyset.c - which state can be put together from copies of shards; see copyset.h. */
#include "copyset.h"

#include <stdlib.h>

static int compare(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_sets(const struct copyset_entry *a, const struct copyset_entry *b)
{
    int order = compare(b->incarnation, a->incarnation);
    if (order == 0)
        order = compare(b->step, a->step);
    if (order == 0)
        order = compare(b->epoch, a->epoch);
    return order == 0 ? compare(a->shard_count, b->shard_count) : order;
}

/* Newest set first; within it by shard, then by holder. */
static int compare_entries(const void *left, const void *right)
{
    const struct copyset_entry *a = left, *b = right;
    int order = compare_sets(a, b);
    if (order == 0)
        order = compare(a->shard, b->shard);
    return order == 0 ? compare(a->holder, b->holder) : order;
}

/* Moves the first entry of each shard of the set that begins at `set` to its front. True: it is
 * whole. *length: how many entries the set has. */
static bool gather_set(struct copyset_entry *set, uint32_t count, uint32_t *length)
{
    uint32_t next = 0, i = 0;
    for (; i < count && compare_sets(&set[0], &set[i]) == 0; i++)
        if (set[i].shard == next) {
            struct copyset_entry entry = set[i];
            set[i] = set[next];
            set[next++] = entry;
        }
    *length = i;
    return next == set[0].shard_count;
}

bool copyset_choose(struct copyset_entry *entries, uint32_t count, int64_t min_incarnation,
                    uint32_t *first)
{
    uint32_t length = 0;
    if (count > 0)
        qsort(entries, count, sizeof *entries, compare_entries);
    for (uint32_t i = 0; i < count && entries[i].incarnation >= min_incarnation; i += length) {
        *first = i;
        if (gather_set(entries + i, count - i, &length))
            return true;
    }
    return false;
}
