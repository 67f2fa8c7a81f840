/* command.h - the command line of mpirun. */
#ifndef LAUNCH_COMMAND_H
#define LAUNCH_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct command_settings {
    const char *mpirun;
    uint32_t rank_count; /* workers, spares and the controller */
    uint32_t core_count;
    bool is_root;
    const char *const *mpirun_arguments; /* handed through; may be NULL when there are none */
    uint32_t mpirun_argument_count;
    const char *const *program; /* the program and its arguments */
    uint32_t program_count;
};

/* A NULL-terminated argv; *command is the caller's to free() in one piece; the strings are
 * borrowed from settings, but for those that *command holds itself. */
int command_build(const struct command_settings *settings, char ***command, struct error *error);

#endif
