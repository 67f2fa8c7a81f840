/* control_hosts.c - the hosts on which members may be spawned, as they change while the task runs.
 *
 * A host that was not part of the job when mpirun started is new to it: the first spawn there has
 * to say so, which makes mpirun start its daemon on it, and needs no mixing with hosts that it has.
 * If that fails, the host is given up. It can be done once, and is the last spawn of all: with Open
 * MPI 5.0.7 a second such spawn never returns, and most of any others after it hang, on whatever
 * host, since members cannot find out where the new ones are. From then on lost workers are
 * replaced by spares, or by the next start, which can use all hosts as any other. Once hosts have
 * changed, each opening of an epoch carries them to all, so that a member that takes over as the
 * controller knows them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"

enum { HOST_TEXTS = 3 }; /* in an opening: all hosts, those of the job, those that are new to it */

/* Merged with the changes, or NULL with the reason. */
static char *merge(const char *hosts, const char *changes, uint32_t *added, uint32_t *total)
{
    char *merged = malloc(strlen(hosts) + strlen(changes) + 2);
    if (merged && place_merge(hosts, changes, merged, added, total))
        return merged;
    free(merged);
    return NULL;
}

static int64_t grown_count(const struct onward *ow, uint32_t added, uint32_t total)
{
    const struct controller *core = ow->control->core;
    int64_t count = (int64_t)controller_worker_count(core) + added;
    int64_t max = controller_get_policy(core)->max_workers;
    count = count < total ? count : total;
    return count < max ? count : max;
}

/* Is a host among the changes that mpirun would have to take in? */
static bool has_new(const struct onward *ow, const char *changes)
{
    const struct control *control = ow->control;
    char *fresh = strdup(changes), *grown = fresh ? malloc(strlen(changes) + 2) : NULL;
    uint32_t added, total = 1;
    if (grown) {
        place_drop(fresh, control->known_hosts ? control->known_hosts : ow->options.hosts);
        place_merge("", fresh, grown, &added, &total);
    }
    free(grown);
    free(fresh);
    return total > 0;
}

bool control_judge_hosts(const struct onward *ow, struct run_request *request, bool *grows,
                         char *reason, size_t reason_bytes)
{
    uint32_t added = 0, total = 0;
    char *merged =
        *ow->options.hosts ? merge(ow->options.hosts, request->hosts, &added, &total) : NULL;
    if (!*ow->options.hosts)
        snprintf(reason, reason_bytes, "the task was started without a list of hosts (--hosts)");
    else if (!merged)
        snprintf(reason, reason_bytes, "hosts \"%.60s\": expected NAME:SLOTS,...", request->hosts);
    bool good = merged != NULL;
    bool is_late =
        ow->control->took_hosts_in || !controller_get_policy(ow->control->core)->can_spawn;
    if (good && is_late && has_new(ow, request->hosts)) {
        snprintf(reason, reason_bytes,
                 "mpirun takes in new hosts once; %.60s can be used after its next start",
                 request->hosts);
        good = false;
    }
    free(merged);
    *grows = request->count > 0 || added > 0;
    if (good && request->count == 0 && added > 0)
        request->count = grown_count(ow, added, total);
    return good;
}

/* Of the changes, what is not in the table before: new to the job. */
static bool note_new_hosts(struct onward *ow, const char *before, const char *changes)
{
    struct control *control = ow->control;
    uint32_t added, total;
    char *fresh = strdup(changes);
    if (!fresh)
        return false;
    place_drop(fresh, before);
    char *merged = merge(control->new_hosts ? control->new_hosts : "", fresh, &added, &total);
    free(fresh);
    if (!merged)
        return false;
    free(control->new_hosts);
    control->new_hosts = merged;
    return true;
}

void control_take_hosts(struct onward *ow, const char *changes)
{
    uint32_t added, total;
    char *merged = merge(ow->options.hosts, changes, &added, &total);
    if (!merged ||
        !note_new_hosts(ow, ow->control->known_hosts ? ow->control->known_hosts : ow->options.hosts,
                        changes)) {
        free(merged);
        control_warn(ow, "no memory for more hosts");
        return;
    }
    if (!ow->control->known_hosts)
        ow->control->known_hosts = (char *)ow->options.hosts; /* what mpirun was started on */
    else
        free((char *)ow->options.hosts);
    ow->options.hosts = merged;
}

bool control_host_is_new(const struct onward *ow, const char *name)
{
    return ow->control->new_hosts && place_lists(ow->control->new_hosts, name);
}

void control_host_result(struct onward *ow, const struct placement *place, bool works)
{
    struct control *control = ow->control;
    control->took_hosts_in = true;
    if (works) {
        uint32_t added, total;
        char *known = merge(control->known_hosts, place->hosts, &added, &total);
        if (known) {
            free(control->known_hosts);
            control->known_hosts = known;
        }
        controller_stop_spawns(control->core);
        control_warn(ow,
                     "mpirun took in %s, and can spawn nobody from now on: lost workers are "
                     "replaced by spares, or when it starts again",
                     place->hosts);
    } else {
        control_warn(ow, "no member could be spawned on the new hosts %s: they are not used",
                     place->hosts);
        place_drop((char *)ow->options.hosts, place->hosts);
    }
    place_drop(control->new_hosts, place->hosts);
}

void *control_save_hosts(const struct onward *ow, size_t *size)
{
    const struct control *control = ow->control;
    *size = 0;
    if (!control->known_hosts)
        return NULL;
    const char *texts[HOST_TEXTS] = {ow->options.hosts, control->known_hosts,
                                     control->new_hosts ? control->new_hosts : ""};
    size_t needed = 1;
    for (int i = 0; i < HOST_TEXTS; i++)
        needed += strlen(texts[i]) + 1;
    char *bytes = malloc(needed), *at = bytes;
    if (!bytes)
        return NULL;
    *at++ = control->took_hosts_in ? '1' : '0';
    for (int i = 0; i < HOST_TEXTS; i++)
        at = stpcpy(at, texts[i]) + 1;
    *size = needed;
    return bytes;
}

int control_load_hosts(struct onward *ow)
{
    const char *bytes = ow->host_bytes;
    char *texts[HOST_TEXTS];
    int count = 0;
    if (!bytes || ow->host_size == 0)
        return ONWARD_OK;
    const char *end = bytes + ow->host_size, *at = bytes + 1;
    while (count < HOST_TEXTS && at < end && memchr(at, '\0', (size_t)(end - at)) &&
           (texts[count] = strdup(at)) != NULL) {
        at += strlen(at) + 1;
        count++;
    }
    if (count < HOST_TEXTS) {
        while (count > 0)
            free(texts[--count]);
        return error_set(&ow->error, ONWARD_ERR_MEMORY, "no memory for the hosts");
    }
    free((char *)ow->options.hosts);
    ow->options.hosts = texts[0];
    ow->control->known_hosts = texts[1];
    ow->control->new_hosts = texts[2];
    ow->control->took_hosts_in = bytes[0] == '1';
    return ONWARD_OK;
}
