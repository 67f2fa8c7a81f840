/* join_check.c - may a job of Slurm join this task? Asked when it is submitted, and again when it
 * starts, which may be much later. */
#include "join_check.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "standing.h"

static int check_owner(const char *task, const char *path, struct error *error)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s", path);
    if (status.st_uid == geteuid())
        return ONWARD_OK;
    const struct passwd *owner = getpwuid(status.st_uid);
    return error_set(error, ONWARD_ERR_INPUT,
                     "task %s belongs to %s: expected one of the user who joins", task,
                     owner ? owner->pw_name : "another user");
}

static int check_job(const char *task, const char *path, struct error *error)
{
    char file[PATH_MAX];
    int code = file_join(file, sizeof file, path, "slurm.json", error);
    if (code != ONWARD_OK || access(file, F_OK) == 0)
        return code;
    return error_set(error, ONWARD_ERR_INPUT,
                     "task %s does not run in a job of Slurm: `onward scale --hosts' adds hosts to "
                     "it",
                     task);
}

static int check(const char *task, const struct rundir *rundir, struct error *error)
{
    struct standing now;
    int code = check_owner(task, rundir_path(rundir), error);
    if (code == ONWARD_OK)
        code = standing_read(rundir, &now, error);
    if (code == ONWARD_OK && !now.owned)
        return error_set(error, ONWARD_ERR_INPUT, "task %s is %s: expected one that runs", task,
                         now.state);
    return code == ONWARD_OK ? check_job(task, rundir_path(rundir), error) : code;
}

int join_check(const struct task_options *task, struct rundir **rundir, struct error *error)
{
    int code = standing_open(task, rundir, error);
    if (code == ONWARD_OK)
        code = check(task->task, *rundir, error);
    return code;
}
