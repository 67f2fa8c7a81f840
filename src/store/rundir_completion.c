/* rundir_completion.c - complete.json: the task is complete when this is there, and not before. */
#include <string.h>

#include "rundir_internal.h"

int rundir_write_completion(struct rundir *rundir, const struct run_completion *completion,
                            struct error *error)
{
    char time[40];
    struct fence fence = rundir_fence(rundir);
    time_text(time, sizeof time);
    return rundir_write_json(rundir, "complete.json",
                             json_pack("{s:s, s:I, s:I, s:I, s:f, s:s}", "task", rundir->task,
                                       "incarnation", (json_int_t)completion->incarnation, "epoch",
                                       (json_int_t)completion->epoch, "step",
                                       (json_int_t)completion->step, "seconds", completion->seconds,
                                       "time", time),
                             &fence, error);
}

int rundir_read_completion(const struct rundir *rundir, struct run_completion *completion,
                           bool *complete, struct error *error)
{
    json_t *root;
    json_error_t problem;
    json_int_t incarnation, epoch, step;
    const char *task;
    double seconds;
    *complete = false;
    int code = rundir_read_json(rundir, "complete.json", &root, error);
    if (code != ONWARD_OK)
        return code == ONWARD_ERR_NOT_FOUND ? ONWARD_OK : code;
    if (json_unpack_ex(root, &problem, 0, "{s:s, s:I, s:I, s:I, s:F}", "task", &task, "incarnation",
                       &incarnation, "epoch", &epoch, "step", &step, "seconds", &seconds) != 0)
        code = error_set(error, ONWARD_ERR_CORRUPT, "%s/complete.json: %s", rundir->path,
                         problem.text);
    else if (strcmp(task, rundir->task) != 0)
        code = error_set(error, ONWARD_ERR_OTHER_TASK, "%s/complete.json: is of task %.63s",
                         rundir->path, task);
    else {
        *complete = true;
        *completion = (struct run_completion){incarnation, epoch, step, seconds};
    }
    json_decref(root);
    return code;
}
