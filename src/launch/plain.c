/* plain.c - see plain.h. */
#include "plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "restart_file.h"
#include "say.h"
#include "supervise_internal.h"

static const double look_every_s = 0.2, report_limit_s = 3;
static const double long_run_s = 60; /* progress, where no restart files are to be seen */

static int set(const char *name, const char *value, struct error *error)
{
    if (setenv(name, value, 1) == 0)
        return ONWARD_OK;
    return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory", name);
}

int plain_open(struct supervisor *s, struct error *error)
{
    struct plain *plain = &s->plain;
    char directory[PATH_MAX];
    plain->settings = s->settings->plain;
    if (!plain->settings)
        return ONWARD_OK;
    if (s->incarnation == 1 && access(plain->settings->done_file, F_OK) == 0)
        return error_set(error, ONWARD_ERR_INPUT,
                         "--done-file %s: is there already: expected none before the first start",
                         plain->settings->done_file);
    int code =
        file_join(directory, sizeof directory, rundir_path(s->settings->rundir), "restart", error);
    if (code == ONWARD_OK)
        code = file_make_directories(directory, error);
    if (code == ONWARD_OK)
        code = set("ONWARD_RESTART_DIR", directory, error);
    /* These are handed on by name (command.h), so that they have to be there from the start. */
    if (code == ONWARD_OK)
        code = set("ONWARD_RESTART_FILE", "", error);
    if (code == ONWARD_OK)
        code = set("ONWARD_RESTART_CMD", "", error);
    if (*plain->settings->restart_file)
        snprintf(plain->pattern, sizeof plain->pattern, "%s", plain->settings->restart_file);
    else
        restart_file_all_in(directory, plain->pattern, sizeof plain->pattern);
    return code;
}

void plain_close(struct plain *plain)
{
    ranks_clear(&plain->ranks);
}

/* A restart file that a host's loss cut short makes the program fail on it: then it is the turn of
 * the one before. */
static int choose(struct plain *plain, int64_t incarnation, struct error *error)
{
    const struct plain_settings *settings = plain->settings;
    char file[PATH_MAX] = "";
    bool found =
        incarnation > 1 && restart_file_pick(plain->pattern, plain->stale, file, sizeof file);
    bool is_restart =
        incarnation > 1 && *settings->restart_command && (found || !*settings->restart_file);
    snprintf(plain->runs, sizeof plain->runs, found ? "%s (%.3900s)" : "%s",
             is_restart ? "the restart command" : "the program", file);
    int code = set("ONWARD_RESTART_FILE", file, error);
    if (code == ONWARD_OK)
        code = set("ONWARD_RESTART_CMD", is_restart ? settings->restart_command : "", error);
    return code;
}

int plain_prepare(struct supervisor *s, int64_t incarnation, struct error *error)
{
    struct plain *plain = &s->plain;
    if (!plain->settings)
        return ONWARD_OK;
    ranks_clear(&plain->ranks);
    plain->opened = plain->stops = plain->no_room = false;
    plain->look_s = plain->ended_s = 0;
    plain->newest_ns = restart_file_newest_ns(plain->pattern);
    int code = ranks_init(&plain->ranks, s->settings->allotment->rank_count, error);
    if (code == ONWARD_OK)
        code = ranks_directory(rundir_path(s->settings->rundir), incarnation, plain->directory,
                               sizeof plain->directory, error);
    if (code == ONWARD_OK)
        code = file_make_directories(plain->directory, error);
    return code == ONWARD_OK ? choose(plain, incarnation, error) : code;
}

/* Seconds that the task has run, with those of the incarnations before. */
static int64_t run_s(const struct supervisor *s)
{
    const struct plain *plain = &s->plain;
    return s->best_step + (plain->opened ? (int64_t)(clock_now_s() - plain->opened_s) : 0);
}

static json_t *host_names(const struct places *places)
{
    json_t *names = json_object();
    for (uint32_t i = 0; i < places->count; i++)
        if (places->list[i].own_name[0])
            json_object_set_new(names, places->list[i].host.name,
                                json_string(places->list[i].own_name));
    return names;
}

static void write_members(struct supervisor *s)
{
    const struct ranks *ranks = &s->plain.ranks;
    struct run_members members = {.epoch = 1, .count = ranks->count};
    members.list = calloc(ranks->count, sizeof *members.list);
    members.host_names = host_names(&s->settings->allotment->places);
    for (uint32_t i = 0; members.list && i < ranks->count; i++) {
        struct run_member *member = &members.list[i];
        *member = (struct run_member){
            .member = i + 1, .rank = (int32_t)i, .pid = ranks->list[i].pid, .epoch = 1};
        snprintf(member->role, sizeof member->role, "worker");
        snprintf(member->host, sizeof member->host, "%s", ranks->list[i].host);
    }
    s->plain.members_unwritten =
        !members.list || rundir_write_members(s->settings->rundir, &members, NULL) != ONWARD_OK;
    run_members_clear(&members);
}

static void write_status(struct supervisor *s, const char *state, int exit_code, const char *text)
{
    const struct plain *plain = &s->plain;
    struct run_status status = {.incarnation = s->incarnation,
                                .epoch = 1,
                                .step = run_s(s),
                                .step_count = RUNDIR_ENDLESS_STEPS,
                                .checkpoint_step = -1,
                                .workers = plain->ranks.count,
                                .members = plain->ranks.count,
                                .eta_s = -1,
                                .stop_in_s = -1,
                                .detect_s = s->settings->detect_s,
                                .pid = getpid(),
                                .exit_code = exit_code};
    snprintf(status.state, sizeof status.state, "%s", state);
    snprintf(status.text, sizeof status.text, "%s", text);
    gethostname(status.host, sizeof status.host - 1);
    struct error error = {.errno_value = 0};
    int code = rundir_write_status(s->settings->rundir, &status, &error);
    if (code == ONWARD_OK && plain->members_unwritten)
        write_members(s);
    s->plain.disk_errno = error.errno_value;
    s->watch.changed_s = clock_now_s(); /* as everywhere: a full disk must not stop the program */
}

static void tell(struct supervisor *s, const char *event, json_t *extra)
{
    rundir_event(s->settings->rundir, event, 1, run_s(s), extra, NULL);
    json_decref(extra);
}

/* All ranks have begun. */
static void open_epoch(struct supervisor *s)
{
    struct plain *plain = &s->plain;
    plain->opened = true;
    plain->opened_s = clock_now_s();
    write_members(s);
    tell(s, "start",
         json_pack("{s:s, s:i, s:s}", "program", "plain", "members", (int)plain->ranks.count,
                   "inject", ""));
    tell(s, "epoch",
         json_pack("{s:i, s:s, s:f, s:i, s:I, s:s, s:s}", "workers", (int)plain->ranks.count,
                   "cause", "start", "stall_s", 0.0, "steps_lost", 0, "resume_step",
                   (json_int_t)s->best_step, "source", "program", "runs", plain->runs));
    write_status(s, "running", -1, "");
}

/* SIGUSR2 reaches all ranks through mpirun (rank_main.c). One that has not begun has nothing to
 * write. */
static void ask_to_stop(struct supervisor *s)
{
    struct plain *plain = &s->plain;
    if (plain->stops)
        return;
    plain->stops = true;
    plain->stop_deadline_s = clock_now_s() + (plain->opened ? s->settings->stop_s : 0);
    if (plain->opened && s->child.pid > 0 && !s->child.ended)
        kill(s->child.pid, SIGUSR2);
}

static void take_requests(struct supervisor *s)
{
    struct run_request request;
    while (supervise_take_request(s, &request)) {
        bool accepted = !strcmp(request.request, "stop") || !strcmp(request.request, "restart");
        json_t *extra = json_pack("{s:s, s:s, s:s, s:b}", "request", request.request, "name",
                                  request.name, "by", request.by, "accepted", accepted);
        if (!accepted)
            json_object_set_new(extra, "reason",
                                json_string("the program does not use libonward: stop it, and "
                                            "resume it with other hosts or another -n"));
        tell(s, "request", extra);
        if (accepted)
            ask_to_stop(s);
    }
}

static bool is_done(const struct supervisor *s)
{
    const struct plain *plain = &s->plain;
    if (*plain->settings->done_file)
        return access(plain->settings->done_file, F_OK) == 0;
    return !plain->stops && plain->ranks.succeeded == plain->ranks.count;
}

static void complete(struct supervisor *s)
{
    struct run_completion completion = {.incarnation = s->incarnation,
                                        .epoch = 1,
                                        .step = run_s(s),
                                        .seconds = clock_now_s() - s->plain.opened_s};
    struct error error = {.errno_value = 0};
    bool was_told = s->plain.no_room;
    int code = rundir_write_completion(s->settings->rundir, &completion, &error);
    s->plain.no_room = code != ONWARD_OK && rundir_may_recover(&error);
    s->plain.disk_errno = error.errno_value;
    if (code != ONWARD_OK && !was_told)
        tell(s, "warning", json_pack("{s:s}", "text", error.text));
    if (code != ONWARD_OK)
        return;
    tell(s, "complete", json_pack("{s:s}", "text", ""));
    write_status(s, "complete", 0, "");
}

static void stop(struct supervisor *s)
{
    static const char text[] = "stopped as asked";
    tell(s, "stopped", json_pack("{s:s}", "text", text));
    write_status(s, "stopped", EXIT_RESUMABLE, text);
}

/* No rank runs any more. True: mpirun does not end. */
static bool conclude(struct supervisor *s, bool is_gone)
{
    struct plain *plain = &s->plain;
    double now_s = clock_now_s();
    if (plain->ended_s == 0)
        plain->ended_s = now_s;
    if (is_done(s))
        complete(s);
    else if (plain->stops)
        stop(s);
    else if (!is_gone && now_s > plain->ended_s + s->settings->settle_s) {
        snprintf(s->cut_off, sizeof s->cut_off, "all ranks ended, and mpirun did not");
        return true;
    }
    return false;
}

static void watch_time(struct supervisor *s)
{
    struct plain *plain = &s->plain;
    double end_time_s = plain->settings->end_time_s;
    if (end_time_s > 0 && (double)time(NULL) > end_time_s - s->settings->stop_s)
        ask_to_stop(s);
    if (plain->stops && clock_now_s() > plain->stop_deadline_s) {
        supervise_kill(s);
        stop(s);
    }
}

bool plain_turn(struct supervisor *s, bool is_gone)
{
    struct plain *plain = &s->plain;
    double now_s = clock_now_s();
    if (!plain->settings || (now_s < plain->look_s && !is_gone))
        return false;
    plain->look_s = now_s + look_every_s;
    /* What cannot be read now is looked at again; in the end it counts as not reported. */
    ranks_read(&plain->ranks, plain->directory, NULL);
    if (!plain->opened && plain->ranks.begun == plain->ranks.count)
        open_epoch(s);
    take_requests(s);
    if (is_gone || plain->ranks.ended == plain->ranks.count)
        return conclude(s, is_gone);
    if (plain->opened)
        write_status(s, "running", -1, "");
    watch_time(s);
    return false;
}

bool plain_waits(const struct supervisor *s)
{
    const struct plain *plain = &s->plain;
    if (plain->settings && plain->no_room && !s->signal)
        return clock_now_s() < plain->ended_s + room_limit_s(s);
    return plain->settings && plain->ranks.ended < plain->ranks.count &&
           WIFEXITED(s->child.status) && WEXITSTATUS(s->child.status) == 0 &&
           !*s->output.lost_host && !*s->error_output.lost_host &&
           clock_now_s() < plain->ended_s + report_limit_s;
}

int64_t plain_account(struct supervisor *s)
{
    struct plain *plain = &s->plain;
    int64_t newest_ns = restart_file_newest_ns(plain->pattern);
    double seconds = plain->opened ? s->down_s - plain->opened_s : 0;
    bool is_new = newest_ns > plain->newest_ns;
    bool is_host = *s->output.lost_host || *s->error_output.lost_host;
    if (is_new || (newest_ns == 0 && seconds >= long_run_s))
        plain->gained_s += seconds < 1 ? 1 : (int64_t)seconds;
    if (is_new)
        plain->stale = 0;
    else if (!is_host && plain->ranks.first_bad >= 0)
        plain->stale++;
    return plain->gained_s;
}
