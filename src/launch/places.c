/* places.c - asks the hosts by onward-host, through the agent, all at once. An answer is the line
 * of JSON in what comes back; anything else is a reason not to use the host. */
#include "places.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "find.h"
#include "place.h"

enum { NUMBER_BYTES = 24, MAX_BITS = 32, NOT_EXECUTED = 127, KILL_ARGUMENTS = 8 };

/* What ssh says of a name that no host has. */
static const char unresolved[] = "Could not resolve hostname", for_now[] = "Temporary failure";

bool places_is_local(const char *host)
{
    char own[HOSTS_NAME_BYTES] = "";
    const char *node = getenv("SLURMD_NODENAME"); /* Slurm may have a name of its own for it */
    if (!strcmp(host, "localhost") || !strncmp(host, "127.", 4) || (node && !strcmp(node, host)))
        return true;
    gethostname(own, sizeof own - 1);
    size_t shorter = strcspn(own, "."), given = strcspn(host, ".");
    bool one_is_short = !own[shorter] || !host[given];
    return !strcmp(own, host) || (one_is_short && shorter == given && !strncmp(own, host, given));
}

int places_open(struct places *places, const struct hosts *hosts, struct error *error)
{
    places->count = hosts->count;
    places->list = calloc(hosts->count ? hosts->count : 1, sizeof *places->list);
    if (!places->list)
        return error_set(error, ONWARD_ERR_MEMORY, "hosts: out of memory");
    for (uint32_t i = 0; i < hosts->count; i++) {
        places->list[i].host = hosts->list[i];
        places->list[i].listed_slots = hosts->list[i].slots;
        places->list[i].is_local = places_is_local(hosts->list[i].name);
        places->list[i].usable = true;
    }
    return ONWARD_OK;
}

bool places_has_unknown(const struct places *places)
{
    for (uint32_t i = 0; i < places->count; i++)
        if (places->list[i].is_unknown)
            return true;
    return false;
}

int places_find_agent(const struct places *places, struct error *error)
{
    for (uint32_t i = 0; i < places->count; i++)
        if (!places->list[i].is_local)
            return find_agent(places->agent, error);
    return ONWARD_OK;
}

void places_close(struct places *places)
{
    free(places->list);
    places->list = NULL;
    places->count = 0;
}

bool places_is(const struct place *place, const char *name)
{
    return place_same_host(place->host.name, name) ||
           (place->own_name[0] && place_same_host(place->own_name, name));
}

struct place *places_find(const struct places *places, const char *host)
{
    struct place *similar = NULL;
    for (uint32_t i = 0; i < places->count; i++) {
        struct place *place = &places->list[i];
        if (!strcmp(place->host.name, host) || !strcmp(place->own_name, host))
            return place;
        if (!similar && places_is(place, host))
            similar = place;
    }
    return similar;
}

int places_add(struct places *places, const struct place *place, struct error *error)
{
    struct place *there = places_find(places, place->host.name);
    if (there) {
        *there = *place;
        return ONWARD_OK;
    }
    struct place *list = NULL;
    if (places->count < HOSTS_MAX)
        list = realloc(places->list, (places->count + 1) * sizeof *list);
    if (!list)
        return error_set(error, ONWARD_ERR_LIMIT, "host %.80s: expected at most %d hosts",
                         place->host.name, HOSTS_MAX);
    list[places->count++] = *place;
    places->list = list;
    return ONWARD_OK;
}

void places_ask_for(struct places *places, const struct host *host)
{
    struct place *place = places_find(places, host->name);
    if (!place)
        return;
    if (place->retired || place->host.slots < host->slots)
        place->host.slots = host->slots;
    place->retired = place->unlisted = place->drained = false;
    place->is_asked_for = !place->usable;
}

void places_retire(struct places *places, const char *host)
{
    struct place *place = places_find(places, host);
    if (!place)
        return;
    place->retired = true;
    place->unlisted = place->usable = false;
}

bool place_is_listed(const struct place *place)
{
    return !place->retired && !place->unlisted;
}

uint32_t places_spare_unlisted(struct places *places, uint32_t least_slots)
{
    uint32_t listed = 0, all = 0;
    for (uint32_t i = 0; i < places->count; i++) {
        const struct place *place = &places->list[i];
        uint32_t slots = place->usable ? place->host.slots : 0;
        all += slots;
        listed += place->unlisted ? 0 : slots;
    }
    if (listed < least_slots)
        return all;
    for (uint32_t i = 0; i < places->count; i++)
        if (places->list[i].unlisted)
            places->list[i].usable = false;
    return listed;
}

void places_retire_unlisted(struct places *places)
{
    for (uint32_t i = 0; i < places->count; i++)
        if (places->list[i].unlisted && !places->list[i].usable)
            places_retire(places, places->list[i].host.name);
}

void places_remove(struct places *places, const char *host)
{
    struct place *place = places_find(places, host);
    if (!place)
        return;
    uint32_t behind = places->count - (uint32_t)(place - places->list) - 1;
    memmove(place, place + 1, behind * sizeof *place);
    places->count--;
}

void places_drain(struct places *places, const char *host, bool drained)
{
    for (uint32_t i = 0; i < places->count; i++)
        if (places_is(&places->list[i], host))
            places->list[i].drained = drained;
}

static bool is_wanted(const struct place *place)
{
    return !place->retired && !place->drained;
}

/* Runs onward-host with these arguments on all; one call more than hosts is for this machine, where
 * that is none of them. NULL: out of memory. */
static struct agent_call *ask(const struct places *places, const char *const *arguments,
                              uint32_t argument_count, enum agent_patience patience, bool here_too,
                              uint32_t *count)
{
    char *command[12];
    struct agent_call *calls = calloc(places->count + 1, sizeof *calls);
    uint32_t n = 0;
    if (!calls)
        return NULL;
    command[n++] = (char *)places->program;
    for (uint32_t i = 0; i < argument_count; i++)
        command[n++] = (char *)arguments[i];
    command[n] = NULL;
    *count = places->count;
    for (uint32_t i = 0; i < places->count; i++) {
        calls[i].host = places->list[i].host.name;
        calls[i].is_local = places->list[i].is_local;
        calls[i].is_expected = places->list[i].is_expected;
        here_too = here_too && !calls[i].is_local;
    }
    if (here_too) {
        calls[*count].host = "localhost";
        calls[(*count)++].is_local = true;
    }
    if (agent_run(places->agent, command, calls, *count, places->limit_s, patience, NULL) ==
        ONWARD_OK)
        return calls;
    free(calls);
    return NULL;
}

/* The object in what a call brought back, or NULL. */
static json_t *answer_of(const struct agent_call *call)
{
    const char *line = call->output;
    while (line) {
        size_t length = strcspn(line, "\n");
        json_t *root = *line == '{' ? json_loadb(line, length, 0, NULL) : NULL;
        if (json_is_object(root))
            return root;
        json_decref(root);
        line = line[length] ? line + length + 1 : NULL;
    }
    return NULL;
}

void places_take_addresses(struct place *place, const char *text)
{
    place->address_count = 0;
    while (text && *text && place->address_count < PLACES_ADDRESSES) {
        char name[INET_ADDRSTRLEN];
        struct in_addr address;
        unsigned bits;
        if (sscanf(text, "%15[0-9.]/%2u", name, &bits) == 2 && bits >= 1 && bits <= MAX_BITS &&
            inet_pton(AF_INET, name, &address) == 1)
            place->addresses[place->address_count++] = (struct place_address){
                ntohl(address.s_addr), (uint32_t)(0xffffffffU << (MAX_BITS - bits))};
        text = strchr(text, ' ');
        text = text ? text + 1 : NULL;
    }
}

static void refuse(struct place *place, const char *format, const char *detail)
{
    char text[160];
    place->usable = false;
    snprintf(text, sizeof text, format, detail);
    snprintf(place->reason, sizeof place->reason, "host %.80s: %s", place->host.name, text);
}

static void judge_silence(struct place *place, const struct agent_call *call)
{
    char line[96];
    agent_last_line(call, line, sizeof line);
    place->is_unknown =
        !call->timed_out && strstr(line, unresolved) != NULL && strstr(line, for_now) == NULL;
    if (call->timed_out)
        refuse(place, "%s", "does not answer");
    else if (WIFEXITED(call->status) && WEXITSTATUS(call->status) == NOT_EXECUTED)
        refuse(place, "%.120s: expected onward to be installed there as it is here",
               *line ? line : "onward-host was not found");
    else
        refuse(place, "cannot be reached: %s", *line ? line : "the agent failed and said nothing");
}

static void take_own_name(struct place *place, const char *name)
{
    if (!name || strlen(name) >= sizeof place->own_name || !*name || strpbrk(name, "=,:"))
        return;
    strcpy(place->own_name, strcmp(place->host.name, name) != 0 ? name : "");
}

static void judge(const struct places *places, struct place *place, const struct agent_call *call)
{
    json_t *answer = answer_of(call);
    take_own_name(place, json_string_value(json_object_get(answer, "host")));
    place->is_unknown = false;
    place->is_blind = answer && !json_is_true(json_object_get(answer, "visible"));
    if (!answer || place->is_blind || !json_is_true(json_object_get(answer, "writable"))) {
        const char *where = places->base;
        if (!answer)
            judge_silence(place, call);
        else if (place->is_blind)
            refuse(place, "does not see the run directory in %.90s: expected a shared directory",
                   where);
        else
            refuse(place, "cannot write into the run directory in %.90s", where);
    } else if (json_integer_value(json_object_get(answer, "left")) > 0) {
        refuse(place, "%s", "processes of an older incarnation could not be killed");
    } else {
        place->usable = is_wanted(place);
        place->reason[0] = '\0';
        json_int_t cores = json_integer_value(json_object_get(answer, "cores"));
        place->cores = cores > 0 ? (uint32_t)cores : 1;
        places_take_addresses(place, json_string_value(json_object_get(answer, "addresses")));
    }
    json_decref(answer);
}

/* A name that several hosts would have is of no use. */
static bool is_ambiguous(const struct places *places, const struct place *place)
{
    for (uint32_t i = 0; i < places->count; i++)
        if (&places->list[i] != place && places_is(&places->list[i], place->own_name))
            return true;
    return false;
}

static void drop_ambiguous_names(struct places *places)
{
    for (uint32_t i = 0; i < places->count; i++) {
        struct place *place = &places->list[i];
        if (!place->own_name[0] || !is_ambiguous(places, place))
            continue;
        for (uint32_t k = i + 1; k < places->count; k++)
            if (!strcmp(places->list[k].own_name, place->own_name))
                places->list[k].own_name[0] = '\0';
        place->own_name[0] = '\0';
    }
}

uint32_t places_probe(struct places *places, int64_t incarnation, bool patient)
{
    char before[NUMBER_BYTES];
    uint32_t count, slots = 0;
    const char *const arguments[] = {
        "probe", "--before", before, "--", places->task, places->base, places->local_directory};
    if (places->count == 0)
        return 0;
    snprintf(before, sizeof before, "%lld", (long long)incarnation);
    struct agent_call *calls = ask(places, arguments, sizeof arguments / sizeof *arguments,
                                   patient ? AGENT_PATIENT : AGENT_QUICK, false, &count);
    for (uint32_t i = 0; calls && i < places->count; i++) {
        judge(places, &places->list[i], &calls[i]);
        slots += places->list[i].usable ? places->list[i].host.slots : 0;
    }
    drop_ambiguous_names(places);
    free(calls);
    return slots;
}

int places_usable(const struct places *places, struct hosts *hosts, struct error *error)
{
    *hosts = (struct hosts){.list = NULL};
    if (places->count == 0)
        return ONWARD_OK;
    hosts->list = malloc(places->count * sizeof *hosts->list);
    if (!hosts->list)
        return error_set(error, ONWARD_ERR_MEMORY, "hosts: out of memory");
    for (uint32_t i = 0; i < places->count; i++)
        if (places->list[i].usable)
            hosts->list[hosts->count++] = places->list[i].host;
    return ONWARD_OK;
}

/* The arguments of a kill; options: two at most with their values, then NULL. Returns how many. */
static uint32_t kill_arguments(const struct places *places, const char *const *options,
                               const char *arguments[KILL_ARGUMENTS])
{
    uint32_t n = 0;
    arguments[n++] = "kill";
    while (*options)
        arguments[n++] = *options++;
    arguments[n++] = "--";
    arguments[n++] = places->task;
    arguments[n++] = places->base;
    return n;
}

uint32_t places_sweep(struct places *places, int64_t before, bool clean, char *text,
                      size_t text_bytes)
{
    uint32_t count, silent = 0;
    size_t used = 0;
    char number[NUMBER_BYTES];
    const char *arguments[KILL_ARGUMENTS];
    const char *all[] = {clean ? "--clean" : NULL, places->local_directory, NULL};
    const char *older[] = {"--before", number, NULL};
    const char *const *options = before > 0 ? older : all;
    snprintf(number, sizeof number, "%lld", (long long)before);
    uint32_t n = kill_arguments(places, options, arguments);
    text[0] = '\0';
    if (places->count == 0)
        return 0;
    struct agent_call *calls = ask(places, arguments, n, AGENT_PATIENT, true, &count);
    for (uint32_t i = 0; calls && i < count; i++) {
        json_t *answer = answer_of(&calls[i]);
        bool is_clean = answer && json_integer_value(json_object_get(answer, "left")) == 0;
        json_decref(answer);
        if (is_clean)
            continue;
        if (used < text_bytes)
            used += (size_t)snprintf(text + used, text_bytes - used, "%s%s", silent ? ", " : "",
                                     calls[i].host);
        silent++;
    }
    free(calls);
    return silent;
}

/* A kill on one host, after which nothing that it was meant for is left there. */
static bool kill_by(const struct places *places, const char *host, const char *const *options)
{
    const char *command[KILL_ARGUMENTS + 2] = {places->program};
    const struct place *place = places_find(places, host);
    struct agent_call *call = calloc(1, sizeof *call);
    bool is_gone = false;
    kill_arguments(places, options, command + 1);
    if (call && place)
        *call = (struct agent_call){.host = place->host.name, .is_local = place->is_local};
    if (call && place &&
        agent_run(places->agent, (char *const *)command, call, 1, places->limit_s, AGENT_PATIENT,
                  NULL) == ONWARD_OK) {
        json_t *answer = answer_of(call);
        is_gone = answer && json_integer_value(json_object_get(answer, "left")) == 0;
        json_decref(answer);
    }
    free(call);
    return is_gone;
}

bool places_kill(const struct places *places, const char *host, int32_t pid)
{
    char number[NUMBER_BYTES];
    snprintf(number, sizeof number, "%ld", (long)pid);
    return kill_by(places, host, (const char *[]){"--pid", number, NULL});
}

bool places_clear(const struct places *places, const char *host, int64_t incarnation)
{
    char number[NUMBER_BYTES];
    snprintf(number, sizeof number, "%lld", (long long)incarnation);
    const char *options[] = {"--before", number, "--clean", places->local_directory, NULL};
    return kill_by(places, host, options);
}

/* Has the place an address in that network? A network in which two hosts have the same address is
 * not one that joins them (a bridge of containers, for one). */
static bool is_in(const struct place *place, struct place_address network, bool same_allowed)
{
    for (uint32_t i = 0; i < place->address_count; i++) {
        struct place_address own = place->addresses[i];
        if (own.mask == network.mask &&
            (own.address & own.mask) == (network.address & network.mask))
            return same_allowed || own.address != network.address;
    }
    return false;
}

static bool is_shared(const struct places *places, const struct place *first,
                      struct place_address network)
{
    for (uint32_t i = 0; i < places->count; i++)
        if (places->list[i].usable && !is_in(&places->list[i], network, &places->list[i] == first))
            return false;
    return true;
}

void places_subnets(const struct places *places, char *text, size_t text_bytes)
{
    const struct place *first = NULL;
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < places->count && !first; i++)
        if (places->list[i].usable)
            first = &places->list[i];
    for (uint32_t i = 0; first && i < first->address_count; i++) {
        struct place_address network = first->addresses[i];
        char name[INET_ADDRSTRLEN];
        struct in_addr address = {htonl(network.address & network.mask)};
        if (!is_shared(places, first, network) || used + INET_ADDRSTRLEN + 4 >= text_bytes)
            continue;
        inet_ntop(AF_INET, &address, name, sizeof name);
        used += (size_t)snprintf(text + used, text_bytes - used, "%s%s/%d", used ? "," : "", name,
                                 __builtin_popcount(network.mask));
    }
}
