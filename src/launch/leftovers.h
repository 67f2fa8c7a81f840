/* leftovers.h - the processes of a task on this host, told by the variables ONWARD_TASK, ONWARD_DIR
 * and ONWARD_INCARNATION that they were started with. */
#ifndef LAUNCH_LEFTOVERS_H
#define LAUNCH_LEFTOVERS_H

#include <stdint.h>
#include <sys/types.h>

struct leftover {
    pid_t pid;
    int64_t incarnation;
    const char *kind; /* member, daemon (of mpirun, or mpirun itself) or other */
};

/* Which processes are meant. */
struct leftover_choice {
    const char *task, *base; /* as in ONWARD_TASK and ONWARD_DIR */
    int64_t before;          /* of older incarnations alone; 0: of any */
    pid_t pid;               /* this process alone; 0: all */
};

/* All that are meant, but never the calling process or one that it descends from; *list is the
 * caller's to free(). Returns how many, or -1 when the process table cannot be read. */
int leftovers_find(const struct leftover_choice *choice, struct leftover **list);

/* Signals them; SIGKILL and SIGTERM again and again until none is left, at most limit_s, and these
 * go to all that is below them as well, unless one process alone is meant.
 * *signalled: how many there were. Returns how many are left, or -1 as above. */
int leftovers_signal(const struct leftover_choice *choice, int signal, double limit_s,
                     int *signalled);

#endif
