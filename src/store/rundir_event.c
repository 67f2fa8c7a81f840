/* rundir_event.c - events.jsonl: what happened, one object a line, appended with one write each.
 *
 * A line that a full disk or a dead host cut short is closed by the newline that the next event
 * starts with, so that it spoils no other. What could not be written is kept, within a bound, and
 * written with the next event, or the next status, that can be. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rundir_internal.h"

enum { KEPT_LIMIT_BYTES = 1 << 18 };

static bool is_event(const char *event)
{
    static const char *const events[] = {"start",   "registered", "epoch",   "lost",
                                         "joined",  "drained",    "spawned", "restore",
                                         "leave",   "relaunch",   "request", "checkpoint",
                                         "warning", "complete",   "failed",  "stopped"};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (!strcmp(event, events[i]))
            return true;
    return false;
}

static int open_events(struct rundir *rundir, struct error *error)
{
    char path[PATH_MAX];
    if (rundir->events_fd >= 0)
        return ONWARD_OK;
    int code = file_join(path, sizeof path, rundir->path, "events.jsonl", error);
    if (code != ONWARD_OK)
        return code;
    rundir->events_fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (rundir->events_fd < 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s", path);
    return ONWARD_OK;
}

static bool last_line_is_whole(int fd)
{
    char last;
    off_t size = lseek(fd, 0, SEEK_END);
    return size <= 0 || pread(fd, &last, 1, size - 1) != 1 || last == '\n';
}

/* The line with a newline before it (left out unless needed) and one behind; NULL: out of memory.
 */
static char *make_line(const struct rundir *rundir, const char *event, int64_t epoch, int64_t step,
                       json_t *extra)
{
    char time[40];
    time_text(time, sizeof time);
    json_t *root = json_pack("{s:s, s:I, s:I, s:I, s:s}", "time", time, "incarnation",
                             (json_int_t)rundir->incarnation, "epoch", (json_int_t)epoch, "step",
                             (json_int_t)step, "event", event);
    bool is_whole = root && (!extra || json_object_update_missing(root, extra) == 0);
    char *text = is_whole ? json_dumps(root, JSON_COMPACT) : NULL;
    size_t length = text ? strlen(text) : 0;
    char *line = text ? malloc(length + 3) : NULL;
    if (line) {
        line[0] = '\n';
        memcpy(line + 1, text, length);
        memcpy(line + 1 + length, "\n", 2);
    }
    json_decref(root);
    free(text);
    return line;
}

/* The framed line behind those that wait already; where they would become too many it is dropped.
 */
static void keep(struct rundir *rundir, const char *line)
{
    size_t at = rundir->kept_bytes, size = strlen(line) - (at > 0 ? 1 : 0);
    char *kept = at + size < KEPT_LIMIT_BYTES ? realloc(rundir->kept, at + size + 1) : NULL;
    if (!kept) {
        rundir->dropped++;
        return;
    }
    memcpy(kept + at, line + (at > 0 ? 1 : 0), size + 1);
    rundir->kept = kept;
    rundir->kept_bytes = at + size;
}

/* Whole lines that are written need not be written again; the newline before what is left stays. */
static void forget_written(struct rundir *rundir, size_t written)
{
    while (written > 0 && rundir->kept[written - 1] != '\n')
        written--;
    if (written < 2)
        return;
    size_t left = rundir->kept_bytes - (written - 1);
    memmove(rundir->kept, rundir->kept + written - 1, left + 1);
    rundir->kept_bytes = left > 1 ? left : 0;
}

/* All that waits, in one write. */
static int append_kept(struct rundir *rundir, struct error *error)
{
    size_t skipped = last_line_is_whole(rundir->events_fd) ? 1 : 0;
    errno = ENOSPC; /* what a short write means */
    ssize_t written =
        write(rundir->events_fd, rundir->kept + skipped, rundir->kept_bytes - skipped);
    int problem = errno;
    if (written > 0)
        forget_written(rundir, (size_t)written + skipped);
    return rundir->kept_bytes == 0
               ? ONWARD_OK
               : error_set_errno(error, ONWARD_ERR_IO, problem, "%s/events.jsonl", rundir->path);
}

static void tell_dropped(struct rundir *rundir)
{
    char text[80];
    snprintf(text, sizeof text, "%u events before this one could not be written", rundir->dropped);
    json_t *extra = json_pack("{s:s}", "text", text);
    rundir->dropped = 0;
    rundir_event(rundir, "warning", 0, 0, extra, NULL);
    json_decref(extra);
}

int rundir_write_kept(struct rundir *rundir, struct error *error)
{
    if (rundir->kept_bytes == 0)
        return ONWARD_OK;
    int code = open_events(rundir, error);
    if (code == ONWARD_OK)
        code = append_kept(rundir, error);
    if (code == ONWARD_OK && rundir->dropped > 0)
        tell_dropped(rundir);
    return code;
}

int rundir_event(struct rundir *rundir, const char *event, int64_t epoch, int64_t step,
                 json_t *extra, struct error *error)
{
    if (!is_event(event))
        return error_set(error, ONWARD_ERR_ARGUMENT, "event \"%s\": not one of the documented",
                         event);
    char *line = make_line(rundir, event, epoch, step, extra);
    if (!line)
        return error_set(error, ONWARD_ERR_MEMORY, "event %s: cannot be put into JSON", event);
    keep(rundir, line);
    free(line);
    return rundir_write_kept(rundir, error);
}

static int add_loss(struct run_told *told, json_int_t member)
{
    uint32_t *grown = realloc(told->losses, (told->loss_count + 1) * sizeof *grown);
    if (!grown)
        return ONWARD_ERR_MEMORY;
    told->losses = grown;
    grown[told->loss_count++] = (uint32_t)member;
    return ONWARD_OK;
}

static int take_line(const struct rundir *rundir, const char *line, struct run_told *told)
{
    int code = ONWARD_OK;
    if (!strstr(line, "\"lost\"") && !strstr(line, "\"workers\"")) /* as an epoch's has it */
        return code;
    json_t *root = json_loads(line, 0, NULL);
    const char *event = json_string_value(json_object_get(root, "event"));
    json_int_t member = json_integer_value(json_object_get(root, "member"));
    json_int_t epoch = json_integer_value(json_object_get(root, "epoch"));
    bool is_meant =
        event && json_integer_value(json_object_get(root, "incarnation")) == rundir->incarnation;
    if (is_meant && !strcmp(event, "lost") && member > 0 && member <= UINT32_MAX)
        code = add_loss(told, member);
    else if (is_meant && !strcmp(event, "epoch") && epoch > told->epoch)
        told->epoch = epoch;
    json_decref(root);
    return code;
}

int rundir_read_told(const struct rundir *rundir, struct run_told *told, struct error *error)
{
    char path[PATH_MAX], *line = NULL;
    size_t room = 0;
    *told = (struct run_told){0};
    int code = file_join(path, sizeof path, rundir->path, "events.jsonl", error);
    FILE *file = code == ONWARD_OK ? fopen(path, "re") : NULL;
    if (!file)
        return code != ONWARD_OK ? code : error_set_errno(error, ONWARD_ERR_IO, errno, "%s", path);
    while (code == ONWARD_OK && getline(&line, &room, file) > 0)
        if (take_line(rundir, line, told) != ONWARD_OK)
            code = error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory", path);
    free(line);
    fclose(file);
    return code;
}
