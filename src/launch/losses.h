/* losses.h - losses of members, one after the other at the same step, as the event log tells of
 * them: at which step, in which subtask, and on which host. */
#ifndef LAUNCH_LOSSES_H
#define LAUNCH_LOSSES_H

#include "rundir.h"

enum { LOSS_SUBTASKS = 8 };

struct loss_streak {
    int count;
    int64_t step, rank; /* of the last; rank -1: no worker */
    int64_t subtask;    /* that the last worker was in of whom it is known; -1: of none */
    /* How many were in each; those that are too many are not counted. */
    struct loss_subtask {
        int64_t subtask;
        int count;
    } subtasks[LOSS_SUBTASKS];
    uint32_t subtask_count;
    char poison[384]; /* the one that ended too many, in words; "": none did */
    uint32_t workers; /* in the lineup then */
    char host[RUNDIR_HOST_BYTES];
};

/* Takes a line of the event log, of whatever kind. */
void losses_note(struct loss_streak *losses, const json_t *event);

/* "3 losses there, the last of worker 1 (subtasks 4 to 7), host n1", or "" when there was none at
 * the step at which the task stands. */
void losses_describe(const struct loss_streak *losses, const struct rundir *rundir, int64_t step,
                     char *text, size_t text_bytes);

#endif
