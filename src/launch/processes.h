/* processes.h - the processes below this one, as the process table has them. */
#ifndef LAUNCH_PROCESSES_H
#define LAUNCH_PROCESSES_H

#include "process.h"

/* All below the calling process, but for those that are dead already; *list is the caller's to
 * free(). One that stands before its parent in the table may be missed; when its parent ends it
 * becomes a child of ours (child_adopt_orphans), and is found the next time. Returns how many, or
 * -1 when the table cannot be read. */
int processes_below(struct process **list);
/* The same below any of these. */
int processes_below_any(const pid_t *roots, int root_count, struct process **list);

/* The state of a process below the calling one; 0 when there is no such process any more. */
char processes_state_below(pid_t pid);

#endif
