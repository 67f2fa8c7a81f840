/* failing_read.c - reads that fail with EIO, for a program that loads this before the C library
 * (LD_PRELOAD).
 *
 * While there is a file $FAILING_READ, a pread fails that is of a file whose path contains the text
 * in it, behind its first letter: of 1 that file is removed at once, so that the next pread works;
 * of 3 only a pread of more than a page fails. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* RTLD_NEXT */
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096 };

#define SEEN __attribute__((visibility("default")))

SEEN ssize_t pread(int fd, void *buffer, size_t size, off_t offset);

/* The text of a small file, a line. */
static bool read_wish(const char *path, char *text, size_t text_bytes)
{
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t got = fd >= 0 ? read(fd, text, text_bytes - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return got > 1;
}

static bool is_to_fail(int fd, size_t size)
{
    const char *path = getenv("FAILING_READ");
    char wish[256], link[64], file[4096];
    if (!read_wish(path, wish, sizeof wish))
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, file, sizeof file - 1);
    file[length > 0 ? length : 0] = '\0';
    if (!strstr(file, wish + 1) || (wish[0] == '3' && size <= PAGE_BYTES))
        return false;
    return wish[0] != '1' || unlink(path) == 0;
}

ssize_t pread(int fd, void *buffer, size_t size, off_t offset)
{
    ssize_t (*real)(int, void *, size_t, off_t) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "pread");
    if (real && !is_to_fail(fd, size))
        return real(fd, buffer, size, offset);
    errno = EIO;
    return -1;
}
