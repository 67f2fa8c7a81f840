/* watch.c - reads status.json, complete.json and what is new in events.jsonl. A file that is not
 * there yet, or that is damaged, is looked at again the next time: only what can be read counts. */
#include "watch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"
#include "say.h"

enum { EVENTS_AT_ONCE_BYTES = 65536, PATH_BYTES = 4096 };

static void open_events(struct watch *watch)
{
    char path[PATH_BYTES];
    if (watch->events_fd < 0 &&
        file_join(path, sizeof path, rundir_path(watch->rundir), "events.jsonl", NULL) == ONWARD_OK)
        watch->events_fd = open(path, O_RDONLY | O_CLOEXEC);
}

void watch_start(struct watch *watch, struct rundir *rundir, int64_t incarnation)
{
    *watch = (struct watch){
        .rundir = rundir, .incarnation = incarnation, .events_fd = -1, .changed_s = clock_now_s()};
    watch->status.exit_code = -1;
    watch->status.checkpoint_step = -1;
    open_events(watch);
    if (watch->events_fd >= 0)
        watch->events_offset = lseek(watch->events_fd, 0, SEEK_END);
}

static void look_at_status(struct watch *watch)
{
    struct run_status status;
    if (rundir_read_status(watch->rundir, &status, NULL) != ONWARD_OK ||
        status.incarnation != watch->incarnation)
        return;
    if (!watch->seen || strcmp(status.time, watch->status.time) != 0)
        watch->changed_s = clock_now_s();
    if (watch->seen && status.step > watch->status.step)
        watch->stepped_at_s = clock_since_1970_s();
    watch->status = status;
    watch->seen = true;
}

static void look_at_completion(struct watch *watch)
{
    struct run_completion completion;
    bool complete = false;
    if (rundir_read_completion(watch->rundir, &completion, &complete, NULL) != ONWARD_OK ||
        !complete || completion.incarnation != watch->incarnation)
        return;
    watch->complete = true;
    watch->completion = completion;
}

/* Whole lines only; a line longer than the buffer is passed over. */
static void look_at_events(struct watch *watch, void (*event)(void *context, const json_t *event),
                           void *context)
{
    static char bytes[EVENTS_AT_ONCE_BYTES];
    open_events(watch);
    if (watch->events_fd < 0)
        return;
    ssize_t got = pread(watch->events_fd, bytes, sizeof bytes, watch->events_offset);
    size_t size = got > 0 ? (size_t)got : 0, used = 0;
    const char *end;
    while ((end = memchr(bytes + used, '\n', size - used)) != NULL) {
        size_t length = (size_t)(end - (bytes + used));
        json_t *root = json_loadb(bytes + used, length, 0, NULL);
        if (json_is_object(root))
            event(context, root);
        json_decref(root);
        used += length + 1;
    }
    watch->events_offset += (int64_t)(used == 0 && size == sizeof bytes ? size : used);
}

void watch_look(struct watch *watch, void (*event)(void *context, const json_t *event),
                void *context)
{
    look_at_completion(watch); /* first: then the status is at least as new */
    look_at_status(watch);
    look_at_events(watch, event, context);
}

void watch_end(struct watch *watch)
{
    if (watch->events_fd >= 0)
        close(watch->events_fd);
    watch->events_fd = -1;
}
