/* saving.h - the shared level behind the step: a thread of its own writes this worker's shard of
 * one checkpoint, out of a copy, while the program works on.
 *
 * The thread calls neither MPI nor HDF5. It makes pauses, and where these are short for so large a
 * shard has the least priority, so that a step on the same core hardly notices it. At most one
 * saving is there at a time: whoever wants to begin another one waits until the one before is done,
 * or does without. */
#ifndef RUNTIME_SAVING_H
#define RUNTIME_SAVING_H

#include <stdbool.h>

#include "checkpoint.h"
#include "error.h"

struct saving;

/* Begins to save. staged belongs to the saving from now on, also when this fails. run is borrowed
 * until the end. */
int saving_begin(const char *run, struct checkpoint_staged *staged, struct saving **saving,
                 struct error *error);
/* Whether saving_end would return at once. */
bool saving_is_done(const struct saving *saving);
/* It will be of no use: it ends as soon as it can. */
void saving_give_up(struct saving *saving);
/* Waits for its end and frees it. What the save came to, with the shard where that is ONWARD_OK. */
int saving_end(struct saving *saving, struct checkpoint_shard *shard, struct error *error);

#endif
