/* fault.c - rehearsed faults (--inject): this process kills or stops itself where it was asked to.
 *
 * A fault happens once in an incarnation. Who it hits cannot tell the others any more, and another
 * member may take its place at the same step: hence a file in the run directory, which only one can
 * make, says that it happened. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "file.h"
#include "handle.h"

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

static void happen(struct onward *ow, uint32_t i)
{
    ow->fired_faults |= 1ull << i;
    if (claim(ow, i))
        kill(getpid(), ow->faults[i].kind == INJECT_STOP ? SIGSTOP : SIGKILL);
}

static bool hits_me(const struct onward *ow, const struct inject_fault *fault)
{
    switch (fault->target) {
    case INJECT_WORKER:
        return ow->in_lineup && fault->index == ow->role.rank;
    case INJECT_CONTROLLER:
        return ow->control != NULL;
    default:
        return false; /* hosts are not this process's to take down */
    }
}

void fault_at_step(struct onward *ow)
{
    for (uint32_t i = 0; i < ow->fault_count; i++) {
        const struct inject_fault *fault = &ow->faults[i];
        if (is_due(ow, i) && fault->trigger == INJECT_AT_STEP && fault->target == INJECT_WORKER &&
            fault->step == ow->role.step && ow->started_step < ow->role.step && hits_me(ow, fault))
            happen(ow, i);
    }
}

void fault_at_phase(struct onward *ow, int phase)
{
    for (uint32_t i = 0; i < ow->fault_count; i++) {
        const struct inject_fault *fault = &ow->faults[i];
        if (is_due(ow, i) && fault->trigger == INJECT_AT_PHASE && (int)fault->phase == phase &&
            (phase != INJECT_PHASE_REFORM || ow->opened) && hits_me(ow, fault))
            happen(ow, i);
    }
}

void fault_of_controller(struct onward *ow, int64_t best_step)
{
    for (uint32_t i = 0; i < ow->fault_count; i++) {
        const struct inject_fault *fault = &ow->faults[i];
        if (is_due(ow, i) && fault->trigger == INJECT_AT_STEP &&
            fault->target == INJECT_CONTROLLER && best_step >= fault->step)
            happen(ow, i);
    }
}
