/* failing_read.c - reads that fail with EIO, for a program that links this or loads it before the C
 * library (LD_PRELOAD).
 *
 * While there is a file $FAILING_READ, calls fail that are of a file or directory whose path
 * contains the text in it, behind its first letter, which says what fails:
 * 1: pread, and the file $FAILING_READ is removed at once, so that the next one works;
 * 2: pread; 3: pread of more than a page; 4: opendir; 5: readdir; 6: fstat; 7: open (EMFILE), and
 * 8: pread, of what is not closed by an exec, as HDF5 opens its files and onward none; 9: fsync;
 * d: fsync, and fstatfs says that it is on a disk, wherever it is; k: pread, of which each
 * rank but 0 dies. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* RTLD_NEXT */
#endif
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "failing_read.h"

enum { PAGE_BYTES = 4096 };

#define SEEN __attribute__((visibility("default")))

SEEN int open(const char *path, int flags, ...);
SEEN int fsync(int fd);
SEEN ssize_t pread(int fd, void *buffer, size_t size, off_t offset);
SEEN DIR *opendir(const char *path);
SEEN struct dirent *readdir(DIR *directory);
SEEN int fstat(int fd, struct stat *status);
SEEN int fstatfs(int fd, struct statfs *status);

int failing_read_count;

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

/* letters: those by which the call would fail. The letter that is meant; 0: none. */
static char wished(const char *letters, const char *file)
{
    char wish[256];
    if (!read_wish(getenv("FAILING_READ"), wish, sizeof wish) || !strchr(letters, wish[0]) ||
        !strstr(file, wish + 1))
        return 0;
    return wish[0];
}

static bool is_to_fail(const char *letters, const char *file)
{
    char letter = wished(letters, file);
    bool fails = letter && (letter != '1' || unlink(getenv("FAILING_READ")) == 0);
    failing_read_count += fails;
    return fails;
}

static void name_open(int fd, char *file, size_t file_bytes)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, file, file_bytes - 1);
    file[length > 0 ? length : 0] = '\0';
}

static bool is_open_to_fail(const char *letters, int fd)
{
    char file[4096];
    name_open(fd, file, sizeof file);
    return is_to_fail(letters, file);
}

int open(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...) = NULL;
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    *(void **)&real = dlsym(RTLD_NEXT, "open");
    if (real && (flags & O_CLOEXEC || !is_to_fail("7", path)))
        return real(path, flags, mode);
    errno = EMFILE;
    return -1;
}

int fsync(int fd)
{
    int (*real)(int) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    if (real && !is_open_to_fail("9d", fd))
        return real(fd);
    errno = EIO;
    return -1;
}

ssize_t pread(int fd, void *buffer, size_t size, off_t offset)
{
    ssize_t (*real)(int, void *, size_t, off_t) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "pread");
    bool is_closed_by_exec = fcntl(fd, F_GETFD) & FD_CLOEXEC;
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    if (rank && strcmp(rank, "0") != 0 && is_open_to_fail("k", fd))
        raise(SIGKILL);
    if (real && !is_open_to_fail(size > PAGE_BYTES ? "123" : "12", fd) &&
        (is_closed_by_exec || !is_open_to_fail("8", fd)))
        return real(fd, buffer, size, offset);
    errno = EIO;
    return -1;
}

DIR *opendir(const char *path)
{
    DIR *(*real)(const char *) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "opendir");
    if (real && !is_to_fail("4", path))
        return real(path);
    errno = EIO;
    return NULL;
}

struct dirent *readdir(DIR *directory)
{
    struct dirent *(*real)(DIR *) = NULL;
    int before = errno; /* the end of a directory is told by an errno that is as it was */
    *(void **)&real = dlsym(RTLD_NEXT, "readdir");
    bool fails = !real || is_open_to_fail("5", dirfd(directory));
    errno = fails ? EIO : before;
    return fails ? NULL : real(directory);
}

int fstat(int fd, struct stat *status)
{
    int (*real)(int, struct stat *) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "fstat");
    if (real && !is_open_to_fail("6", fd))
        return real(fd, status);
    errno = EIO;
    return -1;
}

int fstatfs(int fd, struct statfs *status)
{
    int (*real)(int, struct statfs *) = NULL;
    char file[4096];
    *(void **)&real = dlsym(RTLD_NEXT, "fstatfs");
    int failed = real ? real(fd, status) : -1;
    name_open(fd, file, sizeof file);
    if (failed == 0 && wished("d", file))
        status->f_type = EXT4_SUPER_MAGIC;
    return failed;
}
