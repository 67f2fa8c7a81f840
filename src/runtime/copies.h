/* copies.h - the local level of a task with sharded state: every so many steps each worker writes
 * its shard to the node-local directory, and a change of the lineup brings the state from the
 * newest whole set of such copies.
 *
 * All workers write at the same steps. Before one writes, all agree how many steps come until the
 * next time, so that the cost stays small. Behind it they agree again, at the next step and then
 * ever less often, on whether all have written theirs, and whether all of these have arrived on the
 * next host: only then the ones before are removed. So one whole set is there at any time, two
 * while one is written and sent, and more where that takes longer than the steps to the next one;
 * of epochs before some more, until one of this epoch is whole, or there is no room for it. Where
 * there is none for two sets, a checkpoint that is as new takes the place of the one that is there,
 * and the next one is written in its room. */
#ifndef RUNTIME_COPIES_H
#define RUNTIME_COPIES_H

#include "control.h"
#include "copy.h"

struct copy_place copies_place(const struct onward *ow);
/* An epoch opened, and this member has the state of complete_step. from: the set of copies that it
 * is from; its shard_count is 0 where it is from elsewhere. */
void copies_opened(struct onward *ow, const struct copy_id *from);
/* Between two steps: writes this worker's copy when it is time. A loss is noted in transport. */
void copies_step(struct onward *ow);
/* Begins to take copies of other hosts, once; the address is for the seat. */
void copies_listen(struct onward *ow, struct partner_address *address);
/* A planned change waits for one more, of this step. */
void copies_order(struct onward *ow, int64_t step);
/* Between two steps: writes that one, and tells the controller; true while the change is waited for
 * there. */
bool copies_hold(struct onward *ow);
/* What is on its way to the partner. */
struct run_flight copies_flight(const struct onward *ow);
/* What is on this host, for a change; *list is the caller's to free. */
void copies_find(struct onward *ow, struct copy_id **list, uint32_t *count);
/* This member cannot get at a copy: until an epoch opens no member of its host is asked for it. */
int copies_leave_unread(struct onward *ow, const struct copy_id *id, const char *text);
/* Why something on this host cannot be got at which may hold the newest state (ERR_IO), or is of
 * another program (ERR_INPUT): the task does not begin at the initial values for that. */
void copies_note_unread(struct onward *ow, int code, const char *text);
void copies_forget_unread(struct onward *ow);
/* The state is in the run directory: none is needed any more. */
void copies_remove_all(struct onward *ow);

/* What a change brings, as the opening says. */
struct copies_plan {
    struct copy_id state;   /* shard_count of its shards; its own shard does not matter */
    const int32_t *holders; /* rank in the candidate of who has each shard */
    const struct seat *seats;
    uint32_t seat_count;
    int rank;        /* of this member in the candidate */
    int lineup_rank; /* -1: it holds, and needs nothing */
    uint32_t size;   /* of the lineup */
};
/* Brings the state to where bits come in. Every member takes part. ERR_LOST: the pass failed; any
 * other error: copies could not be used, and all went through the motions; ow->error names the
 * first. Those that are damaged are removed, any other is left unread. ERR_NOT_FOUND: another
 * member of the host has removed it before. ERR_INPUT: the program protects other arrays than the
 * copies hold, or lays them out in another way; none is removed for that. */
int copies_bring(struct onward *ow, const struct copies_plan *plan);

#endif
