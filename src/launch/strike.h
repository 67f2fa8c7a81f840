/* strike.h - does a fault: a signal to processes of a task, here or on another host, or the
 * operator's command for a whole host: "lab {} {}" or "lab" is run as lab kill n3. */
#ifndef LAUNCH_STRIKE_H
#define LAUNCH_STRIKE_H

#include "rundir.h"

struct strike {
    const char *task;
    const char *agent;        /* what reaches a host: AGENT HOST COMMAND */
    const json_t *names;      /* by which it does: of the members (host_names.h); borrowed */
    const char *host_command; /* the operator's, or NULL */
};

/* Sends a signal to one member's process, if that is the task's. ONWARD_ERR_NOT_FOUND: it is gone.
 */
int strike_member(const struct strike *strike, const struct run_member *member, int signal,
                  struct error *error);

/* SIGKILL to all of the task's processes of a host at once: its members, and then the daemons of
 * mpirun that are their parents there. */
int strike_host(const struct strike *strike, const struct run_members *members, const char *host,
                struct error *error);

/* Runs the operator's command: kill, boot, cut or heal, and the host by that name. */
int strike_by_command(const struct strike *strike, const char *action, const char *host,
                      struct error *error);

#endif
