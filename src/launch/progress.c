/* progress.c - the words of progress. Lines are put together from left to right in a bounded
 * buffer; what does not fit is cut off at its end. */
#include "progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "event.h"
#include "words.h"

enum { TELL_STATE_BYTES = 1000000000 };

void progress_duration(double seconds, char *text, size_t text_bytes)
{
    long long whole = seconds < 9e15 ? llround(seconds) : 0;
    if (seconds < 1)
        snprintf(text, text_bytes, "%.2f s", seconds);
    else if (seconds < 9.95)
        snprintf(text, text_bytes, "%.1f s", seconds);
    else if (whole < 60)
        snprintf(text, text_bytes, "%lld s", whole);
    else if (whole < 3600)
        snprintf(text, text_bytes, "%lld min %lld s", whole / 60, whole % 60);
    else
        snprintf(text, text_bytes, "%lld h %lld min", whole / 3600, whole % 3600 / 60);
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static double metric_of(const struct run_status *status, const char *name)
{
    for (uint32_t i = 0; i < status->metric_count && i < RUNDIR_METRICS; i++)
        if (!strcmp(status->metrics[i].name, name))
            return status->metrics[i].value;
    return NAN;
}

static void add_rate(struct words *words, const struct run_status *status)
{
    double samples = metric_of(status, "samples_per_step");
    if (!(status->steps_per_s > 0))
        return;
    if (samples > 0)
        words_add(words, "  %.0f samples/s", samples * status->steps_per_s);
    else
        words_add(words, "  %.3g steps/s", status->steps_per_s);
}

void progress_status(const struct run_status *status, char *text, size_t text_bytes)
{
    struct words words = words_start(text, text_bytes);
    bool has_steps = status->step_count < RUNDIR_ENDLESS_STEPS;
    if (has_steps)
        words_add(&words, "step %lld", (long long)status->step);
    else
        words_add(&words, "running for %lld s", (long long)status->step);
    if (has_steps && status->step_count > 0)
        words_add(&words, "/%lld", (long long)status->step_count);
    for (uint32_t i = 0; i < status->metric_count && i < RUNDIR_METRICS; i++)
        if (strcmp(status->metrics[i].name, "samples_per_step") != 0)
            words_add(&words, "  %.31s %.4g", status->metrics[i].name, status->metrics[i].value);
    words_add(&words, "  %u worker%s", status->workers, plural(status->workers));
    if (status->spares)
        words_add(&words, " + %u spare", status->spares);
    words_add(&words, "  epoch %lld", (long long)status->epoch);
    if (has_steps)
        add_rate(&words, status);
    if (has_steps && status->eta_s >= 0) {
        char left[32];
        progress_duration(status->eta_s, left, sizeof left);
        words_add(&words, "  %s left", left);
    }
}

static void remember_loss(struct progress_events *events, const json_t *event)
{
    size_t used = strlen(events->losses);
    struct words words = {events->losses, used, sizeof events->losses};
    const json_t *rank = json_object_get(event, "rank");
    words_add(&words, "%s", used ? ", " : "");
    if (json_is_integer(rank) && json_integer_value(rank) >= 0)
        words_add(&words, "worker %lld (member %lld", (long long)json_integer_value(rank),
                  event_number(event, "member"));
    else
        words_add(&words, "member %lld (no worker", event_number(event, "member"));
    if (*event_text(event, "host"))
        words_add(&words, ", host %s", event_text(event, "host"));
    words_add(&words, ")");
}

/* Where it goes on from is known only when it does. */
static void describe_relaunch(const struct progress_events *events, const json_t *event,
                              struct words *words)
{
    long long hosts = event_number(event, "hosts");
    words_add(words, "%s %s %lld%s: starting again", event_text(event, "cause"),
              events->in_seconds ? "after" : "at step", event_number(event, "step"),
              events->in_seconds ? " s" : "");
    if (hosts > 0)
        words_add(words, " on %lld host%s", hosts, plural((uint64_t)hosts));
}

static bool has_partners(const json_t *event)
{
    size_t i;
    const json_t *host;
    json_array_foreach(json_object_get(event, "copies"), i, host)
    {
        if (json_array_size(json_object_get(host, "partner")) > 0)
            return true;
    }
    return false;
}

static void add_source(struct words *words, const json_t *event)
{
    const char *source = event_text(event, "source");
    static const char *const names[][2] = {
        {"start", "the start"}, {"local", "local copies"}, {"checkpoint", "the checkpoint"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(source, names[i][0]))
            words_add(words, " (from %s%s)", names[i][1],
                      has_partners(event) ? " and those of partners" : "");
}

/* Steps may have ended before the event was written. */
static long long resume_step_of(const json_t *event)
{
    return event_number(event, json_object_get(event, "resume_step") ? "resume_step" : "step");
}

/* Of a program that does not use libonward. */
static void describe_program(struct progress_events *events, const json_t *event,
                             struct words *words)
{
    long long ranks = event_number(event, "workers");
    words_add(words, "%lld rank%s run%s %s", ranks, plural((uint64_t)ranks), ranks == 1 ? "s" : "",
              event_text(event, "runs"));
    if (events->restart_s > 0) {
        char pause[32];
        progress_duration(events->restart_s, pause, sizeof pause);
        words_add(words, ", after %s", pause);
    }
    events->restart_s = 0;
}

static void describe_epoch(struct progress_events *events, const json_t *event, struct words *words)
{
    long long workers = event_number(event, "workers"), lost = event_number(event, "steps_lost");
    bool first = !strcmp(event_text(event, "cause"), "start");
    if (events->losses[0])
        words_add(words, "lost %s: going on with ", events->losses);
    else if (!first)
        words_add(words, "%s: going on with ", event_text(event, "cause"));
    words_add(words, "%lld worker%s", workers, plural((uint64_t)workers));
    if (!events->in_seconds)
        words_add(words, " from step %lld", resume_step_of(event));
    double stall_s = json_number_value(json_object_get(event, "stall_s"));
    if (first && events->restart_s > 0) {
        char pause[32];
        lost = events->step_before - resume_step_of(event);
        progress_duration(stall_s > 0 ? stall_s : events->restart_s, pause, sizeof pause);
        words_add(words, " after %s, %lld step%s lost", pause, lost > 0 ? lost : 0,
                  plural(lost > 0 ? (uint64_t)lost : 0));
        add_source(words, event);
        events->restart_s = 0;
    } else if (!first) {
        char stall[32];
        progress_duration(stall_s, stall, sizeof stall);
        words_add(words, ", %lld step%s lost, %s", lost, plural((uint64_t)lost), stall);
    }
    events->losses[0] = '\0';
}

static void describe_request(const json_t *event, struct words *words)
{
    words_add(words, "%s", event_text(event, "request"));
    if (json_is_integer(json_object_get(event, "count")))
        words_add(words, " %lld", event_number(event, "count"));
    else if (json_is_integer(json_object_get(event, "member")))
        words_add(words, " member %lld", event_number(event, "member"));
    else if (*event_text(event, "host"))
        words_add(words, " %s", event_text(event, "host"));
    if (*event_text(event, "hosts"))
        words_add(words, " (%s)", event_text(event, "hosts"));
    words_add(words, " was asked for by %s", event_text(event, "by"));
    if (json_is_false(json_object_get(event, "accepted")))
        words_add(words, " and refused: %s", event_text(event, "reason"));
}

/* A smaller state is there before the line is read, and a loss is to be one line. */
static void describe_restore(const json_t *event, struct words *words)
{
    if (event_number(event, "bytes") < TELL_STATE_BYTES)
        return;
    words_add(words, "taking in the state of step %lld, %.3g GB for each worker",
              event_number(event, "resume_step"), (double)event_number(event, "bytes") / 1e9);
    add_source(words, event);
}

bool progress_event(struct progress_events *events, const json_t *event, char *text,
                    size_t text_bytes)
{
    struct words words = words_start(text, text_bytes);
    const char *what = event_text(event, "event");
    if (!strcmp(what, "lost"))
        remember_loss(events, event);
    else if (!strcmp(what, "epoch") && *event_text(event, "runs"))
        describe_program(events, event, &words);
    else if (!strcmp(what, "epoch"))
        describe_epoch(events, event, &words);
    else if (!strcmp(what, "restore"))
        describe_restore(event, &words);
    else if (!strcmp(what, "warning"))
        words_add(&words, "warning: %s", event_text(event, "text"));
    else if (!strcmp(what, "relaunch"))
        describe_relaunch(events, event, &words);
    else if (!strcmp(what, "request"))
        describe_request(event, &words);
    else if (!strcmp(what, "joined"))
        words_add(&words, "member %lld (host %s) joined the lineup", event_number(event, "member"),
                  event_text(event, "host"));
    else if (!strcmp(what, "drained"))
        words_add(&words, "member %lld (host %s) is drained", event_number(event, "member"),
                  event_text(event, "host"));
    return words.used > 0;
}

static void add_steps(struct words *words, const struct progress_end *end)
{
    if (end->step_count >= RUNDIR_ENDLESS_STEPS)
        return;
    words_add(words, " after ");
    if (end->step_count > 0 && end->step != end->step_count)
        words_add(words, "%lld of %lld steps", (long long)end->step, (long long)end->step_count);
    else
        words_add(words, "%lld step%s", (long long)end->step, plural((uint64_t)end->step));
}

void progress_end_line(const struct progress_end *end, char *text, size_t text_bytes)
{
    struct words words = words_start(text, text_bytes);
    char duration[32];
    progress_duration(end->seconds, duration, sizeof duration);
    words_add(&words, "task %s %s", end->task, end->state);
    add_steps(&words, end);
    words_add(&words, ", %s, %u member%s lost", duration, end->losses, plural(end->losses));
    if (end->restarts)
        words_add(&words, ", %d restart%s", end->restarts, plural((uint64_t)end->restarts));
    words_add(&words, ": %s", !strcmp(end->state, "complete") ? end->place : end->text);
}
