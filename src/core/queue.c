/* queue.c - independent subtasks of a farm.
 *
 * What was never given out is a cursor over the numbers. What came back is a list through `next`.
 * What a slot has is a ring through `next` and `previous`, so that any of it leaves in O(1). A
 * subtask is in at most one of these at a time, so they share the links. */
#include "queue.h"

#include <stdlib.h>

static const uint32_t none = UINT32_MAX;

struct entry {
    uint32_t next, previous;
    uint16_t slot;
    uint8_t state, tries;
};

struct slot {
    uint32_t first, count;
};

struct queue {
    uint32_t subtask_count, slot_count, give_limit, try_limit;
    uint32_t cursor;   /* subtasks from here on were never given out */
    uint32_t returned; /* list of those that came back */
    uint32_t counts[QUEUE_POISON + 1];
    struct entry *entries;
    struct slot *slots;
};

struct queue *queue_create(uint32_t subtask_count, uint32_t slot_count, uint32_t give_limit,
                           uint32_t try_limit)
{
    if (subtask_count > QUEUE_MAX_SUBTASKS || slot_count < 1 || slot_count > QUEUE_MAX_SLOTS ||
        give_limit < 1 || try_limit < 1 || try_limit > QUEUE_MAX_TRIES)
        return NULL;
    struct queue *queue = calloc(1, sizeof(*queue));
    if (queue == NULL)
        return NULL;
    queue->subtask_count = queue->counts[QUEUE_OPEN] = subtask_count;
    queue->slot_count = slot_count;
    queue->give_limit = give_limit;
    queue->try_limit = try_limit;
    queue->returned = none;
    queue->entries = calloc((size_t)subtask_count + 1, sizeof(*queue->entries));
    queue->slots = calloc(slot_count, sizeof(*queue->slots));
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

static void set_state(struct queue *queue, uint32_t subtask, uint8_t state)
{
    queue->counts[queue->entries[subtask].state]--;
    queue->entries[subtask].state = state;
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

/* Those marked done before the start are skipped; each is skipped once. */
static bool next_open(struct queue *queue, uint32_t *subtask)
{
    if (queue->returned != none) {
        *subtask = queue->returned;
        queue->returned = queue->entries[*subtask].next;
        return true;
    }
    while (queue->cursor < queue->subtask_count) {
        *subtask = queue->cursor++;
        if (queue->entries[*subtask].state == QUEUE_OPEN)
            return true;
    }
    return false;
}

bool queue_give(struct queue *queue, uint32_t slot, uint32_t *subtask)
{
    if (slot >= queue->slot_count || queue->slots[slot].count >= queue->give_limit ||
        !next_open(queue, subtask))
        return false;
    link_to_slot(queue, slot, *subtask);
    set_state(queue, *subtask, QUEUE_GIVEN);
    return true;
}

static bool has(const struct queue *queue, uint32_t slot, uint32_t subtask)
{
    return subtask < queue->subtask_count && queue->entries[subtask].state == QUEUE_GIVEN &&
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

bool queue_failed(struct queue *queue, uint32_t slot, uint32_t subtask)
{
    if (!has(queue, slot, subtask))
        return false;
    struct entry *entry = &queue->entries[subtask];
    unlink_from_slot(queue, subtask);
    entry->tries++;
    if (entry->tries >= queue->try_limit) {
        set_state(queue, subtask, QUEUE_POISON);
        return true;
    }
    set_state(queue, subtask, QUEUE_OPEN);
    entry->next = queue->returned;
    queue->returned = subtask;
    return true;
}

uint32_t queue_lost(struct queue *queue, uint32_t slot)
{
    uint32_t count = 0;
    if (slot >= queue->slot_count)
        return 0;
    while (queue->slots[slot].count > 0) {
        queue_failed(queue, slot, queue->slots[slot].first);
        count++;
    }
    return count;
}

bool queue_mark_done(struct queue *queue, uint32_t subtask)
{
    if (subtask >= queue->subtask_count || queue->cursor > 0 ||
        queue->entries[subtask].state != QUEUE_OPEN)
        return false;
    set_state(queue, subtask, QUEUE_DONE);
    return true;
}

enum queue_state queue_state(const struct queue *queue, uint32_t subtask)
{
    return subtask < queue->subtask_count ? queue->entries[subtask].state : QUEUE_OPEN;
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
    if (queue->slots[slot].count > queue->give_limit)
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

static const char *check_returned(const struct queue *queue, uint32_t open_ahead)
{
    uint32_t returned = 0;
    for (uint32_t at = queue->returned; at != none; at = queue->entries[at].next)
        if (at >= queue->cursor || queue->entries[at].state != QUEUE_OPEN ||
            ++returned > queue->counts[QUEUE_OPEN])
            return "the list of those that came back is damaged";
    return returned + open_ahead != queue->counts[QUEUE_OPEN] ? "an open subtask is nowhere" : NULL;
}

const char *queue_check(const struct queue *queue)
{
    uint32_t counts[QUEUE_POISON + 1] = {0}, given = 0, open_ahead = 0;
    for (uint32_t i = 0; i < queue->subtask_count; i++) {
        counts[queue->entries[i].state]++;
        open_ahead += i >= queue->cursor && queue->entries[i].state == QUEUE_OPEN;
    }
    for (uint32_t i = 0; i <= QUEUE_POISON; i++)
        if (counts[i] != queue->counts[i])
            return "a count does not agree with a recount";
    for (uint32_t slot = 0; slot < queue->slot_count; slot++) {
        const char *wrong = check_slot(queue, slot, &given);
        if (wrong != NULL)
            return wrong;
    }
    if (given != queue->counts[QUEUE_GIVEN])
        return "a given subtask is with nobody";
    return check_returned(queue, open_ahead);
}
