/* session.c - makes and removes the directory; the tree below it is walked from the leaves up. */
#include "session.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPEN_DIRECTORIES = 16 };

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    remove(path); /* what cannot be removed stays; its name is used by nobody else */
    return 0;
}

void session_remove(char path[SESSION_PATH_BYTES])
{
    if (path[0] != '\0')
        nftw(path, remove_entry, MAX_OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
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
