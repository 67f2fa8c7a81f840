/* control_names.c - names of hosts: a member calls its host as the kernel does, a person or the
 * list of hosts may call it otherwise. What the launcher found out about that is in
 * ONWARD_HOST_NAMES; the hosts that it left out since they are drained are in ONWARD_DRAINED_HOSTS.
 */
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "place.h"

static const char *said(const char *variable)
{
    const char *text = getenv(variable);
    return text ? text : "";
}

const char *control_names(void)
{
    return said("ONWARD_HOST_NAMES");
}

static const char *drained_hosts(void)
{
    return said("ONWARD_DRAINED_HOSTS");
}

bool control_is_host(const char *host, const char *name)
{
    return place_is_one(control_names(), host, name);
}

const char *control_listed_host(const struct onward *ow, const char *name, char *own)
{
    const char *called = place_own_name(control_names(), name, own);
    return place_is_loopback(called) || !strchr(ow->options.hosts, ',') ? ow->host : called;
}

/* That very name goes before one that is similar. */
const char *control_seat_host(const struct onward *ow, const char *name)
{
    const char *similar = NULL;
    for (uint32_t i = 0; i < ow->seat_count; i++) {
        const char *host = ow->seats[i].host;
        if (strcmp(host, name) == 0)
            return host;
        if (!similar && control_is_host(host, name))
            similar = host;
    }
    return similar;
}

bool control_is_drained(const char *name, uint32_t *slots)
{
    char listed[PLACE_NAME_BYTES];
    const char *hosts = drained_hosts();
    while (place_next_host(&hosts, listed, slots))
        if (place_is_one(control_names(), listed, name))
            return true;
    return false;
}

json_t *control_drained_hosts(void)
{
    char name[PLACE_NAME_BYTES];
    uint32_t slots;
    const char *hosts = drained_hosts();
    json_t *root = json_array();
    while (place_next_host(&hosts, name, &slots))
        json_array_append_new(root, json_string(name));
    return root;
}

json_t *control_host_names(void)
{
    char name[PLACE_NAME_BYTES], own[PLACE_NAME_BYTES];
    const char *names = control_names();
    json_t *root = json_object();
    while (place_next_name(&names, name, own))
        json_object_set_new(root, name, json_string(own));
    return root;
}
