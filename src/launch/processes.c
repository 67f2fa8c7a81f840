/* processes.c - the processes below this one, read from /proc. */
#include "processes.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_PROCESSES = 65536, MAX_DEPTH = 256 };

static bool is_below(const struct process *list, int count, const pid_t *roots, int root_count,
                     pid_t parent)
{
    for (int i = 0; i < root_count; i++)
        if (roots[i] == parent)
            return true;
    for (int i = 0; i < count; i++)
        if (list[i].pid == parent)
            return true;
    return false;
}

int processes_below(struct process **list)
{
    pid_t own = getpid();
    return processes_below_any(&own, 1, list);
}

int processes_below_any(const pid_t *roots, int root_count, struct process **list)
{
    const struct dirent *entry;
    int count = 0;
    DIR *table = opendir("/proc");
    *list = table ? malloc(MAX_PROCESSES * sizeof **list) : NULL;
    while (*list && count < MAX_PROCESSES && (entry = readdir(table)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]) &&
            process_read((pid_t)strtol(entry->d_name, NULL, 10), &(*list)[count]) &&
            is_below(*list, count, roots, root_count, (*list)[count].parent))
            count++;
    if (table)
        closedir(table);
    return *list ? count : -1;
}

char processes_state_below(pid_t pid)
{
    char state = 0;
    for (int depth = 0; depth < MAX_DEPTH && pid > 1; depth++) {
        struct process process;
        if (pid == getpid())
            return state;
        if (!process_read(pid, &process))
            return 0;
        if (depth == 0)
            state = process.state;
        pid = process.parent;
    }
    return 0;
}
