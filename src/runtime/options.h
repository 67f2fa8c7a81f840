/* options.h - from struct onward_options to what the runtime and the core need. */
#ifndef RUNTIME_OPTIONS_H
#define RUNTIME_OPTIONS_H

#include "controller.h"
#include "error.h"
#include "onward.h"

/* Checks ranges and the environment; applies ONWARD_STEPS, which is stronger than the program. */
int options_check(struct onward_options *options, struct error *error);
/* Replaces the borrowed strings by own copies (never NULL), and frees those. */
int options_own(struct onward_options *options, struct error *error);
void options_release(struct onward_options *options);
/* After how long a silence the launcher takes a member for lost; 0: there is no launcher. */
double options_detect_s(void);
/* How long a call of MPI that spawns may take. */
double options_spawn_limit_s(void);
struct controller_policy options_policy(const struct onward_options *options);

#endif
