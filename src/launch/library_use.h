/* library_use.h - whether a program uses libonward, told from its file. */
#ifndef LAUNCH_LIBRARY_USE_H
#define LAUNCH_LIBRARY_USE_H

#include <stdbool.h>

/* True when the file names libonward (it is linked with it, has it in it, or is a script that says
 * so), or one of the shared libraries that it is linked with is libonward. False too when the file
 * cannot be read. */
bool library_is_used(const char *path);

#endif
