/* control_held.c - what the controller makes of local copies: which of those that workers report
 * the decision core may know of, and what the event log calls the source of a state. */
#include "control.h"

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

const char *control_source_name(uint8_t source)
{
    static const char *const names[] = {[SOURCE_FRESH] = "start",
                                        [SOURCE_MEMBER] = "memory",
                                        [SOURCE_HELD] = "local",
                                        [SOURCE_CHECKPOINT] = "checkpoint"};
    return source >= SOURCE_FRESH && source <= SOURCE_CHECKPOINT ? names[source] : "";
}
