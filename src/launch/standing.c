/* standing.c - how a task stands. A status file outlives its writer, so only the lock says whether
 * anyone is there. */
#include "standing.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "say.h"

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

static const char *ended_state(int64_t exit_code)
{
    return exit_code == EXIT_RESUMABLE || exit_code > 128 ? "stopped" : "failed";
}

/* newest: the incarnation that its owner works under, or the last one did. */
static const char *state_of(const struct standing *standing, int64_t newest)
{
    const struct run_status *status = &standing->status;
    bool current = standing->has_status && status->incarnation == newest;
    if (standing->owned && !current)
        return "starting";
    if (standing->complete && standing->completion.incarnation == newest)
        return "complete";
    if (current && status->exit_code >= 0)
        return ended_state(status->exit_code);
    return standing->owned ? status->state : "interrupted";
}

int standing_read(const struct rundir *rundir, struct standing *standing, struct error *error)
{
    int64_t newest = 0;
    memset(standing, 0, sizeof *standing);
    int code = rundir_is_owned(rundir, &standing->owned, error);
    if (code == ONWARD_OK)
        code = rundir_read_completion(rundir, &standing->completion, &standing->complete, error);
    if (code == ONWARD_OK)
        code = rundir_read_status(rundir, &standing->status, error);
    standing->has_status = code == ONWARD_OK;
    if (code == ONWARD_ERR_NOT_FOUND) /* its program did not open it yet */
        code = ONWARD_OK;
    if (code == ONWARD_OK)
        code = rundir_newest_incarnation(rundir, &newest, error);
    snprintf(standing->state, sizeof standing->state, "%s", state_of(standing, newest));
    return code;
}
