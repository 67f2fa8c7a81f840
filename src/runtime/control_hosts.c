/* control_hosts.c - the table of hosts, as it changes while the task runs.
 *
 * A host that comes is none of mpirun's before its next start, which the launcher makes in order
 * once the host has answered (launch/move.c); until then it is not in the table, by which the
 * controller decides where it can spawn. Once the table has changed, each opening of an epoch
 * carries it to all, so that a member that takes over as the controller knows it. */
#include <stdlib.h>
#include <string.h>

#include "control.h"

/* Merged with the changes, or NULL where one of them cannot be read. */
static char *merge(const char *hosts, const char *changes, bool grows, uint32_t *added,
                   uint32_t *total)
{
    char *merged = malloc(strlen(hosts) + strlen(changes) + 2);
    if (merged && place_merge(hosts, changes, control_names(), grows, merged, added, total))
        return merged;
    free(merged);
    return NULL;
}

uint32_t control_slot_count(const struct onward *ow, const char *changes)
{
    uint32_t added, total = CONTROLLER_MAX_MEMBERS;
    if (*ow->options.hosts)
        free(merge(ow->options.hosts, changes, true, &added, &total));
    return total;
}

static int64_t grown_count(const struct onward *ow, uint32_t added, uint32_t total)
{
    const struct controller *core = ow->control->core;
    uint32_t there = controller_worker_count(core), desired = controller_desired_count(core);
    int64_t count =
        (int64_t)(desired > there ? desired : there) + added; /* some may be on their way */
    int64_t max = controller_get_policy(core)->max_workers;
    count = count < total ? count : total;
    return count < max ? count : max;
}

bool control_judge_hosts(const struct onward *ow, struct run_request *request, bool *grows,
                         char *reason, size_t reason_bytes)
{
    uint32_t added = 0, total = 0;
    char *merged =
        *ow->options.hosts ? merge(ow->options.hosts, request->hosts, true, &added, &total) : NULL;
    if (!*ow->options.hosts)
        snprintf(reason, reason_bytes, "the task was started without a list of hosts (--hosts)");
    else if (!merged)
        snprintf(reason, reason_bytes, "hosts \"%.60s\": expected NAME:SLOTS,...", request->hosts);
    bool is_good = merged != NULL;
    free(merged);
    *grows = request->count > 0 || added > 0;
    if (is_good && request->count == 0 && added > 0)
        request->count = grown_count(ow, added, total);
    return is_good;
}

void control_take_hosts(struct onward *ow, const char *changes)
{
    uint32_t added, total;
    char *merged = merge(ow->options.hosts, changes, false, &added, &total);
    if (!merged) {
        control_warn(ow, "no memory for the changes of hosts");
        return;
    }
    free((char *)ow->options.hosts);
    ow->options.hosts = merged;
    ow->control->hosts_changed = true;
}

void *control_save_hosts(const struct onward *ow, size_t *size)
{
    char *hosts = ow->control->hosts_changed ? strdup(ow->options.hosts) : NULL;
    *size = hosts ? strlen(hosts) + 1 : 0;
    return hosts;
}

int control_load_hosts(struct onward *ow)
{
    if (!ow->host_bytes || ow->host_size == 0)
        return ONWARD_OK;
    char *hosts = strndup(ow->host_bytes, ow->host_size);
    if (!hosts)
        return error_set(&ow->error, ONWARD_ERR_MEMORY, "no memory for the hosts");
    free((char *)ow->options.hosts);
    ow->options.hosts = hosts;
    ow->control->hosts_changed = true;
    return ONWARD_OK;
}
