/* find.h - where programs are: those of the project beside this one, those of the user in PATH. */
#ifndef LAUNCH_FIND_H
#define LAUNCH_FIND_H

#include <stddef.h>

#include "error.h"

/* A program of the project: $`variable` if set, else beside this executable (a build tree), else
 * where such programs are installed, else in PATH. ONWARD_ERR_NOT_FOUND names it. */
int find_own(const char *name, const char *variable, char *path, size_t path_bytes,
             struct error *error);

/* A program as execvp would find it. ONWARD_ERR_INPUT says what was expected. */
int find_program(const char *name, char *path, size_t path_bytes, struct error *error);

/* The program of a command that reaches hosts, such as `ssh -q'. */
int find_agent(const char *agent, struct error *error);

/* mpirun: `given` if not NULL, else $ONWARD_MPIRUN, else the one of the build, else in PATH. */
int find_mpirun(const char *given, char *path, size_t path_bytes, struct error *error);

#endif
