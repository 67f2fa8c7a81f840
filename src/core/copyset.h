/* copyset.h - which state can be put together from copies of shards that several hosts hold.
 *
 * A state is whole when every shard of one (incarnation, epoch, step) is held by somebody: shards
 * of two epochs are laid out differently and never mix. The newest incarnation that has a whole
 * state comes first, then the newest step, then the newest epoch. */
#ifndef CORE_COPYSET_H
#define CORE_COPYSET_H

#include <stdbool.h>
#include <stdint.h>

struct copyset_entry {
    int64_t incarnation, epoch, step;
    uint32_t shard, shard_count;
    uint32_t holder; /* the caller's number for who holds it */
};

/* Sorts entries. True: entries[*first .. *first + shard_count) are then one of each shard of the
 * newest whole state whose incarnation is at least `min_incarnation`, in order of shard; the holder
 * of each is the one with the lowest number. */
bool copyset_choose(struct copyset_entry *entries, uint32_t count, int64_t min_incarnation,
                    uint32_t *first);

#endif
