/* agent.h - runs one command on many hosts at once, through the command that reaches a host. */
#ifndef LAUNCH_AGENT_H
#define LAUNCH_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

enum { AGENT_OUTPUT_BYTES = 4096 };

/* One host to run it on, and how that went. */
struct agent_call {
    const char *host; /* borrowed */
    bool is_local;    /* this host: without the agent */
    bool is_expected; /* to answer: it has the whole time in any case */
    bool timed_out;
    int status;                      /* of waitpid; -1: it was not started, or timed out */
    char output[AGENT_OUTPUT_BYTES]; /* the last of standard output and error, with a NUL */
    /* its own affair: */
    pid_t pid;
    int fd;
    uint32_t output_bytes;
};

enum agent_patience {
    AGENT_PATIENT, /* every host has the whole time */
    AGENT_QUICK    /* once half of them answered, the next must answer within half a second, or
                      within as long as that half took, unless one is expected to answer */
};

/* Runs `command` (a NULL-terminated argv) on every host of calls as AGENT HOST 'COMMAND', where
 * agent may hold arguments. Each is begun in the first half of limit_s, however many hang. Returns
 * as soon as all ended, at the latest after limit_s; what has not ended then is killed, and where
 * more than 512 hang, the first of them before. ONWARD_ERR_MEMORY alone. */
int agent_run(const char *agent, char *const *command, struct agent_call *calls, uint32_t count,
              double limit_s, enum agent_patience patience, struct error *error);

/* The last line of the output that is not empty; "" when there is none. Into text. */
void agent_last_line(const struct agent_call *call, char *text, size_t text_bytes);

#endif
