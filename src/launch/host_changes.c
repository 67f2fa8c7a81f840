/* host_changes.c - hosts that come and go while the task runs: what the file of --hostfile or an
 * operator says becomes requests to the task, and the places of the next incarnation.
 *
 * Hosts that go are drained, not killed; they stay among the places, retired, so that what is left
 * there can be found and ended. One that the task cannot do without (--min) is asked for again with
 * each change of the lineup, and left out by a start that has enough others. Hosts that come are
 * asked first, as before a start. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launch_options.h"
#include "say.h"
#include "supervise_internal.h"

enum { SLOTS_BYTES = 16 }; /* of a number of slots, with the signs around it and the end */

static const char of_file[] = "--hostfile";

void supervise_warn_of_host(struct supervisor *s, const char *host, const char *text)
{
    json_t *extra = json_pack("{s:s, s:s*}", "text", text, "host", host);
    rundir_event(s->settings->rundir, "warning", s->watch.status.epoch, s->watch.status.step, extra,
                 NULL);
    json_decref(extra);
}

void supervise_warn(struct supervisor *s, const char *text)
{
    supervise_warn_of_host(s, NULL, text);
}

/* What cannot be read or moved away is met again at each look, and told once. */
bool supervise_take_request(struct supervisor *s, struct run_request *request)
{
    struct error error = {.text = ""};
    bool found = false;
    int code = rundir_take_request(s->settings->rundir, request, &found, &error);
    bool is_new = code == ONWARD_ERR_INPUT || code != s->request_code;
    s->request_code = code;
    if (is_new && code != ONWARD_OK && code != ONWARD_ERR_FENCED)
        supervise_warn(s, error.text);
    return code == ONWARD_OK && found;
}

static bool put_request(struct supervisor *s, struct run_request *request)
{
    struct error error;
    if (s->is_waiting)
        return false; /* the next start is made as the hosts are by then */
    bool is_put = rundir_put_request(s->settings->rundir, request, &error) == ONWARD_OK;
    if (!is_put)
        supervise_warn(s, error.text);
    return is_put;
}

static void put(struct supervisor *s, const char *verb, const char *host)
{
    struct run_request request = {.count = 0};
    snprintf(request.request, sizeof request.request, "%s", verb);
    snprintf(request.host, sizeof request.host, "%s", host);
    put_request(s, &request);
}

/* NAME:SLOTS,... for the task's own table of hosts. Who asks tells it from an operator's request.
 */
static void put_hosts(struct supervisor *s, const char *hosts)
{
    struct run_request request = {.request = "hosts"};
    snprintf(request.by, sizeof request.by, "%s", of_file);
    snprintf(request.hosts, sizeof request.hosts, "%s", hosts);
    put_request(s, &request);
}

static bool is_listed(const struct hosts *list, const struct place *place)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (places_is(place, list->list[i].name))
            return true;
    return false;
}

static uint32_t listed_slots(const struct allotment *allotment, bool drained_too)
{
    uint32_t slots = 0;
    for (uint32_t i = 0; i < allotment->places.count; i++) {
        const struct place *place = &allotment->places.list[i];
        if (place_is_listed(place) && (drained_too || !place->drained))
            slots += place->host.slots;
    }
    return slots;
}

static void note_members(struct allotment *allotment)
{
    uint32_t slots = listed_slots(allotment, true);
    if (slots > allotment->member_count)
        allotment->member_count = slots < allotment->most_members ? slots : allotment->most_members;
}

/* It is asked beside the supervisor, and is used once it answers. */
static void want_host(struct supervisor *s, const struct host *host)
{
    struct places *places = &s->settings->allotment->places;
    struct place place = {.host = *host, .is_local = places_is_local(host->name)};
    struct error error = {.text = ""};
    if (!places_find(places, host->name) && places_add(places, &place, &error) != ONWARD_OK)
        supervise_warn(s, error.text);
    places_ask_for(places, host);
    returns_hurry(&s->returns);
}

/* Asks for the hosts in words, which are none then. */
static void put_words(struct supervisor *s, struct words *words)
{
    if (words->used > 0)
        put_hosts(s, words->text);
    *words = words_start(words->text, words->room);
}

static bool has_more_slots(const struct place *place, uint32_t slots)
{
    return slots > place->listed_slots && slots > place->host.slots && !place->drained;
}

/* NAME:SLOTS,... of those that came, or got slots, goes into requests, of which each holds as many
 * as it can. */
static void add_hosts(struct supervisor *s, const struct hosts *list)
{
    char text[RUNDIR_HOSTS_BYTES];
    struct words words = words_start(text, sizeof text);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct host *host = &list->list[i];
        const struct place *there = places_find(&s->settings->allotment->places, host->name);
        bool is_listed = there && place_is_listed(there);
        if (is_listed && !has_more_slots(there, host->slots))
            continue;
        if (there && !is_listed)
            put(s, "undrain", host->name);
        want_host(s, host);
        if (words.used + strlen(host->name) + SLOTS_BYTES > words.room)
            put_words(s, &words);
        words_add(&words, "%s%s:%u", words.used ? "," : "", host->name, host->slots);
    }
    note_members(s->settings->allotment);
    put_words(s, &words);
}

/* MPI cannot take slots away from a host that it runs on, and nobody is sent away for it: whom to
 * drain is for the operator to say. */
static void take_fewer(struct supervisor *s, struct place *place, uint32_t slots)
{
    char text[PLACES_REASON_BYTES];
    uint32_t before = place->host.slots, least = s->settings->allotment->min_workers;
    bool is_needed =
        !place->drained && listed_slots(s->settings->allotment, false) < before - slots + least;
    if (is_needed)
        snprintf(
            text, sizeof text,
            "host %.80s keeps its %u slots: with %u there would be room for fewer workers than "
            "the minimum of %u (--min)",
            place->host.name, before, slots, least);
    else
        snprintf(
            text, sizeof text,
            "host %.80s has %u slots instead of %u from the next start of mpirun on; until then "
            "its members stay, unless they are drained (onward drain)",
            place->host.name, slots, before);
    if (!is_needed)
        place->host.slots = place->listed_slots = slots;
    supervise_warn(s, text);
}

/* Those that came or got more slots have them by now. */
static void take_slots(struct supervisor *s, const struct hosts *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        uint32_t slots = list->list[i].slots;
        struct place *place = places_find(&s->settings->allotment->places, list->list[i].name);
        if (!place || slots == place->listed_slots)
            continue;
        if (slots < place->host.slots)
            take_fewer(s, place, slots);
        else
            place->host.slots = place->listed_slots = slots;
    }
}

/* A host for which the file says no number keeps its own. */
static void keep_slots(const struct places *places, struct hosts *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct host *host = &list->list[i];
        const struct place *place = host->slots == 0 ? places_find(places, host->name) : NULL;
        if (place && place_is_listed(place))
            host->slots = place->listed_slots ? place->listed_slots : place->host.slots;
    }
}

/* What the file does not name any more is drained, and is a place as before until the task has
 * agreed to that: with too few workers it would end. Where nobody works nobody has to agree. */
static void remove_hosts(struct supervisor *s, const struct hosts *list)
{
    struct allotment *allotment = s->settings->allotment;
    for (uint32_t i = 0; i < allotment->places.count; i++) {
        struct place *place = &allotment->places.list[i];
        if (!place_is_listed(place) || is_listed(list, place))
            continue;
        bool is_used = !s->is_waiting && allot_uses(allotment, place->host.name);
        if (is_used)
            place->unlisted = true;
        else
            places_retire(&allotment->places, place->host.name);
    }
}

/* Those that it did not agree to may go by now. */
static void ask_to_leave(struct supervisor *s)
{
    const struct allotment *allotment = s->settings->allotment;
    for (uint32_t i = 0; i < allotment->places.count; i++) {
        const struct place *place = &allotment->places.list[i];
        if (place->unlisted && allot_uses(allotment, place->host.name))
            put(s, "drain", place->host.name);
    }
}

/* The task has agreed. */
static void let_go(struct supervisor *s, struct place *place)
{
    char text[HOSTS_NAME_BYTES + 2];
    places_retire(&s->settings->allotment->places, place->host.name);
    snprintf(text, sizeof text, "%s:0", place->host.name);
    put_hosts(s, text);
}

static void take_list(struct supervisor *s, struct hosts *list)
{
    keep_slots(&s->settings->allotment->places, list);
    hosts_fill_slots(list, s->settings->allotment->member_count);
    remove_hosts(s, list);
    ask_to_leave(s);
    add_hosts(s, list);
    take_slots(s, list);
}

void host_changes_look(struct supervisor *s)
{
    struct hosts list = {.list = NULL};
    struct error error = {.text = ""};
    if (!s->is_waiting && (!s->watch.seen || s->watch.status.epoch == 0))
        return;
    enum host_watch_result result = host_watch_look(&s->host_watch, clock_now_s(), &list, &error);
    if (result == HOST_WATCH_SAME)
        return;
    if (result == HOST_WATCH_CHANGED) {
        take_list(s, &list);
    } else {
        char text[sizeof error.text + 48];
        snprintf(text, sizeof text, "%s; the hosts stay as they were", error.text);
        supervise_warn(s, text);
    }
    hosts_clear(&list);
}

bool host_changes_parse(const char *text, struct hosts *hosts)
{
    return !strstr(text, ":0") && hosts_parse_list(text, "hosts", hosts, NULL) == ONWARD_OK;
}

/* An operator named hosts: the next incarnation uses them too. */
static void take_named(struct supervisor *s, const char *text)
{
    struct places *places = &s->settings->allotment->places;
    struct hosts hosts = {.list = NULL};
    if (!host_changes_parse(text, &hosts))
        return;
    for (uint32_t i = 0; i < hosts.count; i++) {
        places_drain(places, hosts.list[i].name, false);
        want_host(s, &hosts.list[i]);
    }
    hosts_clear(&hosts);
}

/* More than --max allowed, if an operator says so. */
static void scale(struct allotment *allotment, uint32_t workers)
{
    char text[16];
    allotment->member_count = workers + allotment->spare_count;
    if (allotment->member_count <= allotment->most_members)
        return;
    allotment->most_members = allotment->member_count;
    snprintf(text, sizeof text, "%u", workers);
    if (setenv("ONWARD_MAX_WORKERS", text, 1) != 0)
        say("out of memory: a new start will have the workers of --max at most");
}

/* The lineup that an operator asked for, with new hosts or without, is that of the next
 * incarnation, too, however many slots there are. A single member that was sent away is gone with
 * its process; what stays is that there is one fewer. */
static void take_width(struct supervisor *s, const char *verb, const json_t *event)
{
    struct allotment *allotment = s->settings->allotment;
    bool scales = !strcmp(verb, "scale") || !strcmp(verb, "hosts");
    int64_t count = json_integer_value(json_object_get(event, "count"));
    bool changes = json_is_true(json_object_get(event, "changes"));
    uint32_t least = allotment->min_workers > 1 ? allotment->min_workers : 1;
    if (scales && count > 0 && count <= LAUNCH_MAX_WORKERS) {
        scale(allotment, (uint32_t)count);
        s->refill.is_asked = true;
    } else if (!changes || !json_object_get(event, "member"))
        return;
    else if (!strcmp(verb, "drain") && allotment->member_count > least)
        allotment->member_count--;
    else if (!strcmp(verb, "undrain") && allotment->member_count < allotment->most_members)
        allotment->member_count++;
}

/* It was drained and is asked for again: one that mpirun was started without is asked, and comes by
 * a start. */
static void ask_for_drained(struct supervisor *s, const char *host)
{
    struct places *places = &s->settings->allotment->places;
    const struct place *place = places_find(places, host);
    if (!place || !place->drained || place->leaves || place->usable)
        return;
    want_host(s, &place->host);
    s->refill.is_asked = true;
}

/* A host that is drained is not needed any more, where --give-back says so. */
static void drain(struct supervisor *s, const char *host, bool drains)
{
    struct places *places = &s->settings->allotment->places;
    if (!drains)
        ask_for_drained(s, host);
    places_drain(places, host, drains);
    for (uint32_t i = 0; drains && i < places->count; i++)
        if (places->list[i].unlisted && places_is(&places->list[i], host))
            let_go(s, &places->list[i]);
    for (uint32_t i = 0; s->settings->give_back && i < places->count; i++) {
        struct place *place = &places->list[i];
        bool is_meant = place->drained == drains && places_is(place, host);
        if (is_meant && place->is_local && drains)
            supervise_warn(s, "the job's script runs on the host that is drained: it is not given "
                              "back before the job ends");
        else if (is_meant)
            place->leaves = drains;
    }
}

/* The members that hosts of the file make room for were noted when they were found. */
static bool is_of_file(const json_t *event)
{
    const char *by = json_string_value(json_object_get(event, "by"));
    return by && !strcmp(by, of_file);
}

/* The steps of a service are no measure of what it has done; it answers at once. */
static void note_checkpoint(struct supervisor *s, const json_t *event)
{
    bool is_endless = s->watch.status.step_count >= RUNDIR_ENDLESS_STEPS;
    s->owes_checkpoint = !is_endless;
    s->owed_step = json_integer_value(json_object_get(event, "step"));
}

void host_changes_ask_again(struct supervisor *s)
{
    s->stop_is_taken = false;
    s->stop_asked_s = clock_now_s();
    if (s->signal || s->result->was_asked_to_stop)
        supervise_ask_to_stop(s);
    else if (s->owes_checkpoint)
        put(s, "checkpoint", "");
}

void host_changes_event(struct supervisor *s, const json_t *event)
{
    const char *what = json_string_value(json_object_get(event, "event"));
    const char *verb = json_string_value(json_object_get(event, "request"));
    const char *hosts = json_string_value(json_object_get(event, "hosts"));
    const char *host = json_string_value(json_object_get(event, "host"));
    struct places *places = &s->settings->allotment->places;
    if (what && !strcmp(what, "checkpoint") &&
        json_integer_value(json_object_get(event, "checkpoint_step")) >= s->owed_step)
        s->owes_checkpoint = false;
    if (what && !strcmp(what, "epoch"))
        ask_to_leave(s);
    if (!what || strcmp(what, "request") != 0 || !verb ||
        !json_is_true(json_object_get(event, "accepted")))
        return;
    s->stop_is_taken |= !strcmp(verb, "stop");
    s->move.is_taken |= !strcmp(verb, "restart");
    if (!strcmp(verb, "stop"))
        s->result->was_asked_to_stop |= !s->signal; /* at a signal the launcher asks, no operator */
    else if (!strcmp(verb, "checkpoint"))
        note_checkpoint(s, event);
    if (!is_of_file(event))
        take_width(s, verb, event);
    else if (json_integer_value(json_object_get(event, "count")) > 0)
        s->refill.is_asked = true;
    if (places->count == 0 || !strcmp(verb, "join"))
        return;
    if (hosts && *hosts && !is_of_file(event)) /* what the file says was taken when it was read */
        take_named(s, hosts);
    else if (host && *host && (!strcmp(verb, "drain") || !strcmp(verb, "undrain")))
        drain(s, host, !strcmp(verb, "drain"));
}

void host_changes_answer(struct supervisor *s, const struct run_request *request,
                         const char *reason)
{
    const struct run_status *status = &s->watch.status;
    json_t *event =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:b, s:s*}", "request", request->request, "name",
                  request->name, "by", request->by, "hosts", request->hosts, "count",
                  (json_int_t)request->count, "accepted", reason == NULL, "reason", reason);
    rundir_event(s->settings->rundir, "request", status->epoch, status->step, event, NULL);
    json_object_set_new(event, "event", json_string("request"));
    host_changes_event(s, event);
    json_decref(event);
}

void host_changes_slurm(struct supervisor *s)
{
    struct slurm_news_item item;
    while (slurm_news_take(&s->slurm_news, &item))
        if (item.signal)
            supervise_take_signal(s, item.signal, false);
        else
            put(s, item.drains ? "drain" : "undrain", item.host);
}
