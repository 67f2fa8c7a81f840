/* gang_control.c - the controller's side of a gang: when it starts, ends, and starts again.
 *
 * What has to outlive the controller, the generation and how many restarts were used, is in
 * gang.json of the run directory before a generation begins. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "file.h"
#include "gang.h"
#include "place.h"
#include "rundir.h"

enum { SAY_NS = 100000000, PATH_BYTES = 4096 };

struct gang_member {
    uint32_t member;
    bool works;
    char host[GANG_ADDRESS_BYTES];
    struct gang_standing standing;
    struct gang_wish wish;
};

struct gang_control {
    struct gang_settings settings;
    struct onward *ow;
    struct gang_member *members;
    uint32_t member_count, worker_count;
    bool runs; /* the newest generation was begun, and nothing speaks against it */
    bool complete;
    uint32_t generation, restarts;
    uint64_t sequence;       /* of what is wanted of the workers */
    int64_t say_ns;          /* when next */
    int64_t begun_s, base_s; /* steps are seconds: of this controller, and before it */
    struct error error;
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

struct gang_control *gang_control_create(const struct gang_settings *settings)
{
    struct gang_control *control = calloc(1, sizeof *control);
    if (!control)
        return NULL;
    control->settings = *settings;
    control->sequence = (uint64_t)now_ns(); /* no worker has it from a controller before */
    return control;
}

void gang_control_destroy(struct gang_control *control)
{
    if (!control)
        return;
    free(control->members);
    free(control);
}

void gang_control_open(struct gang_control *control, struct onward *ow)
{
    control->ow = ow;
}

/* ---- gang.json ----------------------------------------------------------------------------------
 */

static int64_t steps(const struct gang_control *control)
{
    if (control->complete)
        return RUNDIR_ENDLESS_STEPS;
    int64_t now_s = now_ns() / 1000000000, ran_s = now_s - control->begun_s;
    return control->base_s + (control->begun_s ? ran_s : 0);
}

static int save(struct gang_control *control, const struct gang_standing *failed)
{
    char path[PATH_BYTES];
    json_t *gang = json_pack("{s:I, s:I, s:I, s:b}", "generation", (json_int_t)control->generation,
                             "restarts", (json_int_t)control->restarts, "seconds",
                             (json_int_t)(control->complete ? 0 : steps(control)), "complete",
                             control->complete);
    if (failed) {
        json_object_set_new(gang, "rank", json_integer(failed->failed_rank));
        json_object_set_new(gang, "exit_status", json_integer(failed->exit_status));
        json_object_set_new(gang, "signal", json_integer(failed->signal));
    }
    char *text = gang ? json_dumps(gang, JSON_COMPACT) : NULL;
    int code = file_join(path, sizeof path, onward_run_directory(control->ow), "gang.json",
                         &control->error);
    if (code == ONWARD_OK)
        code = text ? file_replace(path, text, strlen(text), &control->error)
                    : error_set(&control->error, ONWARD_ERR_MEMORY, "%s: out of memory", path);
    free(text);
    json_decref(gang);
    return code;
}

int64_t gang_lead(struct gang_control *control)
{
    const char *run = onward_run_directory(control->ow);
    char path[PATH_BYTES + 16];
    snprintf(path, sizeof path, "%s/gang.json", run);
    json_t *gang = json_load_file(path, 0, NULL); /* none yet: zeros */
    control->generation = (uint32_t)json_integer_value(json_object_get(gang, "generation"));
    control->restarts = (uint32_t)json_integer_value(json_object_get(gang, "restarts"));
    control->base_s = json_integer_value(json_object_get(gang, "seconds"));
    control->complete = json_is_true(json_object_get(gang, "complete"));
    /* It ended as failed: whoever resumes it means to give it its restarts again. */
    if (json_object_get(gang, "rank"))
        control->restarts = 0;
    json_decref(gang);
    snprintf(path, sizeof path, "%s/restart", run);
    mkdir(path, 0777); /* for the command's use; if it cannot be made the command will say so */
    control->base_s = control->base_s < RUNDIR_ENDLESS_STEPS ? control->base_s : 0;
    return steps(control);
}

/* ---- members ------------------------------------------------------------------------------------
 */

static struct gang_member *find(struct gang_control *control, uint32_t member)
{
    for (uint32_t i = 0; i < control->member_count; i++)
        if (control->members[i].member == member)
            return &control->members[i];
    return NULL;
}

/* Members of one host stand together, and hosts in the order in which they come up. */
static uint32_t place_of(const struct gang_member *list, uint32_t count, const char *host)
{
    uint32_t place = count;
    while (place > 0 && strcmp(list[place - 1].host, host) != 0)
        place--;
    return place > 0 ? place : count;
}

/* Something else is wanted from now on. */
static void want(struct gang_control *control, bool runs)
{
    control->runs = runs;
    control->sequence++;
    control->say_ns = 0;
}

void gang_members(struct gang_control *control, const struct onward_member *members, uint32_t count)
{
    struct gang_member *list = calloc(count + 1, sizeof *list);
    if (!list) {
        onward_give_up(control->ow, ONWARD_ERR_STOPPED, "no memory for the members");
        return;
    }
    control->worker_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct gang_member member = {.member = members[i].member, .works = members[i].works};
        snprintf(member.host, sizeof member.host, "%s", members[i].host);
        uint32_t place = place_of(list, i, member.host);
        memmove(&list[place + 1], &list[place], (i - place) * sizeof *list);
        list[place] = member;
        control->worker_count += member.works;
    }
    free(control->members);
    control->members = list;
    control->member_count = count;
    want(control, false); /* under other ranks from now on */
}

void gang_request(struct gang_control *control, uint32_t from, const void *bytes, size_t size)
{
    struct gang_member *member = find(control, from);
    if (!member || size != sizeof member->standing)
        return;
    memcpy(&member->standing, bytes, size);
    if (member->standing.generation > control->generation)
        control->generation = member->standing.generation;
}

/* ---- what happens next
 * ---------------------------------------------------------------------------- */

/* And know that they were to. */
static bool all_have_ended(const struct gang_control *control)
{
    for (uint32_t i = 0; i < control->member_count; i++)
        if (control->members[i].standing.sequence != control->sequence ||
            control->members[i].standing.running > 0)
            return false;
    return control->worker_count > 0;
}

static uint32_t count_hosts(const struct gang_control *control)
{
    uint32_t count = 0;
    const char *host = "";
    for (uint32_t i = 0; i < control->member_count; i++) {
        const struct gang_member *member = &control->members[i];
        if (member->works && strcmp(member->host, host) != 0) {
            host = member->host;
            count++;
        }
    }
    return count;
}

static uint32_t count_workers(const struct gang_control *control, const char *host)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < control->member_count; i++)
        count += control->members[i].works && !strcmp(control->members[i].host, host);
    return count;
}

/* By the name that whoever started the task has for the host: what it calls itself may mean nothing
 * on the others. */
static void find_address(const char *host, bool is_only, char *address)
{
    char name[PLACE_NAME_BYTES];
    const char *names = getenv("ONWARD_HOST_NAMES");
    const char *listed = place_listed_name(names ? names : "", host, name);
    snprintf(address, GANG_ADDRESS_BYTES, "%s", is_only ? "127.0.0.1" : listed);
}

/* Ranks in the order of the members; the first one's host has the port. */
static void give_ranks(struct gang_control *control)
{
    uint32_t per_worker = control->settings.per_worker, hosts = count_hosts(control);
    struct gang_order order = {.name = {0, control->generation},
                               .world_size = control->worker_count * per_worker,
                               .group_world_size = hosts,
                               .restarts = control->generation - 1,
                               .max_restarts = control->settings.max_restarts};
    const struct gang_member *before = NULL;
    for (uint32_t i = 0; i < control->member_count; i++) {
        struct gang_member *member = &control->members[i];
        if (!member->works)
            continue;
        if (!before) {
            find_address(member->host, hosts == 1, order.address);
            order.port = member->standing.port;
        } else if (strcmp(before->host, member->host) != 0) {
            order.group_rank++;
            order.local_rank = 0;
        }
        order.local_world_size = count_workers(control, member->host) * per_worker;
        member->wish = (struct gang_wish){.runs = true, .first = order};
        order.name.id += per_worker;
        order.local_rank += per_worker;
        before = member;
    }
}

static void begin(struct gang_control *control)
{
    control->generation++;
    if (save(control, NULL) != ONWARD_OK) {
        onward_give_up(control->ow, ONWARD_ERR_STOPPED, control->error.text);
        return;
    }
    if (control->begun_s == 0)
        control->begun_s = now_ns() / 1000000000;
    give_ranks(control);
    want(control, true);
}

static void describe(const struct gang_standing *standing, char *text, size_t text_bytes)
{
    if (standing->signal)
        snprintf(text, text_bytes, "rank %u was ended by signal %u", standing->failed_rank,
                 standing->signal);
    else
        snprintf(text, text_bytes, "rank %u ended with exit status %u", standing->failed_rank,
                 standing->exit_status);
}

/* It is told in the event log; then everyone ends, and all begins again, if it may. */
static void fail(struct gang_control *control, const struct gang_standing *standing)
{
    char text[GANG_TEXT_BYTES], what[GANG_TEXT_BYTES / 2];
    describe(standing, what, sizeof what);
    want(control, false);
    if (control->restarts >= control->settings.max_restarts) {
        snprintf(text, sizeof text, "%s, and no restart is left (--gang-restarts)", what);
        save(control, standing);
        onward_give_up(control->ow, ONWARD_ERR_GAVE_UP, text);
        return;
    }
    control->restarts++;
    snprintf(text, sizeof text, "%s: restart %u of %u", what, control->restarts,
             control->settings.max_restarts);
    onward_warn(control->ow, text);
}

static void judge(struct gang_control *control)
{
    uint32_t succeeded = 0;
    for (uint32_t i = 0; i < control->member_count; i++) {
        const struct gang_member *member = &control->members[i];
        if (!member->works || member->standing.generation != control->generation)
            continue;
        if (member->standing.failed) {
            fail(control, &member->standing);
            return;
        }
        succeeded += member->standing.succeeded;
    }
    if (succeeded < control->worker_count * control->settings.per_worker)
        return;
    control->complete = true;
    if (save(control, NULL) != ONWARD_OK)
        onward_give_up(control->ow, ONWARD_ERR_STOPPED, control->error.text);
}

static void say(struct gang_control *control)
{
    if (now_ns() < control->say_ns)
        return;
    for (uint32_t i = 0; i < control->member_count; i++) {
        struct gang_member *member = &control->members[i];
        if (!control->runs || !member->works)
            member->wish = (struct gang_wish){.runs = false};
        member->wish.sequence = control->sequence;
        onward_send(control->ow, member->member, &member->wish, sizeof member->wish);
    }
    control->say_ns = now_ns() + SAY_NS;
}

int64_t gang_serve(struct gang_control *control)
{
    if (control->complete)
        return RUNDIR_ENDLESS_STEPS;
    if (control->runs)
        judge(control);
    else if (all_have_ended(control))
        begin(control);
    say(control);
    return steps(control);
}
