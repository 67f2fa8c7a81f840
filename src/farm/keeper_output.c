/* keeper_output.c - the files that take a command's output. Each command writes straight into a
 * file, so that gigabytes of output cost no memory and no copy. Most commands of a large farm write
 * nothing: their file is used again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper_internal.h"

/* The directory of path, made when it is missing. */
static int make_parent(const char *path)
{
    char directory[KEEPER_PATH_BYTES];
    snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (!slash)
        return 0;
    *slash = '\0';
    return mkdir(directory, 0777) == 0 || errno == EEXIST ? 0 : errno;
}

static int open_new(struct keeper_output *output, const char *path, int flags)
{
    output->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0666);
    if (output->fd < 0 && errno == ENOENT && make_parent(path) == 0)
        output->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0666);
    return output->fd >= 0 ? 0 : errno;
}

int keeper_output_open(struct keeper_output *output, const char *path, bool appends)
{
    static int number;
    if (output->fd >= 0)
        return 0;
    output->appends = appends;
    if (appends)
        return open_new(output, path, 0);
    char host[64] = "";
    gethostname(host, sizeof host - 1);
    const char *slash = strrchr(path, '/');
    int length = snprintf(output->path, sizeof output->path, "%.*s/.output-%s-%ld-%d",
                          slash ? (int)(slash - path) : 1, slash ? path : ".", host, (long)getpid(),
                          number++);
    if (length < 0 || (size_t)length >= sizeof output->path)
        return ENAMETOOLONG;
    return open_new(output, output->path, O_TRUNC);
}

bool keeper_output_keep(struct keeper_output *output, const char *path, bool replaces,
                        uint64_t *size)
{
    struct stat status;
    *size = 0;
    if (output->appends) {
        close(output->fd);
        output->fd = -1;
        return true;
    }
    if (replaces)
        unlink(path);
    if (fstat(output->fd, &status) != 0)
        return false;
    *size = (uint64_t)status.st_size;
    if (*size == 0)
        return true;
    close(output->fd);
    output->fd = -1;
    if (rename(output->path, path) == 0)
        return true;
    if (errno == ENOENT && make_parent(path) == 0 && rename(output->path, path) == 0)
        return true;
    unlink(output->path);
    return false;
}

void keeper_output_close(struct keeper_output *output)
{
    if (output->fd < 0)
        return;
    close(output->fd);
    if (!output->appends)
        unlink(output->path);
    output->fd = -1;
}
