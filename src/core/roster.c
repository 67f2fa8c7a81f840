/* roster.c - all registered members, in the order of registration.
 *
 * An array of pointers, ascending by ID: a loss moves pointers and never the members. */
#include "roster.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

void roster_start(struct roster *roster)
{
    *roster = (struct roster){.next_id = 1};
}

void roster_clear(struct roster *roster)
{
    for (uint32_t i = 0; i < roster->count; i++)
        free(roster->members[i]);
    free(roster->members);
    roster_start(roster);
}

static bool make_room(struct roster *roster)
{
    if (roster->count < roster->capacity)
        return true;
    uint32_t capacity = roster->capacity == 0 ? FIRST_CAPACITY : 2 * roster->capacity;
    struct roster_member **members = realloc(roster->members, capacity * sizeof(*members));
    if (members == NULL)
        return false;
    roster->members = members;
    roster->capacity = capacity;
    return true;
}

struct roster_member *roster_add(struct roster *roster, uint32_t id)
{
    if (id < roster->next_id || id == UINT32_MAX || roster->count >= CONTROLLER_MAX_MEMBERS)
        return NULL;
    struct roster_member *member = calloc(1, sizeof(*member));
    if (member == NULL || !make_room(roster)) {
        free(member);
        return NULL;
    }
    member->shown.id = id;
    member->shown.rank = CONTROLLER_NO_RANK;
    member->shown.state = MEMBER_READY;
    member->shown.complete_step = -1;
    roster->members[roster->count++] = member;
    roster->next_id = id + 1;
    return member;
}

/* Index of the first member whose ID is not below id. */
static uint32_t lower_bound(const struct roster *roster, uint32_t id)
{
    uint32_t low = 0, high = roster->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (roster->members[middle]->shown.id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct roster_member *roster_find(const struct roster *roster, uint32_t id)
{
    uint32_t index = lower_bound(roster, id);
    if (index == roster->count || roster->members[index]->shown.id != id)
        return NULL;
    return roster->members[index];
}

bool roster_remove(struct roster *roster, uint32_t id)
{
    uint32_t index = lower_bound(roster, id);
    if (index == roster->count || roster->members[index]->shown.id != id)
        return false;
    free(roster->members[index]);
    roster->count--;
    memmove(roster->members + index, roster->members + index + 1,
            (roster->count - index) * sizeof(*roster->members));
    return true;
}

bool roster_is_usable(const struct roster_member *member)
{
    return member->shown.state == MEMBER_READY && member->is_worker;
}

uint32_t roster_usable_count(const struct roster *roster)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < roster->count; i++)
        count += roster_is_usable(roster->members[i]);
    return count;
}
