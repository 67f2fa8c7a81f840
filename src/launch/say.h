/* say.h - one line to the person at the terminal, and small things that every verb needs. */
#ifndef LAUNCH_SAY_H
#define LAUNCH_SAY_H

#include <jansson.h>

#include "error.h"

enum { EXIT_USAGE = 2, EXIT_TOO_FEW = 69, EXIT_RESUMABLE = 75 };

/* "onward: TEXT" on standard error. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says the error's text and returns the exit status that goes with its code. */
int say_error(const struct error *error);

/* Prints root (stolen; NULL: out of memory) on standard output. Returns 0, or 1 after saying why
 * not. */
int print_json(json_t *root);

/* Flushes standard output; a full disk or closed pipe there is a failure (1). Else `code`. */
int finish_output(int code);

/* Seconds on a clock that never jumps. */
double clock_now_s(void);
void sleep_s(double seconds);

#endif
