/* control_request.c - the operator's requests: from a file in the run directory to an event of the
 * core, with an answer in the event log. */
#include <stdio.h>
#include <string.h>

#include "control.h"

struct request_name {
    const char *name;
    uint8_t type;
};

static uint8_t type_of(const char *name)
{
    static const struct request_name names[] = {{"checkpoint", REQUEST_CHECKPOINT},
                                                {"stop", REQUEST_STOP},
                                                {"restart", REQUEST_STOP},
                                                {"scale", REQUEST_SCALE},
                                                {"drain", REQUEST_DRAIN},
                                                {"undrain", REQUEST_UNDRAIN},
                                                {"hosts", REQUEST_SCALE}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].type;
    return 0;
}

static bool changes_lineup(uint8_t type)
{
    return type == REQUEST_SCALE || type == REQUEST_DRAIN || type == REQUEST_UNDRAIN;
}

/* "drain n3", "drain member 4", "scale 6", "stop" */
static void describe(const struct run_request *request, char *text, size_t text_bytes)
{
    if (type_of(request->request) == REQUEST_SCALE)
        snprintf(text, text_bytes, "scale %lld", (long long)request->count);
    else if (request->member)
        snprintf(text, text_bytes, "%s member %lld", request->request, (long long)request->member);
    else
        snprintf(text, text_bytes, "%.15s %.40s", request->request, request->host);
}

static void explain_below_minimum(const struct onward *ow, const struct run_request *request,
                                  char *reason, size_t reason_bytes)
{
    const struct controller_policy *policy = controller_get_policy(ow->control->core);
    bool drains = type_of(request->request) == REQUEST_DRAIN;
    bool might_spawn = policy->can_spawn && policy->replace == REPLACE_SPAWN;
    snprintf(reason, reason_bytes, "fewer than the minimum of %u worker%s would be left (--min)%s",
             policy->min_workers, policy->min_workers == 1 ? "" : "s",
             drains && might_spawn ? ", and no other host has room for them" : "");
}

static void explain(const struct onward *ow, const struct run_request *request,
                    enum request_verdict verdict, char *reason, size_t reason_bytes)
{
    switch (verdict) {
    case REQUEST_BELOW_MINIMUM:
        explain_below_minimum(ow, request, reason, reason_bytes);
        break;
    case REQUEST_BEYOND_LIMIT:
        snprintf(reason, reason_bytes, "expected at most %d workers", CONTROLLER_MAX_MEMBERS);
        break;
    case REQUEST_ENDING:
        snprintf(reason, reason_bytes, "the task is about to end");
        break;
    case REQUEST_NOBODY:
        if (request->member)
            snprintf(reason, reason_bytes, "member %lld is no worker or spare of this task",
                     (long long)request->member);
        else
            snprintf(reason, reason_bytes, "no worker or spare of this task is on host \"%.40s\"",
                     request->host);
        break;
    default:
        snprintf(reason, reason_bytes, "it cannot be met");
        break;
    }
}

/* What it would come to, and why it is refused where it is. */
static enum request_verdict judge(const struct onward *ow, const struct run_request *request,
                                  const struct controller_event *event, char *reason,
                                  size_t reason_bytes)
{
    enum request_verdict verdict = controller_judge_request(ow->control->core, event);
    bool by_host = event->request == REQUEST_DRAIN || event->request == REQUEST_UNDRAIN;
    reason[0] = '\0';
    if (changes_lineup(event->request) && !transport_has_fault_tolerance(ow->transport)) {
        snprintf(reason, reason_bytes, "MPI runs without fault tolerance");
        return REQUEST_UNKNOWN;
    }
    if (by_host && !request->member && !control_seat_host(ow, request->host))
        verdict = REQUEST_NOBODY; /* the core knows hosts by a hash alone */
    if (verdict != REQUEST_FITS && verdict != REQUEST_ALREADY)
        explain(ow, request, verdict, reason, reason_bytes);
    return verdict;
}

int64_t control_present_count(const struct onward *ow)
{
    const struct controller *core = ow->control->core;
    return (int64_t)controller_worker_count(core) + controller_spare_count(core);
}

/* Workers that a scale leads to, when those come who are spawned or for whom mpirun is started
 * again. Hosts were named by the launcher, which does that. */
static int64_t expected_workers(const struct onward *ow, const struct run_request *request)
{
    const struct controller_policy *policy = controller_get_policy(ow->control->core);
    int64_t there = control_present_count(ow), slots = control_slot_count(ow, request->hosts);
    int64_t expected =
        request->count < policy->subtask_count ? request->count : policy->subtask_count;
    bool may_come = policy->can_spawn || *ow->options.hosts;
    if (type_of(request->request) == REQUEST_UNDRAIN)
        return expected; /* on a host that is not in the list */
    slots = may_come && slots > there ? slots : there;
    return expected < slots ? expected : slots;
}

/* Who is not there yet comes by a spawn, or by a start of mpirun where none is possible; for whom
 * no slot is free nobody waits, though a spawn was ordered. */
static bool is_awaited(const struct onward *ow, const struct run_request *request)
{
    const struct control *control = ow->control;
    if (type_of(request->request) == REQUEST_SCALE)
        return expected_workers(ow, request) > control_present_count(ow);
    return control->spawn_wanted > 0 || control->newcomer_count > 0;
}

/* What the core is to reach by itself: those who come on new hosts do so in the next start. */
static uint32_t count_for_core(const struct onward *ow, const struct run_request *request)
{
    int64_t there = control_present_count(ow), slots = control_slot_count(ow, "");
    int64_t most = slots > there ? slots : there;
    return (uint32_t)(request->hosts[0] && request->count > most ? most : request->count);
}

static void tell(struct onward *ow, const struct run_request *request, bool accepted, bool changes,
                 const char *reason)
{
    json_t *extra = json_pack("{s:s, s:s, s:s, s:b}", "request", request->request, "by",
                              request->by, "name", request->name, "accepted", accepted);
    uint8_t type = type_of(request->request);
    if (type == REQUEST_SCALE)
        json_object_set_new(extra, "count", json_integer(request->count));
    else if (changes_lineup(type) && request->member)
        json_object_set_new(extra, "member", json_integer(request->member));
    else if (changes_lineup(type))
        json_object_set_new(extra, "host", json_string(request->host));
    if (request->hosts[0])
        json_object_set_new(extra, "hosts", json_string(request->hosts));
    if (accepted && changes_lineup(type))
        json_object_set_new(extra, "changes", json_boolean(changes));
    if (accepted && changes && request->count > 0)
        json_object_set_new(extra, "expected", json_integer(expected_workers(ow, request)));
    if (!accepted || *reason)
        json_object_set_new(extra, "reason", json_string(reason));
    control_event(ow, "request", extra);
}

/* False when there is nothing for the core to do, after an answer. */
static bool take_hosts(struct onward *ow, struct run_request *request)
{
    char reason[160] = "";
    bool grows;
    if (!request->hosts[0])
        return true;
    bool good = control_judge_hosts(ow, request, &grows, reason, sizeof reason);
    if (good)
        control_take_hosts(ow, request->hosts);
    if (good && grows)
        return true;
    tell(ow, request, good, false, reason);
    return false;
}

/* A host that mpirun was started without, since it is drained: the launcher asks it and brings it
 * in by the next start, which it makes for that. */
static bool answer_drained_host(struct onward *ow, struct run_request *request)
{
    uint32_t slots;
    uint8_t type = type_of(request->request);
    if ((type != REQUEST_DRAIN && type != REQUEST_UNDRAIN) || request->member ||
        control_seat_host(ow, request->host) || !control_is_drained(request->host, &slots))
        return false;
    bool ends = controller_is_stopping(ow->control->core);
    bool changes = type == REQUEST_UNDRAIN && slots > 0;
    char reason[160] = "";
    if (ends)
        explain(ow, request, REQUEST_ENDING, reason, sizeof reason);
    if (!ends && type == REQUEST_UNDRAIN && !changes)
        snprintf(reason, sizeof reason, "nobody more is needed");
    request->count = controller_worker_count(ow->control->core) + slots;
    tell(ow, request, !ends, changes, reason);
    return true;
}

/* A stop for good is the stronger one, whichever comes first. */
static void note_restart(struct control *control, const struct run_request *request)
{
    bool restarts = strcmp(request->request, "restart") == 0;
    if (restarts && !controller_is_stopping(control->core))
        control->restarts = true;
    else if (!restarts && type_of(request->request) == REQUEST_STOP)
        control->restarts = false;
}

/* The answer stands in the log before the epoch that it brings about, and a stop before its end. */
static void answer(struct onward *ow, struct run_request *request)
{
    struct control *control = ow->control;
    char reason[160];
    if (!take_hosts(ow, request) || answer_drained_host(ow, request))
        return;
    const char *host = control_seat_host(ow, request->host);
    struct controller_event event = {.type = EVENT_REQUEST,
                                     .request = type_of(request->request),
                                     .count = count_for_core(ow, request),
                                     .member = (uint32_t)request->member,
                                     .host = control_host_number(host ? host : request->host)};
    if (event.request == REQUEST_DRAIN)
        event.count = control_slots_after_drain(ow, &event);
    enum request_verdict verdict = judge(ow, request, &event, reason, sizeof reason);
    bool fits = verdict == REQUEST_FITS;
    note_restart(control, request);
    if (!changes_lineup(event.request)) {
        tell(ow, request, fits, false, reason);
        if (event.request == REQUEST_CHECKPOINT && ow->options.service)
            control_event(ow, "checkpoint", /* what a service counted is in its files */
                          json_pack("{s:I}", "checkpoint_step",
                                    (json_int_t)controller_checkpoint_step(control->core)));
        else if (fits)
            control_feed(ow, event);
        return;
    }
    if (fits)
        control_feed(ow, event);
    bool changes = fits && (controller_in_change(control->core) || is_awaited(ow, request));
    if (changes)
        describe(request, control->cause, sizeof control->cause);
    tell(ow, request, fits || verdict == REQUEST_ALREADY, changes, reason);
}

void control_take_request(struct onward *ow)
{
    struct run_request request;
    struct error error = {0};
    bool found = false;
    int code = rundir_take_request(ow->control->rundir, &request, &found, &error);
    if (code == ONWARD_ERR_FENCED)
        return; /* the log is another's */
    if (code != ONWARD_OK)
        control_warn(ow, "%s", error.text);
    else if (found)
        answer(ow, &request);
}
