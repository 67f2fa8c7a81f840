/* large_buffers.c - tells of memory that is asked for, for a program that this is loaded into
 * before the C library (LD_PRELOAD).
 *
 * For each malloc and calloc of more than $LARGE_BUFFER_BYTES there is a line in the file
 * $LARGE_BUFFERS: how many elements of how many bytes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SEEN __attribute__((visibility("default")))

/* dlsym() would call what is here. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);

SEEN void *malloc(size_t bytes);
SEEN void *calloc(size_t count, size_t bytes);

static void tell(size_t count, size_t bytes)
{
    char line[64];
    const char *path = getenv("LARGE_BUFFERS"), *limit = getenv("LARGE_BUFFER_BYTES");
    size_t limit_bytes = limit ? strtoull(limit, NULL, 10) : 0;
    if (!path || limit_bytes == 0 || (count > 0 && bytes <= limit_bytes / count))
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    int length = snprintf(line, sizeof line, "%zu %zu\n", count, bytes);
    if (fd < 0 || write(fd, line, (size_t)length) != length)
        abort();
    close(fd);
}

void *malloc(size_t bytes)
{
    if (bytes > 1 << 20) /* anything smaller is quick */
        tell(1, bytes);
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    if (count > 0 && bytes > (1 << 20) / count)
        tell(count, bytes);
    return __libc_calloc(count, bytes);
}
