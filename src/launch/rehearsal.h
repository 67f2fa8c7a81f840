/* rehearsal.h - which of the faults of --inject have happened: members note each of them in the run
 * directory, by its number in the list (the runtime's fault.c). */
#ifndef LAUNCH_REHEARSAL_H
#define LAUNCH_REHEARSAL_H

#include <stdbool.h>

#include "rundir.h"

/* Of those that were asked for since the incarnation first, did this one happen, until last? */
bool rehearsal_has_happened(const struct rundir *rundir, int64_t first, int64_t last,
                            uint32_t fault);

/* Before the members of another incarnation are started: tells them by ONWARD_INJECTED, in the
 * environment, what happened until last. Where all did, or it is not known which, since the run
 * directory could not be written of late, there is nothing to rehearse any more. */
void rehearsal_hand_on(const struct rundir *rundir, int64_t first, int64_t last, bool is_known);

#endif
