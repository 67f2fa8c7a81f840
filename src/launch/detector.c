/* detector.c - hears, judges, kills, and says in the event log what it killed. */
#include "detector.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "place.h"
#include "processes.h"
#include "say.h"
#include "unheard.h"

enum { MAX_BEATS_AT_ONCE = 65536, MEMBER_BYTES = 160, WARNING_BYTES = 256 };

/* A member beats eight times in detect_s, or, where that is very short, at least twice. */
static const double unheard_detections = 2;

enum kill_result { KILL_DONE, KILL_GONE, KILL_HELD, KILL_FAILED };

int detector_open(struct detector *detector, const struct detector_settings *settings,
                  struct error *error)
{
    char host[BEAT_HOST_BYTES] = "", number[32];
    gethostname(host, sizeof host - 1);
    detector->settings = *settings;
    detector->listener.fd = -1;
    detector->beats = beats_create(&(struct beats_settings){
        .detect_s = settings->detect_s, .hang_s = settings->hang_s, .host = host});
    if (!detector->beats)
        return error_set(error, ONWARD_ERR_MEMORY, "failure detector: out of memory");
    snprintf(number, sizeof number, "%.6g", settings->detect_s);
    setenv("ONWARD_DETECT_S", number, 1);
    return listen_open(&detector->listener, error);
}

void detector_begin(struct detector *detector, int64_t incarnation)
{
    beats_begin(detector->beats, incarnation);
    detector->incarnation = incarnation;
    detector->heard_s = detector->unheard_s = 0;
    json_decref(detector->unheard);
    detector->unheard = json_object();
}

/* Returns the time as of which all is heard. */
static double hear(struct detector *detector)
{
    struct beat beat;
    int budget = MAX_BEATS_AT_ONCE;
    double now_s = clock_now_s();
    if (detector->heard_s > 0)
        beats_excuse(detector->beats, now_s - detector->heard_s, now_s);
    detector->heard_s = now_s;
    while (listen_take(&detector->listener, &budget, &beat))
        beats_take(detector->beats, &beat, now_s);
    return now_s;
}

/* A process that a debugger holds ('t') is silent for a good reason. */
static enum kill_result kill_here(pid_t pid)
{
    char state = processes_state_below(pid);
    if (state == 0)
        return KILL_GONE;
    if (state == 't')
        return KILL_HELD;
    return kill(pid, SIGKILL) == 0 ? KILL_DONE : KILL_FAILED;
}

static enum kill_result kill_found(const struct detector *detector,
                                   const struct beats_finding *finding)
{
    const struct detector_settings *settings = &detector->settings;
    if (finding->is_local)
        return kill_here(finding->pid);
    return settings->kill_on_host &&
                   settings->kill_on_host(settings->context, finding->host, finding->pid)
               ? KILL_DONE
               : KILL_FAILED;
}

static void describe(const struct beats_finding *finding, char *text, size_t text_bytes)
{
    char member[MEMBER_BYTES];
    snprintf(member, sizeof member, "member %u (process %d on host %s)", finding->member,
             finding->pid, finding->host);
    if (finding->kind == BEATS_SILENT_HOST)
        snprintf(text, text_bytes, "host %s was silent for %g s", finding->host, finding->limit_s);
    else if (finding->kind == BEATS_SILENT)
        snprintf(text, text_bytes, "%s was silent for %g s", member, finding->limit_s);
    else if (finding->kind == BEATS_STUCK)
        snprintf(text, text_bytes, "no worker has come back from its step for %g s (--hang)",
                 finding->limit_s);
    else
        snprintf(text, text_bytes, "%s did not end its step in %g s, while others waited for it",
                 member, finding->limit_s);
}

static void warn(const struct detector *detector, const struct run_status *status, const char *text)
{
    json_t *extra = json_pack("{s:s}", "text", text);
    rundir_event(detector->settings.rundir, "warning", status->epoch, status->step, extra, NULL);
    json_decref(extra);
}

/* Whether others wait for the process. It may have ended before it could say in a beat which member
 * it is, and one that was spawned may be none yet. */
static bool is_member(const struct detector *detector, const struct beats_finding *finding)
{
    struct run_members members;
    bool found = false;
    if (finding->member != 0)
        return true;
    if (rundir_read_members(detector->settings.rundir, &members, NULL) == ONWARD_OK)
        for (uint32_t i = 0; i < members.count; i++)
            found |= members.list[i].pid == finding->pid &&
                     place_same_host(members.list[i].host, finding->host);
    run_members_clear(&members);
    return found;
}

/* Why a finding cannot be dealt with; false: it can. */
static bool is_beyond_help(const struct detector *detector, const struct beats_finding *finding,
                           enum kill_result result, const char *what, char *cause,
                           size_t cause_bytes)
{
    bool stays = result == KILL_FAILED || (result == KILL_DONE && finding->again);
    double now_s = clock_now_s();
    bool is_missed = result == KILL_GONE && finding->again && is_member(detector, finding) &&
                     (beats_is_overdue(detector->beats, finding->index, now_s) ||
                      beats_are_settled(detector->beats, now_s));
    if (stays)
        snprintf(cause, cause_bytes, "%s and could not be killed", what);
    else if (is_missed) /* it exited, and the others wait for it */
        snprintf(cause, cause_bytes, "process %d on host %s is gone, and MPI did not notice",
                 finding->pid, finding->host);
    return stays || is_missed;
}

/* False when the finding cannot be dealt with: *cause says why. */
static bool deal_with(struct detector *detector, const struct beats_finding *finding,
                      const struct run_status *status, char *cause, size_t cause_bytes)
{
    char what[WARNING_BYTES], text[WARNING_BYTES + 32];
    describe(finding, what, sizeof what);
    if (finding->kind == BEATS_SILENT_HOST || finding->kind == BEATS_STUCK) {
        snprintf(cause, cause_bytes, "%s", what);
        return false;
    }
    enum kill_result result = kill_found(detector, finding);
    if (is_beyond_help(detector, finding, result, what, cause, cause_bytes))
        return false;
    if (result == KILL_GONE && finding->again && !is_member(detector, finding))
        beats_forget(detector->beats, finding->index);
    else if (result == KILL_HELD)
        beats_defer(detector->beats, finding->index, clock_now_s());
    else if (result == KILL_GONE)
        beats_missing(detector->beats, finding->index, clock_now_s());
    else
        beats_killed(detector->beats, finding->index, clock_now_s());
    if (result == KILL_DONE) {
        snprintf(text, sizeof text, "%s and was killed", what);
        warn(detector, status, text);
    }
    return true;
}

/* Of a host that is heard each member is, or it never got as far as to beat. */
static void expect_members(struct detector *detector, const struct run_members *members)
{
    for (uint32_t i = 0; i < members->count; i++) {
        const struct run_member *member = &members->list[i];
        if (beats_heard(detector->beats, member->host, 0))
            beats_expect(detector->beats, member->host, (int32_t)member->pid, members->epoch,
                         clock_now_s());
    }
}

/* Where heartbeats do not arrive, nobody is ever silent: that has to be said. Not at each look: the
 * members are in a file. */
static void look_for_unheard(struct detector *detector, const struct run_status *status)
{
    char hosts[UNHEARD_BYTES], text[UNHEARD_BYTES + 128];
    struct run_members members;
    if (detector->unheard_s == 0 || clock_now_s() < detector->unheard_s)
        return;
    detector->unheard_s = 0;
    int code = rundir_read_members(detector->settings.rundir, &members, NULL);
    hear(detector); /* who became a member by now was heard by now */
    bool is_current = code == ONWARD_OK && members.incarnation == detector->incarnation;
    if (is_current &&
        unheard_hosts(&members, detector->beats, detector->unheard, hosts, sizeof hosts) > 0) {
        snprintf(text, sizeof text,
                 "no heartbeats come from %s (a firewall between the hosts?): a member that stops "
                 "there will not be found",
                 hosts);
        warn(detector, status, text);
    }
    if (is_current)
        expect_members(detector, &members);
    run_members_clear(&members);
}

bool detector_look(struct detector *detector, const struct run_status *status, char *cause,
                   size_t cause_bytes)
{
    look_for_unheard(detector, status);
    for (int i = 0; i < BEATS_MAX_MEMBERS; i++) { /* each finding is dealt with once */
        double now_s = hear(detector); /* again: to kill one on another host takes a while */
        struct beats_finding finding = beats_find(detector->beats, now_s);
        if (finding.kind == BEATS_NOTHING)
            return false;
        if (!deal_with(detector, &finding, status, cause, cause_bytes))
            return true;
    }
    return false;
}

bool detector_heard(const struct detector *detector, const char *host, double then_s)
{
    /* Four beats: a host that lost its power was silent for longer when mpirun went down. */
    return beats_heard(detector->beats, host, then_s - detector->settings.detect_s / 2);
}

void detector_event(struct detector *detector, const json_t *event)
{
    const char *name = json_string_value(json_object_get(event, "event"));
    json_int_t member = json_integer_value(json_object_get(event, "member"));
    const char *host = json_string_value(json_object_get(event, "host"));
    if (name && strcmp(name, "epoch") == 0 && !detector->settings.hears_nobody)
        detector->unheard_s = clock_now_s() + unheard_detections * detector->settings.detect_s;
    if (name && strcmp(name, "lost") == 0 && member > 0 && member <= UINT32_MAX)
        beats_lost(detector->beats, (uint32_t)member, host ? host : "",
                   json_integer_value(json_object_get(event, "pid")));
}

void detector_close(struct detector *detector)
{
    listen_close(&detector->listener);
    beats_destroy(detector->beats);
    json_decref(detector->unheard);
    detector->beats = NULL;
    detector->unheard = NULL;
}
