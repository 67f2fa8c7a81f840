/* slots.h - the two slots of each array that is not ONWARD_ATOMIC: the state after the newest
 * complete step, and where the next one grows. They are in a file of the local level (store's
 * local.h) where every array has slots, so that the state outlives the processes; else, or where
 * such a file cannot be made, in memory. */
#ifndef RUNTIME_SLOTS_H
#define RUNTIME_SLOTS_H

#include "handle.h"
#include "local.h"

/* No array is ONWARD_ATOMIC or sharded: whatever fails, the state after complete_step is still in
 * the slots.
 */
bool slots_have_all(const struct onward *ow);

/* Makes the slots, with the initial values, unless they are there. Local. */
int slots_create(struct onward *ow);
void slots_release(struct onward *ow);

/* Where the bits of an array go that a change of the lineup brings. */
void *slots_incoming(struct onward *ow, uint32_t array);
/* Memory, with what came in or was written, is the state after complete_step. */
void slots_commit(struct onward *ow);
/* Back to the state after complete_step, in all arrays but those that are ONWARD_ATOMIC. */
void slots_discard(struct onward *ow);

/* Whether the slots do not outlive the processes, so that the state has to be left. */
bool slots_may_leave(const struct onward *ow);
/* A start follows, and the slots do not outlive the processes: leaves the state after complete_step
 * in a file; one member of a host does. Where that cannot be, the checkpoint is read. */
void slots_leave(struct onward *ow);

/* Looks for the state that an earlier incarnation left on this host, once. */
void slots_find_held(struct onward *ow);
/* Brings it to where bits come in. A failure leaves the state after complete_step alone. */
int slots_load_held(struct onward *ow, unsigned *verdict);
/* Whether it has the bits that came in. */
unsigned slots_compare_held(struct onward *ow);
void slots_forget_held(struct onward *ow);
struct held_id slots_held(const struct onward *ow); /* which one it is */

/* Whether no worker of a lower rank is on the host; rank -1, a member outside of the lineup, is
 * higher than all. */
bool slots_is_first_of_host(const struct seat *seats, uint32_t count, const char *host,
                            int32_t rank);
/* This member has a copy of the state of this epoch: older files on its host are not needed. */
void slots_remove_older(const struct onward *ow);
/* A checkpoint of this start is committed: what was left for the start is not needed any more. */
void slots_saved(const struct onward *ow);
/* The state is in the run directory: no local copy is needed any more. */
void slots_remove_all(const struct onward *ow);

#endif
