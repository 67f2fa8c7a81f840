/* checkpoint_mark.c - checkpoints that failed to be restored are not tried for ever.
 *
 *     RUN/ckpt/step-00000120.failed     {"time": ..., "head": ..., "text": why}
 *
 * head is the XXH3 of the first bytes of the master that failed, its seal: when another master is
 * committed for the same step, the mark means it no more. A mark is only ever a reason to pass a
 * checkpoint over; it is taken away by who finds the checkpoint whole after all, and with the
 * checkpoint. */
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

enum { HEAD_TEXT_BYTES = 17, MAX_MARK_BYTES = 4096 };

/* What tells this master from any other of the same step. "" when there is none. */
static void read_head(const char *run, int64_t step, char head[HEAD_TEXT_BYTES])
{
    char path[PATH_MAX], bytes[IMAGE_SEAL_BYTES];
    uint64_t size = 0;
    int fd = -1;
    head[0] = '\0';
    if (checkpoint_master_path(path, run, step, NULL) != ONWARD_OK ||
        file_open_plain(path, &fd, &size, NULL) != ONWARD_OK)
        return;
    ssize_t got = pread(fd, bytes, sizeof bytes, 0);
    close(fd);
    if (got >= 0)
        snprintf(head, HEAD_TEXT_BYTES, "%016" PRIx64, (uint64_t)XXH3_64bits(bytes, (size_t)got));
}

int checkpoint_mark_failed(const char *run, int64_t step, const char *text, struct error *error)
{
    char path[PATH_MAX], head[HEAD_TEXT_BYTES], now[40];
    int code = checkpoint_mark_path(path, run, step, error);
    if (code != ONWARD_OK)
        return code;
    read_head(run, step, head);
    if (head[0] == '\0')
        return ONWARD_OK; /* it is gone: nobody will try it */
    time_text(now, sizeof now);
    json_t *why = json_string(text);
    if (!why) /* not UTF-8 */
        why = json_string("");
    json_t *root = json_pack("{s:s, s:s, s:o}", "time", now, "head", head, "text", why);
    char *bytes = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!bytes)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to write it", path);
    code = file_replace(path, bytes, strlen(bytes), error);
    free(bytes);
    return code;
}

/* NULL when there is none that can be read. */
static json_t *read_mark(const char *run, int64_t step)
{
    char path[PATH_MAX], bytes[MAX_MARK_BYTES];
    uint64_t size = 0;
    int fd = -1;
    if (checkpoint_mark_path(path, run, step, NULL) != ONWARD_OK ||
        file_open_plain(path, &fd, &size, NULL) != ONWARD_OK)
        return NULL;
    ssize_t got = pread(fd, bytes, sizeof bytes, 0);
    close(fd);
    return got > 0 ? json_loadb(bytes, (size_t)got, 0, NULL) : NULL;
}

bool checkpoint_is_marked(const char *run, int64_t step, char *text, size_t text_bytes)
{
    char head[HEAD_TEXT_BYTES] = "";
    json_t *mark = read_mark(run, step);
    const char *marked = json_string_value(json_object_get(mark, "head"));
    const char *why = json_string_value(json_object_get(mark, "text"));
    if (marked)
        read_head(run, step, head);
    bool holds = marked && head[0] && strcmp(marked, head) == 0;
    if (holds)
        snprintf(text, text_bytes, "failed to be restored before: %s", why ? why : "");
    json_decref(mark);
    return holds;
}

int checkpoint_clear_mark(const char *run, int64_t step, struct error *error)
{
    char path[PATH_MAX];
    int code = checkpoint_mark_path(path, run, step, error);
    if (code == ONWARD_OK && unlink(path) != 0 && errno != ENOENT)
        code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot remove", path);
    return code;
}
