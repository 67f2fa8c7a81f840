/* session.c - makes and removes the directory. */
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

void session_remove(char path[SESSION_PATH_BYTES])
{
    if (path[0] != '\0')
        file_remove_tree(path); /* what cannot be removed stays; nobody else uses its name */
    path[0] = '\0';
}

int session_renew(char path[SESSION_PATH_BYTES], struct error *error)
{
    const char *base = getenv("TMPDIR");
    session_remove(path);
    if (!base || !*base)
        base = "/tmp";
    int length = snprintf(path, SESSION_PATH_BYTES, "%s/onward-mpirun.XXXXXX", base);
    if (length < SESSION_PATH_BYTES && mkdtemp(path))
        return ONWARD_OK;
    int problem = length < SESSION_PATH_BYTES ? errno : ENAMETOOLONG;
    path[0] = '\0';
    return error_set_errno(error, ONWARD_ERR_IO, problem, "no directory for mpirun below %s", base);
}
