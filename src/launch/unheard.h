/* unheard.h - the hosts of the task from which no heartbeat has come, although members of it run
 * there: beats.h knows only members that it heard. */
#ifndef LAUNCH_UNHEARD_H
#define LAUNCH_UNHEARD_H

#include "beats.h"
#include "rundir.h"

enum { UNHEARD_BYTES = 256 };

/* Puts those that are not in `told` yet, {HOST: true}, into it, and the names of the first few, as
 * "host h2", "hosts h2, h3 and 5 more", into text. Returns how many there are. */
uint32_t unheard_hosts(const struct run_members *members, const struct beats *beats, json_t *told,
                       char *text, size_t text_bytes);

#endif
