/* session.h - a directory of its own for each mpirun's session files.
 *
 * PRRTE names them by its process number below /tmp and leaves them there when it is killed; a
 * later mpirun that gets the same number refuses to start. */
#ifndef LAUNCH_SESSION_H
#define LAUNCH_SESSION_H

#include "error.h"

enum { SESSION_PATH_BYTES = 256 };

/* Removes the directory in path (if it is not "") and makes a new one below $TMPDIR or /tmp, whose
 * path goes there. Those of this user's launchers that were killed go as well. */
int session_renew(char path[SESSION_PATH_BYTES], struct error *error);

/* Removes it with all that is in it; "" is allowed, and what path is then. */
void session_remove(char path[SESSION_PATH_BYTES]);

#endif
