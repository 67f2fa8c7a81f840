/* leftovers.c - reads the environment of every process in /proc. What a process does to its own
 * environment later does not show there, so the launcher, which only hands the variables down, is
 * not found; the processes of other users cannot be read, and are none of ours. */
#include "leftovers.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "processes.h"
#include "say.h"

enum { ENVIRONMENT_BYTES = 1 << 20, MAX_LEFTOVERS = 65536, MAX_ANCESTORS = 256 };

/* The value of a variable in NUL-separated NAME=VALUE pairs, or NULL. */
static const char *value_of(const char *pairs, size_t size, const char *name)
{
    size_t length = strlen(name);
    for (const char *pair = pairs; pair < pairs + size; pair += strlen(pair) + 1)
        if (!strncmp(pair, name, length) && pair[length] == '=')
            return pair + length + 1;
    return NULL;
}

static const char *kind_of(pid_t pid, bool has_rank)
{
    static const char *const daemons[] = {"prted", "prte", "prterun", "mpirun", "mpiexec", "orted"};
    char name[32];
    process_read_file(pid, "comm", name, sizeof name);
    name[strcspn(name, "\n")] = '\0';
    for (size_t i = 0; i < sizeof daemons / sizeof *daemons; i++)
        if (!strcmp(name, daemons[i]))
            return "daemon";
    return has_rank ? "member" : "other";
}

static bool is_meant(const struct leftover_choice *choice, pid_t pid, char *pairs,
                     struct leftover *found)
{
    size_t size = process_read_file(pid, "environ", pairs, ENVIRONMENT_BYTES);
    const char *task = value_of(pairs, size, "ONWARD_TASK");
    const char *base = value_of(pairs, size, "ONWARD_DIR");
    const char *incarnation = value_of(pairs, size, "ONWARD_INCARNATION");
    if (!task || !base || !incarnation || strcmp(task, choice->task) != 0 ||
        strcmp(base, choice->base) != 0)
        return false;
    found->pid = pid;
    found->incarnation = strtoll(incarnation, NULL, 10);
    if ((choice->pid && choice->pid != found->pid) ||
        (choice->before && found->incarnation >= choice->before))
        return false;
    found->kind = kind_of(pid, value_of(pairs, size, "PMIX_RANK") != NULL);
    return true;
}

/* The calling process and those above it. */
static int find_ancestors(pid_t *ancestors)
{
    int count = 0;
    struct process process;
    for (pid_t pid = getpid(); pid > 0 && count < MAX_ANCESTORS; pid = process.parent) {
        ancestors[count++] = pid;
        if (!process_read(pid, &process))
            break;
    }
    return count;
}

static bool is_among(pid_t pid, const pid_t *pids, int count)
{
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
    while (works && count < MAX_LEFTOVERS && (entry = readdir(table)) != NULL) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10); /* 0: what is no process */
        if (pid > 0 && !is_among(pid, ancestors, above) &&
            is_meant(choice, pid, pairs, &(*list)[count]))
            count++;
    }
    if (table)
        closedir(table);
    free(pairs);
    return works ? count : -1;
}

/* A program may have taken the variables from what it started, and a keeper of commands that is
 * killed first would leave those behind, so that nobody would find them any more. */
static void kill_below(const struct leftover *list, int count, int signal)
{
    pid_t ancestors[MAX_ANCESTORS];
    int above = find_ancestors(ancestors);
    struct process *below = NULL;
    pid_t *roots = count > 0 ? malloc((size_t)count * sizeof *roots) : NULL;
    if (!roots)
        return;
    for (int i = 0; i < count; i++)
        roots[i] = list[i].pid;
    int below_count = processes_below_any(roots, count, &below);
    for (int i = 0; i < below_count; i++)
        if (!is_among(below[i].pid, ancestors, above))
            kill(below[i].pid, signal);
    free(below);
    free(roots);
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
        if (ends && !choice->pid)
            kill_below(list, count, signal);
        for (int i = 0; i < count; i++)
            kill(list[i].pid, signal);
        free(list);
        *signalled = count > *signalled ? count : *signalled;
        if (count <= 0 || !ends || clock_now_s() > deadline_s)
            return count;
        sleep_s(0.01);
    }
}
