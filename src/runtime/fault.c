/* fault.c - rehearsed faults (--inject): this process kills or stops itself where it was asked to,
 * and where it is to be a host, all members of that host with it.
 *
 * A fault happens once: the launcher tells each incarnation which have happened. Who it hits cannot
 * tell the others any more, and another member may take its place at the same step: hence a file in
 * the run directory, which only one can make, says that it happened. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "file.h"
#include "handle.h"
#include "process.h"

void fault_begin(struct onward *ow)
{
    const char *fired = getenv("ONWARD_INJECTED");
    ow->fired_faults = fired ? strtoull(fired, NULL, 16) : 0;
}

static bool is_due(const struct onward *ow, uint32_t i)
{
    return !(ow->fired_faults >> i & 1);
}

/* Whether this process is the one that the fault hits. Where the file cannot be made for another
 * reason than that it is there, the fault happens: it was asked for. */
static bool claim(const struct onward *ow, uint32_t i)
{
    char name[64], path[PATH_MAX];
    snprintf(name, sizeof name, "logs/fault.%lld.%u", (long long)ow->incarnation, i);
    if (file_join(path, sizeof path, ow->run, name, NULL) != ONWARD_OK)
        return true;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return errno != EEXIST;
    dprintf(fd, "%ld on %s\n", (long)getpid(), ow->host);
    close(fd);
    return true;
}

/* Members of one host have one parent, mpirun or its daemon there: a number that passed to another
 * process since the opening has another. */
static bool is_sibling(long pid)
{
    struct process process;
    return process_read((pid_t)pid, &process) && process.parent == getppid();
}

static void signal_other_members(const struct onward *ow, int signal)
{
    for (uint32_t i = 0; i < ow->seat_count; i++) {
        long pid = (long)ow->seats[i].pid;
        if (pid != (long)getpid() && !strcmp(ow->seats[i].host, ow->host) && is_sibling(pid))
            kill((pid_t)pid, signal);
    }
}

/* mpirun itself, which stands above the members of its own host, has another name. */
static void kill_daemon(void)
{
    char name[64];
    pid_t parent = getppid();
    process_read_file(parent, "comm", name, sizeof name);
    if (parent > 1 && strcmp(name, "prted\n") == 0)
        kill(parent, SIGKILL);
}

static void happen(struct onward *ow, uint32_t i)
{
    const struct inject_fault *fault = &ow->faults[i];
    int signal = fault->kind == INJECT_STOP ? SIGSTOP : SIGKILL;
    ow->fired_faults |= 1ull << i;
    if (!claim(ow, i))
        return;
    if (fault->target == INJECT_HOST) {
        signal_other_members(ow, signal);
        if (signal == SIGKILL)
            kill_daemon();
    }
    kill(getpid(), signal);
}

static bool hits_me(const struct onward *ow, const struct inject_fault *fault)
{
    switch (fault->target) {
    case INJECT_WORKER:
        return ow->in_lineup && fault->index == ow->role.rank;
    case INJECT_CONTROLLER:
        return ow->control != NULL;
    case INJECT_SPARE:
        return !ow->in_lineup && !ow->control && !ow->spawned;
    case INJECT_NEWCOMER:
        return ow->spawned;
    default:
        return control_is_host(ow->host, fault->host);
    }
}

void fault_at_step(struct onward *ow)
{
    for (uint32_t i = 0; i < ow->fault_count; i++) {
        const struct inject_fault *fault = &ow->faults[i];
        if (is_due(ow, i) && fault->trigger == INJECT_AT_STEP &&
            fault->target != INJECT_CONTROLLER && fault->step == ow->role.step &&
            ow->started_step < ow->role.step && hits_me(ow, fault))
            happen(ow, i);
    }
}

void fault_at_progress(struct onward *ow)
{
    for (uint32_t i = 0; i < ow->fault_count; i++) {
        const struct inject_fault *fault = &ow->faults[i];
        if (is_due(ow, i) && fault->trigger == INJECT_AT_STEP &&
            fault->target != INJECT_CONTROLLER && fault->step <= ow->complete_step &&
            hits_me(ow, fault))
            happen(ow, i);
    }
}

void fault_at_phase(struct onward *ow, int phase)
{
    for (uint32_t i = 0; i < ow->fault_count; i++) {
        const struct inject_fault *fault = &ow->faults[i];
        if (is_due(ow, i) && fault->trigger == INJECT_AT_PHASE && (int)fault->phase == phase &&
            (ow->opened || fault->target == INJECT_NEWCOMER) && hits_me(ow, fault))
            happen(ow, i);
    }
}

void fault_of_controller(struct onward *ow, int64_t best_step)
{
    for (uint32_t i = 0; i < ow->fault_count; i++) {
        const struct inject_fault *fault = &ow->faults[i];
        if (is_due(ow, i) && fault->trigger == INJECT_AT_STEP && fault->target != INJECT_WORKER &&
            best_step >= fault->step && hits_me(ow, fault))
            happen(ow, i);
    }
}
