/* processes.c - the processes below this one, read from /proc. */
#include "processes.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_PROCESSES = 65536, STAT_BYTES = 512, MAX_DEPTH = 256 };

/* State and parent are the first words behind the command's name, which stands in parentheses and
 * may hold anything. */
bool process_read(const char *name, struct process *process)
{
    char path[64], text[STAT_BYTES];
    int parent;
    snprintf(path, sizeof path, "/proc/%.20s/stat", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    const char *name_end = strrchr(text, ')');
    if (!name_end || sscanf(name_end + 1, " %c %d", &process->state, &parent) != 2)
        return false;
    process->pid = (pid_t)strtol(name, NULL, 10);
    process->parent = (pid_t)parent;
    return process->state != 'Z' && process->state != 'X';
}

static bool is_below(const struct process *list, int count, pid_t parent)
{
    if (parent == getpid())
        return true;
    for (int i = 0; i < count; i++)
        if (list[i].pid == parent)
            return true;
    return false;
}

int processes_below(struct process **list)
{
    const struct dirent *entry;
    int count = 0;
    DIR *table = opendir("/proc");
    *list = table ? malloc(MAX_PROCESSES * sizeof **list) : NULL;
    while (*list && count < MAX_PROCESSES && (entry = readdir(table)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]) &&
            process_read(entry->d_name, &(*list)[count]) &&
            is_below(*list, count, (*list)[count].parent))
            count++;
    if (table)
        closedir(table);
    return *list ? count : -1;
}

char processes_state_below(pid_t pid)
{
    char state = 0;
    for (int depth = 0; depth < MAX_DEPTH && pid > 1; depth++) {
        char name[16];
        struct process process;
        snprintf(name, sizeof name, "%ld", (long)pid);
        if (pid == getpid())
            return state;
        if (!process_read(name, &process))
            return 0;
        if (depth == 0)
            state = process.state;
        pid = process.parent;
    }
    return 0;
}
