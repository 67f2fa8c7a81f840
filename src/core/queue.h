/* queue.h - independent subtasks of a farm: given out, done exactly once, given again after a loss.
 *
 * A subtask is open, given to one worker, done, or poison (it failed or killed its worker as often
 * as is allowed). Every operation is O(1), but for the loss of a worker, which is O(its subtasks);
 * 12 bytes a subtask. Workers are numbered slots, chosen by the caller. */
#ifndef CORE_QUEUE_H
#define CORE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

enum { QUEUE_MAX_SUBTASKS = 1 << 28, QUEUE_MAX_SLOTS = 1 << 16, QUEUE_MAX_TRIES = 200 };

enum queue_state { QUEUE_OPEN, QUEUE_GIVEN, QUEUE_DONE, QUEUE_POISON };

struct queue; /* opaque */

/* give_limit: subtasks that a slot may have at a time; try_limit: attempts before a subtask is
 * poison. Both at least 1. NULL when something is out of range or memory is short. */
struct queue *queue_create(uint32_t subtask_count, uint32_t slot_count, uint32_t give_limit,
                           uint32_t try_limit);
void queue_destroy(struct queue *queue);

/* Gives the next subtask to the slot: those that came back first. False when none is open or the
 * slot has as many as it may. */
bool queue_give(struct queue *queue, uint32_t slot, uint32_t *subtask);

/* The slot did the subtask. False, and nothing changes, unless it has the subtask now: the late
 * result of a worker that was given up does not count, since somebody else has the subtask. */
bool queue_done(struct queue *queue, uint32_t slot, uint32_t subtask);

/* The attempt failed. Returns as queue_done. */
bool queue_failed(struct queue *queue, uint32_t slot, uint32_t subtask);

/* All that the slot has comes back, one attempt poorer. Returns how many. */
uint32_t queue_lost(struct queue *queue, uint32_t slot);

/* An open subtask that was done before, as a journal says. False when it is not open or some
 * subtask was given out already. */
bool queue_mark_done(struct queue *queue, uint32_t subtask);

enum queue_state queue_state(const struct queue *queue, uint32_t subtask);
uint32_t queue_count(const struct queue *queue, enum queue_state state);
/* Nothing is open or given any more. */
bool queue_is_settled(const struct queue *queue);

/* Walks every invariant; returns NULL, or a text that names the one that does not hold. */
const char *queue_check(const struct queue *queue);

#endif
