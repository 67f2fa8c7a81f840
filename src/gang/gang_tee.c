/* gang_tee.c - follows the file that a rank writes to, so that neither waits for the other. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gang.h"

enum { LINE_BYTES = 8192, MAX_LINES = 256 };

void gang_tee_begin(struct gang_tee *tee, const char *path, uint32_t rank, int to)
{
    struct stat status;
    gang_tee_close(tee);
    tee->rank = rank;
    tee->to = to;
    tee->fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0666);
    tee->offset = tee->fd >= 0 && fstat(tee->fd, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* One line, or as much of a long one as fits. False: there is none yet. */
static bool show_line(struct gang_tee *tee, bool to_end)
{
    char line[LINE_BYTES + 32];
    int tag = snprintf(line, sizeof line, "[%u] ", tee->rank);
    ssize_t got = pread(tee->fd, line + tag, LINE_BYTES, (off_t)tee->offset);
    if (got <= 0)
        return false;
    const char *end = memchr(line + tag, '\n', (size_t)got);
    if (!end && got < LINE_BYTES && !to_end)
        return false;
    size_t length = end ? (size_t)(end - (line + tag)) : (size_t)got;
    tee->offset += length + (end ? 1 : 0);
    line[(size_t)tag + length] = '\n';
    return write(tee->to, line, (size_t)tag + length + 1) > 0;
}

void gang_tee_look(struct gang_tee *tee, bool to_end)
{
    for (int i = 0; tee->fd >= 0 && (to_end || i < MAX_LINES) && show_line(tee, to_end); i++)
        ;
}

void gang_tee_close(struct gang_tee *tee)
{
    if (tee->fd >= 0)
        close(tee->fd);
    tee->fd = -1;
}
