/* held_sync.c - part of trial: a file server that hangs.
 *
 * Where $TRIAL_HELD is a pattern of paths, an fsync of a file whose path fits it does not return
 * while the file $ONWARD_DIR/held is there; $ONWARD_DIR/holding says that one waits. With
 * $TRIAL_HELD_WITHOUT, the path of a file, that counts only once that one is not there. It stands
 * in for the C library's, for all that is linked into this program. */
#include <fnmatch.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOOK_US = 5000 };

static bool is_held(int fd)
{
    char link[64], path[PATH_MAX];
    const char *pattern = getenv("TRIAL_HELD"), *without = getenv("TRIAL_HELD_WITHOUT");
    if (!pattern || (without && access(without, F_OK) == 0))
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return false;
    path[length] = '\0';
    return fnmatch(pattern, path, 0) == 0;
}

static void wait_while_held(const char *directory)
{
    char held[PATH_MAX], holding[PATH_MAX];
    snprintf(held, sizeof held, "%s/held", directory);
    snprintf(holding, sizeof holding, "%s/holding", directory);
    while (access(held, F_OK) == 0) {
        FILE *file = fopen(holding, "w");
        if (file)
            fclose(file);
        usleep(LOOK_US);
    }
}

int fsync(int fd)
{
    const char *directory = getenv("ONWARD_DIR");
    if (directory && is_held(fd))
        wait_while_held(directory);
    return (int)syscall(SYS_fsync, fd);
}
