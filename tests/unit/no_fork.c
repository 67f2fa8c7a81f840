/* no_fork.c - a fork() that fails with EAGAIN, as where the user has no process left, for a program
 * that loads this before the C library (LD_PRELOAD).
 *
 * Only in onward itself, not in what it starts: the file $NO_FORK says which calls fail, a letter
 * for each in turn: "." works, "x" fails; those behind its end work. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* RTLD_NEXT, program_invocation_short_name */
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEEN __attribute__((visibility("default")))

SEEN pid_t fork(void);

static bool is_to_fail(void)
{
    static off_t calls;
    const char *path = getenv("NO_FORK");
    char letter = '.';
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || strcmp(program_invocation_short_name, "onward") != 0)
        return false;
    if (pread(fd, &letter, 1, calls++) != 1)
        letter = '.';
    close(fd);
    return letter == 'x';
}

pid_t fork(void)
{
    pid_t (*real)(void) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "fork");
    if (real && !is_to_fail())
        return real();
    errno = EAGAIN;
    return -1;
}
