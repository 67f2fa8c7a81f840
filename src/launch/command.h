/* command.h - the command line of mpirun. */
#ifndef LAUNCH_COMMAND_H
#define LAUNCH_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "hosts.h"

enum { COMMAND_PREFIX_BYTES = 64 };

/* What it takes to run over hosts. */
struct command_hosts {
    const struct hosts *hosts; /* with slots; the controller takes none */
    const char *agent;
    const char *subnets; /* ADDRESS/BITS,... that join the hosts; "": Open MPI chooses */
    const char *task;    /* with base and incarnation: marks the daemons (leftovers.h) */
    const char *base;
    int64_t incarnation;
    double detect_s;       /* a host that is silent for so long is lost */
    const char *keepalive; /* command_keepalive_prefix() */
};

struct command_settings {
    const char *mpirun;
    uint32_t rank_count; /* workers, spares and the controller */
    uint32_t core_count; /* a program without libonward yields where there are more ranks */
    bool is_root;
    bool is_plain;      /* the program does not use libonward: no controller, no fault tolerance */
    bool in_allocation; /* of a batch system, which says nothing about where to run */
    const char *const *mpirun_arguments; /* handed through; may be NULL when there are none */
    uint32_t mpirun_argument_count;
    const char *const *program; /* the program and its arguments */
    uint32_t program_count;
    const char *session; /* directory for mpirun's session files; NULL: its own choice */
    const struct command_hosts *over; /* NULL: this machine alone */
};

/* A NULL-terminated argv; *command is the caller's to free() in one piece; the strings are
 * borrowed from settings, but for those that *command holds itself, the subnets among them. Over
 * hosts the variables ONWARD_... of the environment are handed on by name. */
int command_build(const struct command_settings *settings, char ***command, struct error *error);

/* How this mpirun names what bounds the silence of a host: "oob_tcp" (PRRTE 3), "prte" (4 and
 * later), or "" where it cannot be found out. Asks the prte_info beside mpirun, or in PATH. */
void command_keepalive_prefix(const char *mpirun, char *prefix, size_t prefix_bytes);

#endif
