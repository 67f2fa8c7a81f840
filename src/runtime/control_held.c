/* control_held.c - what the controller makes of local copies: which of those that workers report
 * the decision core may know of, who makes one at the end, and what the event log calls the source
 * of a state. */
#include <string.h>

#include "change_pass.h"

/* The newest incarnation that anyone holds, since an older copy is of a host that was cut off while
 * the task went on elsewhere; and not one that is older than the newest checkpoint, for the same
 * reason. */
int64_t control_held_incarnation(const struct onward *ow, const struct change_report *reports,
                                 int count)
{
    int64_t newest = 0;
    for (int i = 0; i < count; i++)
        if (reports[i].held.step >= 0 && reports[i].held.incarnation > newest)
            newest = reports[i].held.incarnation;
    return newest >= ow->control->checkpoint_incarnation ? newest : 0;
}

static bool is_on_host(const struct seat *seats, int count, const char *host)
{
    for (int i = 0; i < count; i++)
        if (seats[i].leaves && strcmp(seats[i].host, host) == 0)
            return true;
    return false;
}

/* Replicated state that is in the program's own memory ends with its processes. So where the core
 * ends the task before its end, one member of each host that has the newest state leaves it there,
 * unless a checkpoint is as new. All wait for them, and the launcher does. */
void control_choose_leavers(struct onward *ow, const struct change_report *reports, int count,
                            struct opening *opening, struct seat *seats)
{
    int64_t saved = controller_checkpoint_step(ow->control->core), newest = 0;
    int code = ow->control->end_code;
    for (int i = 0; i < count; i++)
        if (reports[i].clean && reports[i].may_leave && reports[i].complete_step > newest)
            newest = reports[i].complete_step;
    bool is_wanted =
        code == ONWARD_ERR_TOO_FEW || code == ONWARD_ERR_STOPPED || code == ONWARD_ERR_GAVE_UP;
    if (!is_wanted || newest == 0 || newest <= saved)
        return;
    for (int i = 0; i < count; i++)
        seats[i].leaves = reports[i].clean && reports[i].may_leave &&
                          reports[i].complete_step == newest &&
                          !is_on_host(seats, i, seats[i].host);
    opening->state_bytes = control_state_bytes(reports, count, opening);
    control_event(ow, "leave",
                  json_pack("{s:I, s:f}", "bytes", (json_int_t)opening->state_bytes, "limit_s",
                            change_limit_s(ow, opening->state_bytes)));
}

const char *control_source_name(uint8_t source)
{
    static const char *const names[] = {[SOURCE_FRESH] = "start",
                                        [SOURCE_MEMBER] = "memory",
                                        [SOURCE_HELD] = "local",
                                        [SOURCE_CHECKPOINT] = "checkpoint"};
    return source >= SOURCE_FRESH && source <= SOURCE_CHECKPOINT ? names[source] : "";
}
