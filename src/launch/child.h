/* child.h - mpirun as a child: started in a process group of its own, and ended for certain.
 *
 * The launcher adopts orphans (it is a subreaper), so every process of the job stays below it in
 * the process tree even when mpirun is gone or a process made itself a session of its own. */
#ifndef LAUNCH_CHILD_H
#define LAUNCH_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "error.h"

struct child {
    pid_t pid; /* 0: none */
    bool ended;
    int status;               /* of waitpid, once it ended */
    int output, error_output; /* the reading ends of its pipes, non-blocking; -1: closed */
};

/* Adopts orphans from now on. At the first call, what is below this process already is remembered:
 * it is never killed. */
int child_adopt_orphans(struct error *error);

/* Starts command with standard input from /dev/null. It gets SIGTERM when the launcher dies. What
 * keeps it from being executed (not found ...) is returned here. */
int child_start(struct child *child, char *const *command, struct error *error);
/* It was a process, memory or descriptors that lacked, which may be there a moment later. */
bool child_may_start_later(const struct error *error);

/* Collects whatever ended, the adopted ones too. */
void child_reap(struct child *child);

/* Kills every process below the launcher, but for those that were there before it started any, and
 * waits until none is left, at most limit_s. False when some would not go. */
bool child_kill_all(struct child *child, double limit_s);

/* "exit status 1", "signal 9 (Killed)" ... */
void child_describe(const struct child *child, char *text, size_t text_bytes);

void child_close(struct child *child);

#endif
