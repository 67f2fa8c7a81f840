/* quick.h - runs a program for its answer: bounded in time and in what is kept of its output. */
#ifndef LAUNCH_QUICK_H
#define LAUNCH_QUICK_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

struct quick_result {
    bool timed_out;
    int exit_status;      /* -1: it was killed or did not end in time */
    char output[8192];    /* of standard output, with a NUL; what does not fit is dropped */
    char error_line[512]; /* the last line of standard error that is not empty */
};

/* Runs command. When it does not end in limit_s, it and all below it are killed. An error only when
 * it cannot be started. */
int quick_run(char *const *command, double limit_s, struct quick_result *result,
              struct error *error);

#endif
