/* spawn.c - the controller's spawns: where, with what environment, and what became of them.
 *
 * The controller spawns alone (transport_spawn.c), so the team works on. A spawn that hangs ends
 * the controller by its watchdog; the member that takes over then does not spawn any more, since
 * every member was told that one had begun and not that it was over: the launcher has to start the
 * task again for more workers. In a change, where too few are left to go on, the newcomers are
 * waited for, within a bound.
 *
 * What Open MPI 5.0.7 can do bounds what is asked of it. Beside the controller it spawns any number
 * of times. A spawn onto another host of the job ends a daemon of mpirun, and the job with it, in
 * one of four cases, and a second one in all; one onto a host that the job did not have
 * (PMIX_ADD_HOST) hangs or is the last that works. And once one of several who were spawned in one
 * call is lost, nobody can join any more. So slots beside the controller are filled, one by one;
 * for those of other hosts the launcher starts the task again, in order (launch/move.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "file.h"
#include "options.h"
#include "place.h"
#include "process.h"
#include "watchdog.h"

enum {
    NEWCOMER_LIMIT_S = 120,
    IN_CHANGE_LIMIT_S = 20,
    MAX_REFUSALS = 3,
    LOOK_NS = 5000000,
    SPAWN_AFTER_NS = 1000000000,
    READY_NS = 1000000000 /* of a newcomer that does not load much */
};
enum { COMMAND_BYTES = 128 * 1024, MAX_ARGUMENTS = 1024, PROGRAM_BYTES = 4096 };

extern char **environ;

/* The command line of this process, which is that of every member. */
struct command {
    char program[PROGRAM_BYTES];
    char bytes[COMMAND_BYTES];
    char *arguments[MAX_ARGUMENTS + 1];
};

static int read_command(struct command *command, struct error *error)
{
    ssize_t length = readlink("/proc/self/exe", command->program, PROGRAM_BYTES - 1);
    size_t size = process_read_file(getpid(), "cmdline", command->bytes, COMMAND_BYTES);
    if (length <= 0 || size == 0 || size == COMMAND_BYTES - 1)
        return error_set(error, ONWARD_ERR_IO,
                         "/proc/self: the command line of this process cannot be read whole");
    command->program[length] = '\0';
    int count = 0;
    const char *end = command->bytes + size;
    for (char *next = command->bytes + strlen(command->bytes) + 1; next < end;
         next += strlen(next) + 1) {
        if (count == MAX_ARGUMENTS)
            return error_set(error, ONWARD_ERR_LIMIT, "more than %d arguments", MAX_ARGUMENTS);
        command->arguments[count++] = next;
    }
    command->arguments[count] = NULL;
    return ONWARD_OK;
}

/* What the launcher handed down, as lines; the caller's to free. */
static char *copy_environment(size_t *size)
{
    static const char prefix[] = "ONWARD_", own[] = "ONWARD_SPAWNED=";
    *size = 0;
    for (char **entry = environ; *entry; entry++)
        *size += strlen(*entry) + 1;
    char *text = malloc(*size + 1), *at = text;
    for (char **entry = environ; text && *entry; entry++)
        if (strncmp(*entry, prefix, sizeof prefix - 1) == 0 && !strchr(*entry, '\n') &&
            strncmp(*entry, own, sizeof own - 1) != 0) {
            at = stpcpy(at, *entry);
            *at++ = '\n';
        }
    if (text)
        *size = (size_t)(at - text);
    return text;
}

/* MPI hands down no more than a few hundred bytes: the newcomers find the rest in a file. */
static int write_environment(const struct onward *ow, char *variable, size_t variable_bytes,
                             struct error *error)
{
    static const char name[] = "ONWARD_SPAWNED=";
    char path[PROGRAM_BYTES];
    size_t size;
    int code = file_join(path, sizeof path, ow->run, "spawned.env", error);
    if (code != ONWARD_OK)
        return code;
    if (strlen(path) + sizeof name > variable_bytes)
        return error_set(error, ONWARD_ERR_LIMIT,
                         "%s: the path is too long to be handed to a spawned process, expected at "
                         "most %zu bytes",
                         path, variable_bytes - sizeof name);
    snprintf(variable, variable_bytes, "%s%s", name, path);
    char *text = copy_environment(&size);
    if (!text)
        return error_set(error, ONWARD_ERR_MEMORY, "no memory to spawn");
    code = file_replace(path, text, size, error);
    free(text);
    return code;
}

static bool is_draining(const struct onward *ow, uint32_t member)
{
    const struct core_member *found = controller_find(ow->control->core, member);
    return found && found->state == MEMBER_DRAINING;
}

/* Workers and spares on a host; a dedicated controller takes no slot. A host that is being drained
 * has no free slot: what was just asked to leave it must not come back. */
static uint32_t slots_used(const void *context, const char *name)
{
    const struct onward *ow = context;
    char own[PLACE_NAME_BYTES];
    const char *host = control_listed_host(ow, name, own);
    uint32_t used = 0;
    for (uint32_t i = ow->dedicated ? 1 : 0; i < ow->seat_count; i++) {
        if (!place_same_host(ow->seats[i].host, host))
            continue;
        if (is_draining(ow, ow->seats[i].member))
            return UINT32_MAX;
        used++;
    }
    return used;
}

static uint32_t slots_used_near(const void *context, const char *name)
{
    const struct onward *ow = context;
    char own[PLACE_NAME_BYTES];
    return place_same_host(ow->host, control_listed_host(ow, name, own)) ? slots_used(ow, name)
                                                                         : UINT32_MAX;
}

struct drain {
    const struct onward *ow;
    const struct controller_event *request;
};

static uint32_t slots_used_after(const void *context, const char *name)
{
    const struct drain *drain = context;
    const struct onward *ow = drain->ow;
    char own[PLACE_NAME_BYTES];
    const char *host = control_listed_host(ow, name, own);
    for (uint32_t i = ow->dedicated ? 1 : 0; i < ow->seat_count; i++) {
        const struct seat *seat = &ow->seats[i];
        bool is_meant = drain->request->member
                            ? seat->member == drain->request->member
                            : control_host_number(seat->host) == drain->request->host;
        if (is_meant && place_same_host(seat->host, host))
            return UINT32_MAX;
    }
    return slots_used_near(ow, name);
}

/* Without a list there is no host but those that are in use. */
uint32_t control_slots_after_drain(const struct onward *ow, const struct controller_event *request)
{
    struct drain drain = {ow, request};
    struct placement place;
    uint32_t min_workers = controller_get_policy(ow->control->core)->min_workers;
    if (!*ow->options.hosts ||
        !place_choose(ow->options.hosts, min_workers, slots_used_after, &drain, &place))
        return 0;
    return place.count;
}

/* What MPI refuses time and again it may not be able to do at all; no probe has to find that out
 * before. The launcher hears of it (control_is_barred); without one it may still come to work. */
static void count_refusals(struct onward *ow, bool is_refused)
{
    uint32_t *refusals = &ow->control->spawn_refusals;
    *refusals = is_refused ? *refusals + 1 : 0;
    if (*refusals == MAX_REFUSALS)
        control_warn(ow, "MPI has refused to spawn several times in a row: it is asked more and "
                         "more seldom, and members come when mpirun starts again");
}

/* Only slots of hosts that no spawn reaches are free. This is asked with each status: a lineup that
 * has all slots is not counted host by host. */
static bool is_far_alone(const struct onward *ow)
{
    const char *hosts = ow->options.hosts;
    struct placement near, any;
    return control_present_count(ow) < control_slot_count(ow, "") &&
           place_choose(hosts, 1, slots_used_near, ow, &near) && near.count == 0 &&
           place_choose(hosts, 1, slots_used, ow, &any) && any.count > 0;
}

/* Beside the controller. */
static int choose_place(const struct onward *ow, struct placement *place, struct error *error)
{
    const char *hosts = ow->options.hosts;
    if (!place_choose(hosts, 1, slots_used_near, ow, place))
        return error_set(error, ONWARD_ERR_INPUT, "hosts '%.200s': expected NAME:SLOTS,...", hosts);
    if (place->count > 0)
        return ONWARD_OK;
    return error_set(error, ONWARD_ERR_LIMIT, "%s",
                     is_far_alone(ow) ? "MPI cannot spawn onto other hosts than the controller's: "
                                        "members come there when mpirun starts again"
                                      : "no slot is free on any host");
}

static int spawn_at(struct onward *ow, const struct placement *place, struct transport_spawn *spawn,
                    struct error *error)
{
    struct open_news *news = malloc(sizeof *news);
    if (!news)
        return error_set(error, ONWARD_ERR_MEMORY, "no memory to spawn");
    open_fill_news(ow, news, ONWARD_OK);
    spawn->count = ow->control->newcomer_count = place->count;
    spawn->host = *place->hosts ? place->hosts : NULL;
    int code = transport_spawn(ow->transport, spawn, news, sizeof *news, error);
    count_refusals(ow, code != ONWARD_OK);
    free(news);
    return code;
}

static int start_newcomers(struct onward *ow, struct error *error)
{
    struct placement place;
    struct transport_spawn spawn = {0};
    struct command *command = malloc(sizeof *command);
    char environment[TRANSPORT_INFO_BYTES];
    int code = command ? read_command(command, error)
                       : error_set(error, ONWARD_ERR_MEMORY, "no memory to spawn");
    if (code == ONWARD_OK)
        code = write_environment(ow, environment, sizeof environment, error);
    if (code == ONWARD_OK)
        code = choose_place(ow, &place, error);
    if (code == ONWARD_OK) {
        spawn.program = command->program;
        spawn.arguments = command->arguments;
        spawn.environment = environment;
        code = spawn_at(ow, &place, &spawn, error);
    }
    free(command);
    return code;
}

/* Whether this controller is inside of a spawn. In a change nobody can be told. */
static void announce(struct onward *ow, bool spawns)
{
    if (!ow->changing)
        control_order(ow, (struct message){.kind = ORDER_SPAWNS, .code = spawns}, false);
}

static void tell_result(struct onward *ow, bool came)
{
    uint32_t tried = ow->control->newcomer_count;
    ow->control->newcomer_count = 0;
    if (!came)
        transport_dismiss(ow->transport);
    control_feed(ow, (struct controller_event){
                         .type = EVENT_SPAWN_RESULT, .count = came ? tried : 0, .tried = tried});
}

static void start_ordered(struct onward *ow)
{
    struct control *control = ow->control;
    struct error error = {0};
    int limit_s = ow->changing ? IN_CHANGE_LIMIT_S : NEWCOMER_LIMIT_S;
    uint32_t count = control->spawn_wanted;
    control->spawn_wanted = 0;
    announce(ow, true);
    watchdog_arm(ow->watchdog, options_spawn_limit_s(), WATCHDOG_KILL);
    mark_spawning(ow, true);
    int code = start_newcomers(ow, &error);
    mark_spawning(ow, false);
    watchdog_disarm(ow->watchdog);
    fault_at_phase(ow, INJECT_PHASE_SPAWN);
    announce(ow, false);
    bool is_old_news = code == ONWARD_ERR_LIMIT && control->lacks_slots;
    control->lacks_slots = code == ONWARD_ERR_LIMIT;
    if (code != ONWARD_OK) {
        if (!is_old_news)
            control_warn(ow, "spawn of %u worker%s: %s", count, count == 1 ? "" : "s", error.text);
        tell_result(ow, false);
        return;
    }
    control->newcomer_deadline_ns = clock_ns() + limit_s * 1000000000LL;
    control_stay_awake(ow, READY_NS);
}

void control_look_at_newcomers(struct onward *ow)
{
    struct control *control = ow->control;
    if (control->spawn_wanted > 0 && !ow->changing &&
        (control->epoch_told || clock_ns() > control->spawn_after_ns))
        start_ordered(ow);
    uint32_t count = control->newcomer_count;
    if (count == 0)
        return;
    enum transport_newcomers state = transport_newcomers(ow->transport);
    if (state == NEWCOMERS_READY) {
        tell_result(ow, true);
    } else if (state != NEWCOMERS_PREPARE || clock_ns() > control->newcomer_deadline_ns) {
        control_warn(ow, "%u spawned workers %s", count,
                     state == NEWCOMERS_PREPARE ? "were not ready in time"
                                                : "died before they joined");
        tell_result(ow, false);
    }
}

void control_inherit_spawn(struct onward *ow)
{
    struct controller *core = ow->control->core;
    if (!ow->controller_spawns || !controller_get_policy(core)->can_spawn)
        return;
    controller_stop_spawns(core); /* each one that hangs costs a member more than it brings */
    control_warn(ow,
                 "the controller before this one did not return from a spawn: members come when "
                 "mpirun starts again");
}

bool control_is_barred(const struct onward *ow)
{
    return !controller_get_policy(ow->control->core)->can_spawn ||
           ow->control->spawn_refusals >= MAX_REFUSALS || is_far_alone(ow);
}

/* The controller is blocked while it spawns: outside of a change it first hears from the workers of
 * the epoch that has just opened. */
void control_order_spawn(struct onward *ow, uint32_t count)
{
    struct control *control = ow->control;
    control->spawn_wanted = count;
    control->spawn_after_ns = clock_ns() + SPAWN_AFTER_NS;
    if (!ow->changing)
        return;
    start_ordered(ow);
    watchdog_arm(ow->watchdog, IN_CHANGE_LIMIT_S + ow->options.reform_limit_s, WATCHDOG_KILL);
    mark_spawning(ow, true); /* until they are there */
    while (control->newcomer_count > 0) {
        control_look_at_newcomers(ow);
        if (control->newcomer_count > 0)
            sleep_ns(LOOK_NS);
    }
    mark_spawning(ow, false);
    watchdog_arm(ow->watchdog, ow->options.reform_limit_s, WATCHDOG_KILL); /* the change goes on */
}
