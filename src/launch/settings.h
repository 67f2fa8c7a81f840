/* settings.h - what the launcher hands down to the library, in the environment. */
#ifndef LAUNCH_SETTINGS_H
#define LAUNCH_SETTINGS_H

#include "launch_options.h"
#include "rundir.h"

/* Sets every variable that the library reads as it opens the task; base: the directory of the run
 * directory. */
void settings_export(const struct launch_options *options, const char *base,
                     const struct task_record *record);

#endif
