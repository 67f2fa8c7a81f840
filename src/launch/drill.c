/* drill.c - whom a fault of a drill hits: never so many that fewer workers than the minimum could
 * be left, and no host that the task or the drill itself ends with. A host is down until the
 * command that brings it back has succeeded; tries are bounded. */
#include "drill.h"

#include <stdio.h>
#include <string.h>

#include "draw.h"
#include "place.h"

static const double pause_s = 2; /* between two tries to bring a host back */
/* For a start of mpirun on hosts of which one may not answer. */
static const double start_s = 20;
/* Who is silent is killed; a host on which that fails is taken for silent in its turn. */
static const double default_detect_s = 5, detections = 2;

const char *drill_kind_name(enum drill_kind kind)
{
    static const char *const names[DRILL_KINDS] = {"process", "host", "stop", "cut"};
    return names[kind];
}

double drill_answer_limit_s(double detect_s)
{
    return start_s + detections * (detect_s > 0 ? detect_s : default_detect_s);
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

/* Without its launcher a task is not started again, and without the drill no host comes back. */
static bool is_spared(const struct drill *drill, const char *host)
{
    return place_same_host(host, drill->owner_host) || place_same_host(host, drill->own_host);
}

/* Each host once: its first member stands for it. */
static bool may_lose_host(const struct drill *drill, const struct run_member *member)
{
    if (!is_there(drill, member) || is_spared(drill, member->host))
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

struct drill_down *drill_expect_back(struct drill *drill, const char *host, const char *name,
                                     const char *remedy, double due_s)
{
    struct drill_down *down = &drill->down[drill->down_count++];
    *down = (struct drill_down){.remedy = remedy, .due_s = due_s, .tries_left = DRILL_TRIES};
    snprintf(down->host, sizeof down->host, "%s", host);
    snprintf(down->name, sizeof down->name, "%s", name);
    return down;
}

struct drill_down *drill_due(struct drill *drill, double now_s)
{
    for (uint32_t i = 0; i < drill->down_count; i++)
        if (drill->down[i].tries_left > 0 && now_s >= drill->down[i].due_s)
            return &drill->down[i];
    return NULL;
}

void drill_is_back(struct drill *drill, struct drill_down *down)
{
    *down = drill->down[--drill->down_count];
}

void drill_is_not_back(struct drill_down *down, double now_s)
{
    down->tries_left--;
    down->due_s = now_s + pause_s;
}

void drill_hurry(struct drill *drill, double now_s)
{
    for (uint32_t i = 0; i < drill->down_count; i++) {
        struct drill_down *down = &drill->down[i];
        if (down->tries_left == DRILL_TRIES) /* else it is only in its pause, if at all */
            down->due_s = now_s;
        down->tries_left = DRILL_TRIES;
    }
}

bool drill_has_tries(const struct drill *drill)
{
    for (uint32_t i = 0; i < drill->down_count; i++)
        if (drill->down[i].tries_left > 0)
            return true;
    return false;
}

void drill_clear(struct drill *drill)
{
    run_members_clear(&drill->members);
}
