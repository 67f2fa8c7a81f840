/* stopped.h - a process of the task that was stopped (SIGSTOP) and stays so holds up all others,
 * who wait for it. It is killed after a while: to lose a process is something they survive. */
#ifndef LAUNCH_STOPPED_H
#define LAUNCH_STOPPED_H

#include <stdint.h>
#include <sys/types.h>

enum { STOPPED_MAX = 64 };

struct stopped {
    double next_s;
    uint32_t count;
    struct {
        pid_t pid;
        double since_s;
    } seen[STOPPED_MAX];
};

/* Looks now and then at the processes below this one, and kills those that have been stopped for
 * longer than limit_s. Returns how many it killed, with the process ID of one of them in *killed.
 */
uint32_t stopped_look(struct stopped *stopped, double limit_s, pid_t *killed);

/* This process was held up itself for so long: that does not count. */
void stopped_excuse(struct stopped *stopped, double seconds);

#endif
