/* room.h - a run directory that cannot be written for a while: its file system is full, or was made
 * read-only.
 *
 * The training goes on without it: that the controller lives is heard in its beats. What cannot go
 * on is a new start, whose incarnation has to be in the run directory before anything of it runs.
 */
#ifndef LAUNCH_ROOM_H
#define LAUNCH_ROOM_H

#include <stdbool.h>

#include "error.h"

struct supervisor;

struct room {
    int problem;    /* errno of the newest failure; 0: it can be written */
    double since_s; /* the first of these failures */
    double bad_s;   /* the newest */
    bool is_told;
};

/* Says once that the run directory cannot be written, and once that it can be again. */
void room_look(struct supervisor *s);

/* Calls attempt until it succeeds, fails for another reason, or the time for it is over; returns
 * what it returned last. */
int room_wait(struct supervisor *s, int (*attempt)(struct supervisor *s, struct error *error),
              struct error *error);

/* For so long a new start waits for room. */
double room_limit_s(const struct supervisor *s);

#endif
