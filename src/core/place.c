/* place.c - new members go to the host that has the most free slots; of equals the first. */
#include "place.h"

#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = 12, MAX_SLOTS = 4096 };

struct slots {
    char name[PLACE_NAME_BYTES];
    uint32_t free;
};

static bool is_address(const char *name)
{
    return strchr(name, '.') && name[strspn(name, "0123456789.")] == '\0';
}

bool place_same_host(const char *a, const char *b)
{
    if (is_address(a) || is_address(b))
        return strcmp(a, b) == 0;
    size_t length = strcspn(a, ".");
    return length == strcspn(b, ".") && memcmp(a, b, length) == 0;
}

/* What stands before one of these ends goes into name; false where that is nothing, or too much. */
static bool take_name(const char **text, const char *ends, char *name)
{
    size_t length = strcspn(*text, ends);
    if (length == 0 || length >= PLACE_NAME_BYTES)
        return false;
    memcpy(name, *text, length);
    name[length] = '\0';
    *text += length;
    return true;
}

bool place_next_name(const char **names, char *name, char *own)
{
    const char *text = *names;
    if (!take_name(&text, "=,", name) || *text++ != '=' || !take_name(&text, ",", own))
        return false;
    *names = *text ? text + 1 : text;
    return true;
}

const char *place_own_name(const char *names, const char *name, char *own)
{
    char called[PLACE_NAME_BYTES];
    for (const char *rest = names; place_next_name(&rest, called, own);)
        if (strcmp(called, name) == 0)
            return own;
    while (place_next_name(&names, called, own))
        if (place_same_host(called, name))
            return own;
    return name;
}

const char *place_listed_name(const char *names, const char *host, char *name)
{
    char own[PLACE_NAME_BYTES];
    while (place_next_name(&names, name, own))
        if (place_same_host(own, host) && !place_is_loopback(name))
            return name;
    return host;
}

bool place_is_one(const char *names, const char *a, const char *b)
{
    char own_a[PLACE_NAME_BYTES], own_b[PLACE_NAME_BYTES];
    return place_same_host(place_own_name(names, a, own_a), place_own_name(names, b, own_b));
}

bool place_is_loopback(const char *name)
{
    return strcmp(name, "localhost") == 0 || strncmp(name, "127.", 4) == 0;
}

/* NAME:SLOTS at *text, which then stands behind it and its comma. */
static bool read_host(const char **text, struct slots *host)
{
    const char *at = *text;
    char *end;
    if (!take_name(&at, ":,", host->name) || *at != ':')
        return false;
    unsigned long slots = strtoul(at + 1, &end, 10);
    if (end == at + 1 || slots > MAX_SLOTS || (*end != '\0' && *end != ','))
        return false;
    host->free = (uint32_t)slots;
    *text = *end == ',' ? end + 1 : end;
    return true;
}

bool place_next_host(const char **hosts, char *name, uint32_t *slots)
{
    struct slots host;
    if (!read_host(hosts, &host))
        return false;
    strcpy(name, host.name);
    *slots = host.free;
    return true;
}

static char *put_number(char *at, uint32_t number)
{
    char digits[NUMBER_BYTES];
    int length = 0;
    do
        digits[length++] = (char)('0' + number % 10);
    while (number /= 10);
    while (length > 0)
        *at++ = digits[--length];
    return at;
}

static char *put_host(char *begin, char *at, const char *name, uint32_t slots)
{
    size_t length = strlen(name);
    if (at > begin)
        *at++ = ',';
    memcpy(at, name, length);
    at[length] = ':';
    return put_number(at + length + 1, slots);
}

bool place_choose(const char *hosts, uint32_t wanted,
                  uint32_t (*used)(const void *context, const char *name), const void *context,
                  struct placement *place)
{
    struct slots host, best = {.free = 0};
    *place = (struct placement){.count = wanted};
    if (*hosts == '\0')
        return true;
    while (*hosts) {
        if (!read_host(&hosts, &host))
            return false;
        uint32_t taken = used(context, host.name);
        host.free = host.free > taken ? host.free - taken : 0;
        if (host.free > best.free && strlen(host.name) + 1 + NUMBER_BYTES < sizeof place->hosts)
            best = host;
    }
    place->count = best.free < wanted ? best.free : wanted;
    if (place->count > 0)
        *put_host(place->hosts, place->hosts, best.name, place->count) = '\0';
    return true;
}

/* The host of that name in the list; false when there is none, or the list is bad before it. */
static bool find_host(const char *hosts, const char *names, const char *name, struct slots *host)
{
    char own[PLACE_NAME_BYTES], other[PLACE_NAME_BYTES];
    const char *called = place_own_name(names, name, own);
    while (*hosts && read_host(&hosts, host))
        if (place_same_host(host->name, name) ||
            place_same_host(place_own_name(names, host->name, other), called))
            return true;
    return false;
}

static bool is_list(const char *hosts)
{
    struct slots host;
    while (*hosts)
        if (!read_host(&hosts, &host))
            return false;
    return true;
}

static uint32_t changed_slots(const char *changes, const char *names, const struct slots *host)
{
    struct slots other;
    if (!find_host(changes, names, host->name, &other))
        return host->free;
    return other.free == 0 || other.free > host->free ? other.free : host->free;
}

bool place_merge(const char *hosts, const char *changes, const char *names, bool grows,
                 char *merged, uint32_t *added, uint32_t *total)
{
    struct slots host, other;
    char *at = merged;
    if (!is_list(hosts) || !is_list(changes))
        return false;
    *added = *total = 0;
    while (*hosts && read_host(&hosts, &host)) {
        uint32_t slots = changed_slots(changes, names, &host);
        *added += slots > host.free ? slots - host.free : 0;
        *total += slots;
        if (slots > 0)
            at = put_host(merged, at, host.name, slots);
    }
    *at = '\0';
    while (grows && *changes && read_host(&changes, &host)) {
        if (host.free == 0 || find_host(merged, names, host.name, &other))
            continue;
        *added += host.free;
        *total += host.free;
        at = put_host(merged, at, host.name, host.free);
        *at = '\0';
    }
    return true;
}
