/* allot.c - hosts and ranks of an incarnation. */
#include "allot.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t allot_probe(struct allotment *allotment, int64_t incarnation, bool patient)
{
    if (allotment->places.count == 0)
        return allotment->member_count;
    places_probe(&allotment->places, incarnation, patient);
    uint32_t slots = places_spare_unlisted(&allotment->places, allotment->min_workers);
    return slots < allotment->member_count ? slots : allotment->member_count;
}

/* Has a host more ranks than cores? The first may have the controller too. */
static bool is_crowded(const struct places *places, bool has_controller)
{
    bool first = has_controller;
    for (uint32_t i = 0; i < places->count; i++) {
        const struct place *place = &places->list[i];
        if (place->usable && place->host.slots + (first ? 1 : 0) > place->cores)
            return true;
        first = first && !place->usable;
    }
    return false;
}

/* Takes over the text. */
static int set_text(const char *variable, char *text, struct error *error)
{
    int code = ONWARD_OK;
    if (!text || setenv(variable, text, 1) != 0)
        code = error_set(error, ONWARD_ERR_MEMORY, "hosts: out of memory");
    free(text);
    return code;
}

/* What members and verbs are to know of hosts besides: what they call themselves, and which are not
 * used because they were drained, with the slots that would be filled there. */
static int set_names(const struct allotment *allotment, struct error *error)
{
    uint32_t slots = hosts_slots(&allotment->hosts), wanted = allotment->member_count;
    char *drained = places_drained(&allotment->places, slots < wanted ? wanted - slots : 0);
    int code = set_text("ONWARD_DRAINED_HOSTS", drained, error);
    if (code != ONWARD_OK)
        return code;
    return set_text("ONWARD_HOST_NAMES", places_names(&allotment->places), error);
}

static int set_hosts(struct allotment *allotment, struct error *error)
{
    struct hosts hosts;
    int code = places_usable(&allotment->places, &hosts, error);
    if (code != ONWARD_OK)
        return code;
    hosts_clear(&allotment->hosts);
    allotment->hosts = hosts;
    for (uint32_t i = 0; i < allotment->places.count; i++)
        allotment->places.list[i].has_copies |= allotment->places.list[i].usable;
    if (hosts.count == 0)
        return ONWARD_OK;
    code = set_text("ONWARD_HOSTS", hosts_text(&hosts), error);
    return code == ONWARD_OK ? set_names(allotment, error) : code;
}

/* With fewer members than were asked for, spares take the place of the workers that are missing. */
static int set_spares(const struct allotment *allotment, uint32_t members, struct error *error)
{
    char text[16];
    uint32_t missing = allotment->member_count - members;
    uint32_t spares = allotment->spare_count > missing ? allotment->spare_count - missing : 0;
    snprintf(text, sizeof text, "%u", spares);
    if (spares ? setenv("ONWARD_SPARES", text, 1) : unsetenv("ONWARD_SPARES"))
        return error_set(error, ONWARD_ERR_MEMORY, "spares: out of memory");
    return ONWARD_OK;
}

int allot_command(struct allotment *allotment, int64_t incarnation, struct error *error)
{
    char subnets[PLACES_SUBNETS_BYTES];
    const struct places *places = &allotment->places;
    struct command_settings settings = allotment->command;
    int code = set_hosts(allotment, error);
    if (code != ONWARD_OK)
        return code;
    code = session_renew(allotment->session, error);
    if (code != ONWARD_OK)
        return code;
    settings.session = allotment->session;
    /* On one host the loopback always works, and an interface may not: spawned processes connect
     * by TCP even there. */
    if (allotment->hosts.count == 1)
        snprintf(subnets, sizeof subnets, "lo");
    else
        places_subnets(places, subnets, sizeof subnets);
    struct command_hosts over = {.hosts = &allotment->hosts,
                                 .agent = places->agent,
                                 .subnets = subnets,
                                 .task = places->task,
                                 .base = places->base,
                                 .incarnation = incarnation,
                                 .detect_s = allotment->detect_s,
                                 .keepalive = allotment->keepalive};
    uint32_t slots = hosts_slots(&allotment->hosts);
    uint32_t members = allotment->member_count;
    settings.core_count = allotment->core_count;
    if (places->count > 0) {
        settings.over = &over;
        members = slots < members ? slots : members;
        settings.core_count = is_crowded(places, !settings.is_plain) ? 0 : members + 1;
    }
    settings.rank_count = allotment->rank_count = members + (settings.is_plain ? 0 : 1);
    code = set_spares(allotment, members, error);
    if (code != ONWARD_OK)
        return code;
    free(allotment->argv);
    allotment->argv = NULL;
    return command_build(&settings, &allotment->argv, error);
}

static bool was_used(const struct hosts *hosts, const char *name)
{
    for (uint32_t i = 0; i < hosts->count; i++)
        if (!strcmp(hosts->list[i].name, name))
            return true;
    return false;
}

bool allot_uses(const struct allotment *allotment, const char *host)
{
    return was_used(&allotment->hosts, host);
}

bool allot_fits(const struct allotment *allotment)
{
    const struct places *places = &allotment->places;
    for (uint32_t i = 0; i < places->count; i++)
        if (places->list[i].usable != was_used(&allotment->hosts, places->list[i].host.name))
            return false;
    return true;
}

json_t *allot_lost(const struct allotment *allotment, const struct hosts *hosts, char *text,
                   size_t text_bytes)
{
    json_t *lost = json_array();
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < allotment->places.count; i++) {
        const struct place *place = &allotment->places.list[i];
        bool is_spared = place->retired || place->drained || (place->unlisted && !place->reason[0]);
        if (place->usable || is_spared || !was_used(hosts, place->host.name))
            continue;
        json_array_append_new(lost, json_string(place->host.name));
        if (used + 1 < text_bytes)
            used += (size_t)snprintf(text + used, text_bytes - used, "%s%s", used ? "; " : "",
                                     place->reason);
    }
    return lost;
}

void allot_clear(struct allotment *allotment)
{
    session_remove(allotment->session);
    places_close(&allotment->places);
    hosts_clear(&allotment->hosts);
    free(allotment->argv);
    allotment->argv = NULL;
}
