/* queue.h - independent subtasks of a farm: given out, done exactly once, given again after a loss.
 *
 * A subtask is open, given to one worker, or settled: done, failed (as often as is allowed), or
 * poison (it took its worker down as often as is allowed). A worker that is lost takes down all
 * that it had, and only one of these may be to blame. So what comes back from a loss is a suspect:
 * it is given only to a worker that has nothing else, and a worker that has a suspect gets nothing
 * beside it. A loss is counted against a subtask that its worker had alone.
 *
 * Every operation is O(1), but for the loss of a worker, which is O(its subtasks); 12 bytes a
 * subtask. Workers are numbered slots, chosen by the caller. */
#ifndef CORE_QUEUE_H
#define CORE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    QUEUE_MAX_SUBTASKS = 1 << 28,
    QUEUE_MAX_SLOTS = 1 << 16,
    QUEUE_MAX_TRIES = 200,
    QUEUE_MAX_LOSSES = 15
};

#define QUEUE_NONE UINT32_MAX

enum queue_state { QUEUE_OPEN, QUEUE_GIVEN, QUEUE_DONE, QUEUE_FAILED, QUEUE_POISON };

struct queue; /* opaque */

/* All at least 1. */
struct queue_limits {
    uint32_t subtasks, slots;
    uint32_t give;   /* subtasks that a slot may have at a time */
    uint32_t tries;  /* failed attempts before a subtask has failed */
    uint32_t losses; /* losses of a worker that had it alone before it is poison */
};

/* NULL when something is out of range or memory is short. */
struct queue *queue_create(const struct queue_limits *limits);
void queue_destroy(struct queue *queue);

/* Gives the next subtask to the slot: those that came back first. False when there is none that
 * this slot may have now. */
bool queue_give(struct queue *queue, uint32_t slot, uint32_t *subtask);

/* The slot did the subtask. False, and nothing changes, unless it has the subtask now: the late
 * result of a worker that was given up does not count, since somebody else has the subtask. */
bool queue_done(struct queue *queue, uint32_t slot, uint32_t subtask);

/* The attempt failed. Returns as queue_done. */
bool queue_failed(struct queue *queue, uint32_t slot, uint32_t subtask);

/* The subtask comes back as it was, to nobody's blame. Returns as queue_done. */
bool queue_return(struct queue *queue, uint32_t slot, uint32_t subtask);

/* All that the slot has comes back. Returns how many; *blamed (if not NULL) is the one that was
 * alone, or QUEUE_NONE. */
uint32_t queue_lost(struct queue *queue, uint32_t slot, uint32_t *blamed);

/* The slot turns out to have an open subtask, of which a controller that took over does not know.
 * False when it is not open, was given and came back, or the slot has as many as it may. */
bool queue_hold(struct queue *queue, uint32_t slot, uint32_t subtask);

/* Before anything is given: what a journal says of an open subtask, in one call or several that add
 * up. It is settled when settled says so, or its tries or losses reach their limit. False when it
 * is not open, or too late. */
bool queue_restore(struct queue *queue, uint32_t subtask, enum queue_state settled, uint32_t tries,
                   uint32_t losses);

/* What the slot has: the first, and the one behind; QUEUE_NONE at the end. A subtask may leave the
 * slot once its follower was asked for. */
uint32_t queue_first(const struct queue *queue, uint32_t slot);
uint32_t queue_next(const struct queue *queue, uint32_t slot, uint32_t subtask);
uint32_t queue_slot_count(const struct queue *queue, uint32_t slot);

enum queue_state queue_state(const struct queue *queue, uint32_t subtask);
/* Attempts that ended in a failure or in the loss of the worker. */
uint32_t queue_attempts(const struct queue *queue, uint32_t subtask);
uint32_t queue_count(const struct queue *queue, enum queue_state state);
/* Nothing is open or given any more. */
bool queue_is_settled(const struct queue *queue);

/* Walks every invariant; returns NULL, or a text that names the one that does not hold. */
const char *queue_check(const struct queue *queue);

#endif
