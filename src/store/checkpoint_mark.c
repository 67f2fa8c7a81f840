/* checkpoint_mark.c - checkpoints that failed to be restored are not tried for ever.
 *
 *     RUN/ckpt/step-00000120.failed     {"time": ..., "head": ..., "text": why}
 *
 * head is the XXH3 of the first bytes of the master that failed, its seal: when another master is
 * committed for the same step, the mark means it no more. A mark is only ever a reason to pass a
 * checkpoint over; it is taken away by who finds the checkpoint whole after all, and with the
 * checkpoint.
 *
 * Who dies of what it reads cannot say so. So a restore is counted before it begins: with "tries"
 * the mark holds once there were MAX_TRIES of which nobody saw the end. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_internal.h"
#include "file.h"
#include "hash.h"
#include "image.h"

enum { HEAD_TEXT_BYTES = 17, MAX_MARK_BYTES = 4096, MAX_TRIES = 3 };

/* As much of a small file as there is room for. */
static int read_begin(const char *path, void *bytes, size_t room, size_t *got)
{
    uint64_t size = 0;
    int fd = -1;
    int code = file_open_plain(path, &fd, &size, NULL);
    if (code != ONWARD_OK)
        return code;
    *got = size < room ? (size_t)size : room;
    code = file_read_at(fd, bytes, *got, 0, path, NULL);
    close(fd);
    return code;
}

/* What tells this master from any other of the same step. */
static int read_head(const char *run, int64_t step, char head[HEAD_TEXT_BYTES])
{
    char path[PATH_MAX], bytes[IMAGE_SEAL_BYTES];
    size_t got = 0;
    int code = checkpoint_master_path(path, run, step, NULL);
    if (code == ONWARD_OK)
        code = read_begin(path, bytes, sizeof bytes, &got);
    if (code == ONWARD_OK)
        snprintf(head, HEAD_TEXT_BYTES, "%016" PRIx64, (uint64_t)XXH3_64bits(bytes, got));
    return code;
}

/* tries 0: it holds from now on. */
static int write_mark(const char *path, const char *head, const char *text, json_int_t tries,
                      struct error *error)
{
    char now[40];
    time_text(now, sizeof now);
    json_t *why = json_string(text);
    if (!why) /* not UTF-8 */
        why = json_string("");
    json_t *root = json_pack("{s:s, s:s, s:o}", "time", now, "head", head, "text", why);
    if (tries > 0)
        json_object_set_new(root, "tries", json_integer(tries));
    char *bytes = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!bytes)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to write it", path);
    /* No start waits for the disk to count. */
    int code = tries > 0 ? file_replace_unsynced(path, bytes, strlen(bytes), NULL, error)
                         : file_replace(path, bytes, strlen(bytes), error);
    free(bytes);
    return code;
}

int checkpoint_mark_failed(const char *run, int64_t step, const char *text, struct error *error)
{
    char path[PATH_MAX], head[HEAD_TEXT_BYTES];
    int code = checkpoint_mark_path(path, run, step, error);
    if (code != ONWARD_OK)
        return code;
    if (read_head(run, step, head) != ONWARD_OK)
        return ONWARD_OK; /* it is gone, and nobody will try it, or it cannot be read just now */
    return write_mark(path, head, text, 0, error);
}

/* *mark is NULL where there is none, or what is there is none. */
static int read_mark(const char *run, int64_t step, json_t **mark)
{
    char path[PATH_MAX], bytes[MAX_MARK_BYTES];
    json_error_t problem;
    size_t got = 0;
    *mark = NULL;
    int code = checkpoint_mark_path(path, run, step, NULL);
    if (code == ONWARD_OK)
        code = read_begin(path, bytes, sizeof bytes, &got);
    if (code != ONWARD_OK)
        return code == ONWARD_ERR_NOT_FOUND || code == ONWARD_ERR_CORRUPT ? ONWARD_OK : code;
    *mark = json_loadb(bytes, got, 0, &problem);
    return *mark || json_error_code(&problem) != json_error_out_of_memory ? ONWARD_OK
                                                                          : ONWARD_ERR_MEMORY;
}

int checkpoint_mark_tried(const char *run, int64_t step, struct error *error)
{
    char path[PATH_MAX], head[HEAD_TEXT_BYTES], text[80];
    json_t *mark = NULL;
    int code = checkpoint_mark_path(path, run, step, error);
    if (code != ONWARD_OK || read_head(run, step, head) != ONWARD_OK)
        return code;
    read_mark(run, step, &mark);
    const char *marked = json_string_value(json_object_get(mark, "head"));
    bool is_of_this = marked && strcmp(marked, head) == 0;
    json_int_t tries = is_of_this ? json_integer_value(json_object_get(mark, "tries")) + 1 : 1;
    json_decref(mark);
    snprintf(text, sizeof text, "%d times nobody came to the end of reading it", MAX_TRIES);
    return write_mark(path, head, text, tries, error);
}

/* Whether the mark means the master that is there, and why it was set; any error: that cannot be
 * told. */
static int look_at_mark(const char *run, int64_t step, bool *holds, char *text, size_t text_bytes)
{
    char head[HEAD_TEXT_BYTES] = "";
    json_t *mark = NULL;
    *holds = false;
    int code = read_mark(run, step, &mark);
    const char *marked = json_string_value(json_object_get(mark, "head"));
    const char *why = json_string_value(json_object_get(mark, "text"));
    const json_t *tries = json_object_get(mark, "tries");
    bool may_hold = marked && (!tries || json_integer_value(tries) >= MAX_TRIES);
    if (may_hold)
        code = read_head(run, step, head);
    if (code == ONWARD_ERR_NOT_FOUND)
        code = ONWARD_OK; /* there is no such checkpoint */
    *holds = may_hold && head[0] && strcmp(marked, head) == 0;
    if (*holds)
        snprintf(text, text_bytes, "failed to be restored before: %s", why ? why : "");
    json_decref(mark);
    return code;
}

bool checkpoint_is_marked(const char *run, int64_t step, char *text, size_t text_bytes)
{
    bool holds;
    return look_at_mark(run, step, &holds, text, text_bytes) == ONWARD_OK && holds;
}

bool checkpoint_mark_is_void(const char *run, int64_t step)
{
    char text[ERROR_TEXT_BYTES];
    bool holds;
    return look_at_mark(run, step, &holds, text, sizeof text) == ONWARD_OK && !holds;
}

int checkpoint_clear_mark(const char *run, int64_t step, struct error *error)
{
    char path[PATH_MAX];
    int code = checkpoint_mark_path(path, run, step, error);
    if (code == ONWARD_OK && unlink(path) != 0 && errno != ENOENT)
        code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot remove", path);
    return code;
}
