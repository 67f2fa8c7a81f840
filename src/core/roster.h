/* roster.h - all registered members, in the order of registration.
 *
 * Member IDs only grow, so the order of registration is the order of IDs: a member is found by
 * bisection, and an ID that was used once can never be used again. A lost member leaves. */
#ifndef CORE_ROSTER_H
#define CORE_ROSTER_H

#include "controller.h"

/* What the controller knows of a member beyond what it shows. Flags are 0 or 1. */
struct roster_member {
    struct core_member shown;
    uint8_t is_worker;     /* registered as a worker: stays one when it takes over control */
    uint8_t passed_over;   /* could have had a role in the epoch that was given out last */
    uint8_t waited;        /* was passed over in an epoch that opened */
    uint8_t at_end;        /* worker of this epoch that completed step_count */
    uint8_t shard_written; /* its shard of the checkpoint in flight is there */
    uint8_t final_done;    /* its final work in this epoch is done */
};

struct roster {
    struct roster_member **members; /* count of them, IDs ascending */
    uint32_t count, capacity;
    uint32_t next_id; /* every ID below was used, or is of no use any more */
};

void roster_start(struct roster *roster);
void roster_clear(struct roster *roster);

/* Appends a member. Returns it, zeroed but for its ID, rank, state and step; NULL when the ID was
 * used already, the roster is full, or memory is short. */
struct roster_member *roster_add(struct roster *roster, uint32_t id);

/* Returns false when there is none of this ID. */
bool roster_remove(struct roster *roster, uint32_t id);

/* NULL when there is none of this ID. O(log count). */
struct roster_member *roster_find(const struct roster *roster, uint32_t id);

/* Whether the member may be a worker of the next epoch. */
bool roster_is_usable(const struct roster_member *member);
uint32_t roster_usable_count(const struct roster *roster);

#endif
