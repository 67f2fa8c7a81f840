/* shards.h - sharded arrays: the part that this worker holds, and the one that a change of the
 * lineup lays out for it. A change builds the new parts beside those that are there, and they take
 * their place when all agreed. */
#ifndef RUNTIME_SHARDS_H
#define RUNTIME_SHARDS_H

#include "handle.h"

/* A part of a sharded array while a change of the lineup fills it. */
struct array_part {
    uint32_t slab_count;
    struct onward_slab slabs[ONWARD_MAX_SLABS]; /* normalised, none of them empty */
    uint64_t elements;
    void *data; /* zeros at first; NULL: nothing is to be held */
};

bool shards_any(const struct onward *ow);

/* Keeps the values that the program gave replicated arrays, so that a task with sharded state can
 * begin again at step 0; and puts them to where bits come in. */
int shards_keep_initial(struct onward *ow);
void shards_put_initial(struct onward *ow);

/* Asks the layouts of all sharded arrays for this rank of a lineup, and makes room. ERR_INPUT when
 * the parts of all ranks are not each element of the array once; ERR_MEMORY. */
int shards_lay_out(struct onward *ow, int rank, int size);
/* The part of one rank of a lineup, as the program's layout says, without data; and how many
 * elements of an array were laid out here. */
int shards_ask(struct onward *ow, uint32_t index, int rank, int size, struct array_part *part);
uint64_t shards_incoming_elements(const struct onward *ow, uint32_t index);
/* Where the bits of what was laid out go, for a read of these slabs. */
void shards_want(const struct onward *ow, uint32_t index, struct checkpoint_array *array);
/* What was laid out takes the place of what was held; or is dropped. Nothing was laid out: what was
 * held is let go (this member has no role). */
void shards_commit(struct onward *ow);
void shards_drop(struct onward *ow);
void shards_release(struct onward *ow);

/* What a copy of this worker's shard has of the state. */
uint64_t shards_copy_bytes(const struct onward *ow);

/* The table entries of what this worker holds, as the shard `rank` of a checkpoint, from entry
 * `first` on, as many as a message has room for. Returns how many: fewer come at the end alone. */
enum { SHARDS_ENTRIES_AT_ONCE = 200, SHARDS_MAX_ENTRIES = ONWARD_MAX_ARRAYS * ONWARD_MAX_SLABS };
uint32_t shards_entries(const struct onward *ow, uint32_t rank, uint32_t first,
                        struct checkpoint_slab *entries);

#endif
