/* rundir_event.c - events.jsonl: what happened, one object a line, appended with one write each.
 *
 * A line that a full disk or a dead host cut short is closed by the newline that the next event
 * starts with, so that it spoils no other. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rundir_internal.h"

static bool is_event(const char *event)
{
    static const char *const events[] = {
        "start",    "registered", "epoch",      "lost",    "joined",   "drained", "spawned",
        "relaunch", "request",    "checkpoint", "warning", "complete", "failed",  "stopped"};
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

/* The line with a newline before it (left out unless needed) and one behind. */
static char *frame_line(json_t *root)
{
    char *text = json_dumps(root, JSON_COMPACT);
    size_t length = text ? strlen(text) : 0;
    char *line = text ? malloc(length + 3) : NULL;
    if (line) {
        line[0] = '\n';
        memcpy(line + 1, text, length);
        memcpy(line + 1 + length, "\n", 2);
    }
    free(text);
    return line;
}

static int append_line(struct rundir *rundir, const char *line, struct error *error)
{
    if (last_line_is_whole(rundir->events_fd))
        line++;
    size_t size = strlen(line);
    errno = ENOSPC; /* what a short write means */
    if (write(rundir->events_fd, line, size) == (ssize_t)size)
        return ONWARD_OK;
    return error_set_errno(error, ONWARD_ERR_IO, errno, "%s/events.jsonl", rundir->path);
}

int rundir_event(struct rundir *rundir, const char *event, int64_t epoch, int64_t step,
                 json_t *extra, struct error *error)
{
    char time[40];
    if (!is_event(event))
        return error_set(error, ONWARD_ERR_ARGUMENT, "event \"%s\": not one of the documented",
                         event);
    int code = open_events(rundir, error);
    if (code != ONWARD_OK)
        return code;
    time_text(time, sizeof time);
    json_t *root = json_pack("{s:s, s:I, s:I, s:I, s:s}", "time", time, "incarnation",
                             (json_int_t)rundir->incarnation, "epoch", (json_int_t)epoch, "step",
                             (json_int_t)step, "event", event);
    char *line = NULL;
    if (root && (!extra || json_object_update_missing(root, extra) == 0))
        line = frame_line(root);
    json_decref(root);
    if (!line)
        return error_set(error, ONWARD_ERR_MEMORY, "event %s: cannot be put into JSON", event);
    code = append_line(rundir, line, error);
    free(line);
    return code;
}
