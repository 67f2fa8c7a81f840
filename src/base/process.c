/* process.c - see process.h. */
#define _GNU_SOURCE
#include "process.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STAT_BYTES = 512 };

size_t process_read_file(pid_t pid, const char *name, char *bytes, size_t room)
{
    char path[64];
    size_t size = 0;
    ssize_t got;
    snprintf(path, sizeof path, "/proc/%ld/%.20s", (long)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && size < room - 1 && (got = read(fd, bytes + size, room - 1 - size)) > 0)
        size += (size_t)got;
    if (fd >= 0)
        close(fd);
    bytes[size] = '\0';
    return size;
}

/* State and parent are the first words behind the command's name, which stands in parentheses and
 * may hold anything. */
bool process_read(pid_t pid, struct process *process)
{
    char text[STAT_BYTES];
    int parent;
    process_read_file(pid, "stat", text, sizeof text);
    const char *name_end = strrchr(text, ')');
    if (!name_end || sscanf(name_end + 1, " %c %d", &process->state, &parent) != 2)
        return false;
    process->pid = pid;
    process->parent = (pid_t)parent;
    return process->state != 'Z' && process->state != 'X';
}
