/* drill.c - whom a fault of a drill hits: never so many that fewer workers than the minimum could
 * be left. */
#include "drill.h"

#include <string.h>

#include "draw.h"

const char *drill_kind_name(enum drill_kind kind)
{
    static const char *const names[DRILL_KINDS] = {"process", "host", "stop", "cut"};
    return names[kind];
}

void drill_take_members(struct drill *drill, struct run_members *members)
{
    if (members->incarnation != drill->members.incarnation)
        drill->hit_count = 0;
    run_members_clear(&drill->members);
    drill->members = *members;
    *members = (struct run_members){.list = NULL};
}

void drill_note_hit(struct drill *drill, uint32_t member)
{
    if (drill->hit_count < DRILL_MAX_HIT && !drill_is_hit(drill, member))
        drill->hit[drill->hit_count++] = member;
}

bool drill_is_hit(const struct drill *drill, uint32_t member)
{
    for (uint32_t i = 0; i < drill->hit_count; i++)
        if (drill->hit[i] == member)
            return true;
    return false;
}

static bool is_down(const struct drill *drill, const char *host)
{
    for (uint32_t i = 0; i < drill->down_count; i++)
        if (!strcmp(drill->down[i].host, host))
            return true;
    return false;
}

static bool is_there(const struct drill *drill, const struct run_member *member)
{
    return !drill_is_hit(drill, member->member) && !is_down(drill, member->host);
}

static bool is_usable(const struct drill *drill, const struct run_member *member)
{
    return is_there(drill, member) &&
           (!strcmp(member->role, "worker") || !strcmp(member->role, "spare"));
}

/* Usable members, on one host or (NULL) anywhere. */
static uint32_t usable_count(const struct drill *drill, const char *host)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < drill->members.count; i++) {
        const struct run_member *member = &drill->members.list[i];
        count += is_usable(drill, member) && (!host || !strcmp(member->host, host));
    }
    return count;
}

static bool may_lose_member(const struct drill *drill, const struct run_member *member)
{
    return is_there(drill, member) &&
           (!is_usable(drill, member) || usable_count(drill, NULL) > drill->min_workers);
}

/* Each host once: its first member stands for it. */
static bool may_lose_host(const struct drill *drill, const struct run_member *member)
{
    if (!is_there(drill, member))
        return false;
    for (const struct run_member *other = drill->members.list; other < member; other++)
        if (is_there(drill, other) && !strcmp(other->host, member->host))
            return false;
    return usable_count(drill, NULL) >= usable_count(drill, member->host) + drill->min_workers;
}

static const struct run_member *choose(const struct drill *drill, double number,
                                       bool (*may_lose)(const struct drill *,
                                                        const struct run_member *))
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < drill->members.count; i++)
        count += may_lose(drill, &drill->members.list[i]);
    if (count == 0)
        return NULL;
    uint32_t left = draw_index(number, count);
    for (uint32_t i = 0; i < drill->members.count; i++)
        if (may_lose(drill, &drill->members.list[i]) && left-- == 0)
            return &drill->members.list[i];
    return NULL;
}

const struct run_member *drill_choose_member(const struct drill *drill, double number)
{
    return choose(drill, number, may_lose_member);
}

const struct run_member *drill_choose_host(const struct drill *drill, double number)
{
    return choose(drill, number, may_lose_host);
}

void drill_clear(struct drill *drill)
{
    run_members_clear(&drill->members);
}
