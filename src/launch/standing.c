/* standing.c - how a task stands. A status file outlives its writer, so only the lock says whether
 * anyone is there. */
#include "standing.h"

#include <limits.h>
#include <string.h>

int standing_open(const struct task_options *options, struct rundir **rundir, struct error *error)
{
    char base[PATH_MAX];
    *rundir = NULL;
    int code = rundir_base(options->directory, base, sizeof base, error);
    if (code == ONWARD_OK)
        code = rundir_open(base, options->task, NULL, rundir, error);
    if (code == ONWARD_ERR_NOT_FOUND)
        return error_set(error, code, "no task %s in %s", options->task, base);
    return code;
}

static const char *state_of(const struct standing *standing)
{
    bool ended = standing->has_status && standing->status.exit_code >= 0;
    if (standing->owned)
        return standing->has_status && !ended ? standing->status.state : "starting";
    if (standing->complete)
        return "complete";
    return ended ? standing->status.state : "interrupted";
}

int standing_read(const struct rundir *rundir, struct standing *standing, struct error *error)
{
    memset(standing, 0, sizeof *standing);
    int code = rundir_is_owned(rundir, &standing->owned, error);
    if (code == ONWARD_OK)
        code = rundir_read_completion(rundir, &standing->completion, &standing->complete, error);
    if (code == ONWARD_OK)
        code = rundir_read_status(rundir, &standing->status, error);
    standing->has_status = code == ONWARD_OK;
    if (code == ONWARD_ERR_NOT_FOUND) /* its program did not open it yet */
        code = ONWARD_OK;
    standing->state = state_of(standing);
    return code;
}
