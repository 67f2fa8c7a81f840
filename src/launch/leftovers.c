/* leftovers.c - reads the environment of every process in /proc. What a process does to its own
 * environment later does not show there, so the launcher, which only hands the variables down, is
 * not found; the processes of other users cannot be read, and are none of ours. */
#include "leftovers.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "processes.h"
#include "say.h"

enum { ENVIRONMENT_BYTES = 1 << 20, MAX_LEFTOVERS = 65536, MAX_ANCESTORS = 256 };

/* A whole file of /proc with a NUL behind; 0: it cannot be read. */
static size_t read_entry(const char *process, const char *name, char *bytes, size_t room)
{
    char path[64];
    size_t size = 0;
    ssize_t got;
    snprintf(path, sizeof path, "/proc/%.20s/%s", process, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    while (size < room - 1 && (got = read(fd, bytes + size, room - 1 - size)) > 0)
        size += (size_t)got;
    close(fd);
    bytes[size] = '\0';
    return size;
}

/* The value of a variable in NUL-separated NAME=VALUE pairs, or NULL. */
static const char *value_of(const char *pairs, size_t size, const char *name)
{
    size_t length = strlen(name);
    for (const char *pair = pairs; pair < pairs + size; pair += strlen(pair) + 1)
        if (!strncmp(pair, name, length) && pair[length] == '=')
            return pair + length + 1;
    return NULL;
}

static const char *kind_of(const char *process, bool has_rank)
{
    static const char *const daemons[] = {"prted", "prte", "prterun", "mpirun", "mpiexec", "orted"};
    char name[32];
    read_entry(process, "comm", name, sizeof name);
    name[strcspn(name, "\n")] = '\0';
    for (size_t i = 0; i < sizeof daemons / sizeof *daemons; i++)
        if (!strcmp(name, daemons[i]))
            return "daemon";
    return has_rank ? "member" : "other";
}

static bool is_meant(const struct leftover_choice *choice, const char *process, char *pairs,
                     struct leftover *found)
{
    size_t size = read_entry(process, "environ", pairs, ENVIRONMENT_BYTES);
    const char *task = value_of(pairs, size, "ONWARD_TASK");
    const char *base = value_of(pairs, size, "ONWARD_DIR");
    const char *incarnation = value_of(pairs, size, "ONWARD_INCARNATION");
    if (!task || !base || !incarnation || strcmp(task, choice->task) != 0 ||
        strcmp(base, choice->base) != 0)
        return false;
    found->pid = (pid_t)strtol(process, NULL, 10);
    found->incarnation = strtoll(incarnation, NULL, 10);
    if ((choice->pid && choice->pid != found->pid) ||
        (choice->before && found->incarnation >= choice->before))
        return false;
    found->kind = kind_of(process, value_of(pairs, size, "PMIX_RANK") != NULL);
    return true;
}

/* The calling process and those above it. */
static int find_ancestors(pid_t *ancestors)
{
    int count = 0;
    struct process process;
    char name[24];
    for (pid_t pid = getpid(); pid > 0 && count < MAX_ANCESTORS; pid = process.parent) {
        ancestors[count++] = pid;
        snprintf(name, sizeof name, "%ld", (long)pid);
        if (!process_read(name, &process))
            break;
    }
    return count;
}

static bool is_among(const char *process, const pid_t *pids, int count)
{
    long pid = strtol(process, NULL, 10);
    for (int i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

int leftovers_find(const struct leftover_choice *choice, struct leftover **list)
{
    pid_t ancestors[MAX_ANCESTORS];
    const struct dirent *entry;
    int count = 0, above = find_ancestors(ancestors);
    DIR *table = opendir("/proc");
    char *pairs = malloc(ENVIRONMENT_BYTES);
    *list = malloc(MAX_LEFTOVERS * sizeof **list);
    bool works = table && pairs && *list;
    while (works && count < MAX_LEFTOVERS && (entry = readdir(table)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]) &&
            !is_among(entry->d_name, ancestors, above) &&
            is_meant(choice, entry->d_name, pairs, &(*list)[count]))
            count++;
    if (table)
        closedir(table);
    free(pairs);
    return works ? count : -1;
}

int leftovers_signal(const struct leftover_choice *choice, int signal, double limit_s,
                     int *signalled)
{
    double deadline_s = clock_now_s() + limit_s;
    bool ends = signal == SIGKILL || signal == SIGTERM;
    *signalled = 0;
    for (;;) {
        struct leftover *list;
        int count = leftovers_find(choice, &list);
        for (int i = 0; i < count; i++)
            kill(list[i].pid, signal);
        free(list);
        *signalled = count > *signalled ? count : *signalled;
        if (count <= 0 || !ends || clock_now_s() > deadline_s)
            return count;
        sleep_s(0.01);
    }
}
