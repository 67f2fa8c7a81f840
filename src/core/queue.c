/* queue.c - independent subtasks of a farm.
 *
 * What was never given out is a cursor over the numbers. What came back is one of two lists through
 * `next`, suspects apart; what the cursor has not reached yet is in neither. What a slot has is a
 * ring through `next` and `previous`, so that any of it leaves in O(1). A subtask is in at most one
 * of these at a time, so they share the links. */
#include "queue.h"

#include <stdlib.h>

struct entry {
    uint32_t next, previous;
    uint16_t slot;
    uint8_t tries;
    uint8_t state : 3, suspect : 1, losses : 4;
};

struct slot {
    uint32_t first, count;
};

struct queue {
    struct queue_limits limits;
    uint32_t cursor;             /* subtasks from here on were never given out */
    uint32_t returned, suspects; /* lists of those that came back */
    uint32_t counts[QUEUE_POISON + 1];
    struct entry *entries;
    struct slot *slots;
};

static bool limits_are_valid(const struct queue_limits *limits)
{
    return limits->subtasks <= QUEUE_MAX_SUBTASKS && limits->slots >= 1 &&
           limits->slots <= QUEUE_MAX_SLOTS && limits->give >= 1 && limits->tries >= 1 &&
           limits->tries <= QUEUE_MAX_TRIES && limits->losses >= 1 &&
           limits->losses <= QUEUE_MAX_LOSSES;
}

struct queue *queue_create(const struct queue_limits *limits)
{
    struct queue *queue = limits_are_valid(limits) ? calloc(1, sizeof(*queue)) : NULL;
    if (queue == NULL)
        return NULL;
    queue->limits = *limits;
    queue->counts[QUEUE_OPEN] = limits->subtasks;
    queue->returned = queue->suspects = QUEUE_NONE;
    queue->entries = calloc((size_t)limits->subtasks + 1, sizeof(*queue->entries));
    queue->slots = calloc(limits->slots, sizeof(*queue->slots));
    if (queue->entries != NULL && queue->slots != NULL)
        return queue;
    queue_destroy(queue);
    return NULL;
}

void queue_destroy(struct queue *queue)
{
    if (queue == NULL)
        return;
    free(queue->entries);
    free(queue->slots);
    free(queue);
}

static void set_state(struct queue *queue, uint32_t subtask, enum queue_state state)
{
    queue->counts[queue->entries[subtask].state]--;
    queue->entries[subtask].state = (uint8_t)state & 7;
    queue->counts[state]++;
}

static void link_to_slot(struct queue *queue, uint32_t slot_number, uint32_t subtask)
{
    struct slot *slot = &queue->slots[slot_number];
    struct entry *entry = &queue->entries[subtask];
    entry->next = entry->previous = subtask;
    if (slot->count > 0) {
        struct entry *first = &queue->entries[slot->first];
        entry->next = slot->first;
        entry->previous = first->previous;
        queue->entries[first->previous].next = subtask;
        first->previous = subtask;
    } else {
        slot->first = subtask;
    }
    entry->slot = (uint16_t)slot_number;
    slot->count++;
}

static void unlink_from_slot(struct queue *queue, uint32_t subtask)
{
    struct entry *entry = &queue->entries[subtask];
    struct slot *slot = &queue->slots[entry->slot];
    queue->entries[entry->previous].next = entry->next;
    queue->entries[entry->next].previous = entry->previous;
    if (slot->first == subtask)
        slot->first = entry->next;
    slot->count--;
}

static void put_first(struct queue *queue, uint32_t *list, uint32_t subtask)
{
    queue->entries[subtask].next = *list;
    *list = subtask;
}

static bool take_first(struct queue *queue, uint32_t *list, uint32_t *subtask)
{
    if (*list == QUEUE_NONE)
        return false;
    *subtask = *list;
    *list = queue->entries[*subtask].next;
    return true;
}

/* Those that were settled before the start are skipped; each is skipped once. */
static bool take_at_cursor(struct queue *queue, bool alone, uint32_t *subtask)
{
    while (queue->cursor < queue->limits.subtasks) {
        *subtask = queue->cursor++;
        const struct entry *entry = &queue->entries[*subtask];
        if (entry->state != QUEUE_OPEN)
            continue;
        if (!entry->suspect || alone)
            return true;
        put_first(queue, &queue->suspects, *subtask);
    }
    return false;
}

static bool take_open(struct queue *queue, bool alone, uint32_t *subtask)
{
    return (alone && take_first(queue, &queue->suspects, subtask)) ||
           take_first(queue, &queue->returned, subtask) || take_at_cursor(queue, alone, subtask);
}

static bool has_room(const struct queue *queue, uint32_t slot_number)
{
    if (slot_number >= queue->limits.slots)
        return false;
    const struct slot *slot = &queue->slots[slot_number];
    return slot->count < queue->limits.give &&
           !(slot->count == 1 && queue->entries[slot->first].suspect);
}

bool queue_give(struct queue *queue, uint32_t slot, uint32_t *subtask)
{
    if (!has_room(queue, slot) || !take_open(queue, queue->slots[slot].count == 0, subtask))
        return false;
    link_to_slot(queue, slot, *subtask);
    set_state(queue, *subtask, QUEUE_GIVEN);
    return true;
}

static bool has(const struct queue *queue, uint32_t slot, uint32_t subtask)
{
    return subtask < queue->limits.subtasks && queue->entries[subtask].state == QUEUE_GIVEN &&
           queue->entries[subtask].slot == slot;
}

bool queue_done(struct queue *queue, uint32_t slot, uint32_t subtask)
{
    if (!has(queue, slot, subtask))
        return false;
    unlink_from_slot(queue, subtask);
    set_state(queue, subtask, QUEUE_DONE);
    return true;
}

/* Settled by its counts, or open again: for the cursor where that has not come so far. */
static void come_back(struct queue *queue, uint32_t subtask)
{
    const struct entry *entry = &queue->entries[subtask];
    if (entry->losses >= queue->limits.losses) {
        set_state(queue, subtask, QUEUE_POISON);
    } else if (entry->tries >= queue->limits.tries) {
        set_state(queue, subtask, QUEUE_FAILED);
    } else {
        set_state(queue, subtask, QUEUE_OPEN);
        if (subtask < queue->cursor)
            put_first(queue, entry->suspect ? &queue->suspects : &queue->returned, subtask);
    }
}

bool queue_failed(struct queue *queue, uint32_t slot, uint32_t subtask)
{
    if (!has(queue, slot, subtask))
        return false;
    unlink_from_slot(queue, subtask);
    queue->entries[subtask].tries++;
    queue->entries[subtask].suspect = 0; /* it ended, and its worker is there */
    come_back(queue, subtask);
    return true;
}

bool queue_return(struct queue *queue, uint32_t slot, uint32_t subtask)
{
    if (!has(queue, slot, subtask))
        return false;
    unlink_from_slot(queue, subtask);
    come_back(queue, subtask);
    return true;
}

uint32_t queue_lost(struct queue *queue, uint32_t slot, uint32_t *blamed)
{
    uint32_t count = 0, alone = QUEUE_NONE;
    if (slot < queue->limits.slots && queue->slots[slot].count == 1) {
        alone = queue->slots[slot].first;
        queue->entries[alone].losses = (queue->entries[alone].losses + 1) & QUEUE_MAX_LOSSES;
    }
    while (slot < queue->limits.slots && queue->slots[slot].count > 0) {
        uint32_t subtask = queue->slots[slot].first;
        queue->entries[subtask].suspect = 1;
        unlink_from_slot(queue, subtask);
        come_back(queue, subtask);
        count++;
    }
    if (blamed != NULL)
        *blamed = alone;
    return count;
}

bool queue_hold(struct queue *queue, uint32_t slot, uint32_t subtask)
{
    if (slot >= queue->limits.slots || queue->slots[slot].count >= queue->limits.give ||
        subtask >= queue->limits.subtasks || subtask < queue->cursor ||
        queue->entries[subtask].state != QUEUE_OPEN)
        return false;
    link_to_slot(queue, slot, subtask);
    set_state(queue, subtask, QUEUE_GIVEN);
    return true;
}

bool queue_restore(struct queue *queue, uint32_t subtask, enum queue_state settled, uint32_t tries,
                   uint32_t losses)
{
    if (subtask >= queue->limits.subtasks || queue->cursor > 0 ||
        queue->entries[subtask].state != QUEUE_OPEN)
        return false;
    struct entry *entry = &queue->entries[subtask];
    tries += entry->tries;
    losses += entry->losses;
    entry->tries = (uint8_t)(tries < queue->limits.tries ? tries : queue->limits.tries);
    entry->losses =
        (losses < queue->limits.losses ? losses : queue->limits.losses) & QUEUE_MAX_LOSSES;
    entry->suspect = losses > 0;
    if (settled > QUEUE_GIVEN)
        set_state(queue, subtask, settled);
    else
        come_back(queue, subtask);
    return true;
}

uint32_t queue_first(const struct queue *queue, uint32_t slot)
{
    return queue_slot_count(queue, slot) > 0 ? queue->slots[slot].first : QUEUE_NONE;
}

uint32_t queue_next(const struct queue *queue, uint32_t slot, uint32_t subtask)
{
    if (!has(queue, slot, subtask) || queue->entries[subtask].next == queue->slots[slot].first)
        return QUEUE_NONE;
    return queue->entries[subtask].next;
}

uint32_t queue_slot_count(const struct queue *queue, uint32_t slot)
{
    return slot < queue->limits.slots ? queue->slots[slot].count : 0;
}

uint32_t queue_attempts(const struct queue *queue, uint32_t subtask)
{
    if (subtask >= queue->limits.subtasks)
        return 0;
    return (uint32_t)queue->entries[subtask].tries + queue->entries[subtask].losses;
}

enum queue_state queue_state(const struct queue *queue, uint32_t subtask)
{
    return subtask < queue->limits.subtasks ? queue->entries[subtask].state : QUEUE_OPEN;
}

uint32_t queue_count(const struct queue *queue, enum queue_state state)
{
    return queue->counts[state];
}

bool queue_is_settled(const struct queue *queue)
{
    return queue->counts[QUEUE_OPEN] == 0 && queue->counts[QUEUE_GIVEN] == 0;
}

static const char *check_slot(const struct queue *queue, uint32_t slot, uint32_t *given)
{
    uint32_t at = queue->slots[slot].first;
    if (queue->slots[slot].count > queue->limits.give)
        return "a slot has more than it may";
    for (uint32_t i = 0; i < queue->slots[slot].count; i++, at = queue->entries[at].next) {
        if (!has(queue, slot, at))
            return "a slot's ring holds a subtask that it was not given";
        (*given)++;
    }
    return queue->slots[slot].count > 0 && at != queue->slots[slot].first
               ? "a slot's ring is not closed"
               : NULL;
}

static const char *check_list(const struct queue *queue, uint32_t list, bool suspects,
                              uint32_t *length)
{
    for (uint32_t at = list; at != QUEUE_NONE; at = queue->entries[at].next)
        if (at >= queue->cursor || queue->entries[at].state != QUEUE_OPEN ||
            queue->entries[at].suspect != suspects || ++*length > queue->counts[QUEUE_OPEN])
            return "a list of those that came back is damaged";
    return NULL;
}

static const char *check_open(const struct queue *queue, uint32_t open_ahead)
{
    uint32_t found = open_ahead;
    const char *wrong = check_list(queue, queue->returned, false, &found);
    if (wrong == NULL)
        wrong = check_list(queue, queue->suspects, true, &found);
    if (wrong != NULL)
        return wrong;
    return found != queue->counts[QUEUE_OPEN] ? "an open subtask is nowhere" : NULL;
}

const char *queue_check(const struct queue *queue)
{
    uint32_t counts[QUEUE_POISON + 1] = {0}, given = 0, open_ahead = 0;
    for (uint32_t i = 0; i < queue->limits.subtasks; i++) {
        counts[queue->entries[i].state]++;
        open_ahead += i >= queue->cursor && queue->entries[i].state == QUEUE_OPEN;
    }
    for (uint32_t i = 0; i <= QUEUE_POISON; i++)
        if (counts[i] != queue->counts[i])
            return "a count does not agree with a recount";
    for (uint32_t slot = 0; slot < queue->limits.slots; slot++) {
        const char *wrong = check_slot(queue, slot, &given);
        if (wrong != NULL)
            return wrong;
    }
    if (given != queue->counts[QUEUE_GIVEN])
        return "a given subtask is with nobody";
    return check_open(queue, open_ahead);
}
