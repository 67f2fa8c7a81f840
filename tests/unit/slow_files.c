/* slow_files.c - calls that take half a second, for a program that loads this before the C library
 * (LD_PRELOAD): a rename of a path that contains the text in $SLOW_RENAME, and, once the file is
 * there that $SLOW_CLOSEDIR names, each closedir. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* RTLD_NEXT */
#endif
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOW_US = 500000 };

#define SEEN __attribute__((visibility("default")))

SEEN int rename(const char *from, const char *to);
SEEN int closedir(DIR *directory);

int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *) = NULL;
    const char *slow = getenv("SLOW_RENAME");
    *(void **)&real = dlsym(RTLD_NEXT, "rename");
    if (slow && strstr(from, slow))
        usleep(SLOW_US);
    if (real)
        return real(from, to);
    errno = ENOSYS;
    return -1;
}

int closedir(DIR *directory)
{
    int (*real)(DIR *) = NULL;
    const char *file = getenv("SLOW_CLOSEDIR");
    *(void **)&real = dlsym(RTLD_NEXT, "closedir");
    if (file && access(file, F_OK) == 0)
        usleep(SLOW_US);
    if (real)
        return real(directory);
    errno = ENOSYS;
    return -1;
}
