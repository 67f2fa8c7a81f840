/* progress.c - the words of progress. Lines are put together from left to right in a bounded
 * buffer; what does not fit is cut off at its end. */
#include "progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct line {
    char *text;
    size_t used, room;
};

static struct line start_line(char *text, size_t text_bytes)
{
    text[0] = '\0';
    return (struct line){text, 0, text_bytes};
}

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line->text + line->used, line->room - line->used, format, arguments);
    va_end(arguments);
    line->used += size > 0 ? (size_t)size : 0;
    if (line->used >= line->room)
        line->used = line->room - 1;
}

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

static void add_rate(struct line *line, const struct run_status *status)
{
    double samples = metric_of(status, "samples_per_step");
    if (!(status->steps_per_s > 0))
        return;
    if (samples > 0)
        add(line, "  %.0f samples/s", samples * status->steps_per_s);
    else
        add(line, "  %.3g steps/s", status->steps_per_s);
}

void progress_status(const struct run_status *status, char *text, size_t text_bytes)
{
    struct line line = start_line(text, text_bytes);
    add(&line, "step %lld", (long long)status->step);
    if (status->step_count > 0)
        add(&line, "/%lld", (long long)status->step_count);
    for (uint32_t i = 0; i < status->metric_count && i < RUNDIR_METRICS; i++)
        if (strcmp(status->metrics[i].name, "samples_per_step") != 0)
            add(&line, "  %.31s %.4g", status->metrics[i].name, status->metrics[i].value);
    add(&line, "  %u worker%s", status->workers, plural(status->workers));
    if (status->spares)
        add(&line, " + %u spare", status->spares);
    add(&line, "  epoch %lld", (long long)status->epoch);
    add_rate(&line, status);
    if (status->eta_s >= 0) {
        char left[32];
        progress_duration(status->eta_s, left, sizeof left);
        add(&line, "  %s left", left);
    }
}

static const char *text_of(const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    return text ? text : "";
}

static long long number_of(const json_t *event, const char *key)
{
    return (long long)json_integer_value(json_object_get(event, key));
}

static void remember_loss(struct progress_events *events, const json_t *event)
{
    size_t used = strlen(events->losses);
    struct line line = {events->losses, used, sizeof events->losses};
    const json_t *rank = json_object_get(event, "rank");
    add(&line, "%s", used ? ", " : "");
    if (json_is_integer(rank) && json_integer_value(rank) >= 0)
        add(&line, "worker %lld (member %lld", (long long)json_integer_value(rank),
            number_of(event, "member"));
    else
        add(&line, "member %lld (no worker", number_of(event, "member"));
    if (*text_of(event, "host"))
        add(&line, ", host %s", text_of(event, "host"));
    add(&line, ")");
}

static void describe_epoch(struct progress_events *events, const json_t *event, struct line *line)
{
    long long workers = number_of(event, "workers"), lost = number_of(event, "steps_lost");
    bool first = !strcmp(text_of(event, "cause"), "start");
    if (events->losses[0])
        add(line, "lost %s: going on with ", events->losses);
    else if (!first)
        add(line, "%s: going on with ", text_of(event, "cause"));
    add(line, "%lld worker%s from step %lld", workers, plural((uint64_t)workers),
        number_of(event, "step"));
    if (first && events->restart_s > 0) {
        char pause[32];
        lost = events->step_before - number_of(event, "step");
        progress_duration(events->restart_s, pause, sizeof pause);
        add(line, " after %s, %lld step%s lost", pause, lost > 0 ? lost : 0,
            plural(lost > 0 ? (uint64_t)lost : 0));
        events->restart_s = 0;
    } else if (!first) {
        char stall[32];
        progress_duration(json_number_value(json_object_get(event, "stall_s")), stall,
                          sizeof stall);
        add(line, ", %lld step%s lost, %s", lost, plural((uint64_t)lost), stall);
    }
    events->losses[0] = '\0';
}

bool progress_event(struct progress_events *events, const json_t *event, char *text,
                    size_t text_bytes)
{
    struct line line = start_line(text, text_bytes);
    const char *what = text_of(event, "event");
    if (!strcmp(what, "lost"))
        remember_loss(events, event);
    else if (!strcmp(what, "epoch"))
        describe_epoch(events, event, &line);
    else if (!strcmp(what, "warning"))
        add(&line, "warning: %s", text_of(event, "text"));
    else if (!strcmp(what, "relaunch"))
        add(&line, "%s at step %lld: starting again from the newest checkpoint, incarnation %lld",
            text_of(event, "cause"), number_of(event, "step"), number_of(event, "incarnation"));
    else if (!strcmp(what, "request"))
        add(&line, "%s was asked for by %s", text_of(event, "request"), text_of(event, "by"));
    return line.used > 0;
}

static void add_steps(struct line *line, const struct progress_end *end)
{
    if (end->step_count > 0 && end->step != end->step_count)
        add(line, "%lld of %lld steps", (long long)end->step, (long long)end->step_count);
    else
        add(line, "%lld step%s", (long long)end->step, plural((uint64_t)end->step));
}

void progress_end_line(const struct progress_end *end, char *text, size_t text_bytes)
{
    struct line line = start_line(text, text_bytes);
    char duration[32];
    progress_duration(end->seconds, duration, sizeof duration);
    add(&line, "task %s %s after ", end->task, end->state);
    add_steps(&line, end);
    add(&line, ", %s, %u member%s lost", duration, end->losses, plural(end->losses));
    if (end->restarts)
        add(&line, ", %d restart%s", end->restarts, plural((uint64_t)end->restarts));
    add(&line, ": %s", !strcmp(end->state, "complete") ? end->place : end->text);
}
