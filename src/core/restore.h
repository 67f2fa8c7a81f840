/* restore.h - the newest step that can be restored, and from where.
 *
 * Replicated state: the most advanced member whose memory is clean, else a whole copy that somebody
 * holds, else the newest shared checkpoint. Sharded state: the newest step of which every shard is
 * held at LEVEL_LOCAL or LEVEL_PARTNER, else the newest shared checkpoint. The newest step wins; of
 * equals the source that costs least. */
#ifndef CORE_RESTORE_H
#define CORE_RESTORE_H

#include "roster.h"

/* Committed checkpoints, steps ascending. */
struct restore_checkpoints {
    uint32_t count;
    int64_t steps[CONTROLLER_MAX_CHECKPOINTS];
};

/* Newest step, -1 for none. */
int64_t restore_newest(const struct restore_checkpoints *checkpoints);
/* Adds a step; the oldest makes room. Adding one that is there changes nothing. */
void restore_add(struct restore_checkpoints *checkpoints, int64_t step);
/* Returns false when there is no such step. */
bool restore_remove(struct restore_checkpoints *checkpoints, int64_t step);

struct restore_choice {
    uint8_t source;  /* enum state_source */
    uint32_t member; /* SOURCE_MEMBER; SOURCE_HELD of one shard: who holds it; else 0 */
    int64_t step;    /* 0 for SOURCE_FRESH */
};

/* Considers the members that reported since the change began. Returns 0, or -1 when memory is
 * short. */
int restore_choose(const struct roster *roster, const struct restore_checkpoints *checkpoints,
                   bool sharded, struct restore_choice *choice);

#endif
