/* fault.c - rehearsed faults (--inject): this process kills or stops itself where it was asked to.
 *
 * A fault happens once. Who lost its role by it cannot say so, hence the controller marks the
 * fault that explains a loss, and every opening carries the marks. */
#include <signal.h>
#include <unistd.h>

#include "handle.h"

static bool is_due(const struct onward *ow, uint32_t i)
{
    return !(ow->fired_faults >> i & 1);
}

static void happen(struct onward *ow, uint32_t i)
{
    ow->fired_faults |= 1ull << i;
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

void fault_explain_loss(struct onward *ow, const struct core_member *lost, int64_t best_step)
{
    bool was_controller = ow->seat_count > 0 && ow->seats[0].member == lost->id;
    for (uint32_t i = 0; i < ow->fault_count; i++) {
        const struct inject_fault *fault = &ow->faults[i];
        bool same = (fault->target == INJECT_CONTROLLER && was_controller) ||
                    (fault->target == INJECT_WORKER && fault->index == lost->rank);
        bool reached = fault->trigger == INJECT_AT_PHASE || best_step + 1 >= fault->step;
        if (is_due(ow, i) && same && reached) {
            ow->fired_faults |= 1ull << i;
            return;
        }
    }
}
