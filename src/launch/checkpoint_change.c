/* checkpoint_change.c - onward ckpt rm and export. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoint.h"
#include "checkpoint_verb.h"
#include "say.h"

static bool is_given(const struct ckpt_input *input, int64_t step)
{
    for (size_t i = 0; i < input->step_count; i++)
        if (input->steps[i] == step)
            return true;
    return false;
}

static const struct checkpoint_entry *entry_of(const struct checkpoint_entry *entries, size_t count,
                                               int64_t step)
{
    for (size_t i = 0; i < count; i++)
        if (entries[i].id.step == step)
            return &entries[i];
    return NULL;
}

static int check_all_there(const struct ckpt_input *input, const char *run,
                           const struct checkpoint_entry *entries, size_t count,
                           struct error *error)
{
    int code = ONWARD_OK;
    for (size_t i = 0; i < input->step_count && code == ONWARD_OK; i++)
        code = entry_of(entries, count, input->steps[i])
                   ? checkpoint_check_removal(run, input->steps[i], error)
                   : error_set(error, ONWARD_ERR_NOT_FOUND,
                               "%s/ckpt: no checkpoint of step %" PRId64
                               "; `onward ckpt ls' lists them",
                               run, input->steps[i]);
    return code;
}

/* Whether one that stays can be restored. The newest that stays is read first. One that is marked,
 * or of another task, does not count, since the task would not use it. */
static bool whole_one_stays(const struct ckpt_input *input, const char *run,
                            const struct checkpoint_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (entries[i].usable && !is_given(input, entries[i].id.step) &&
            checkpoint_verify(run, entries[i].id.step, input->task.task, NULL) == ONWARD_OK)
            return true;
    return false;
}

/* A mark says only that it failed once, and what cannot be read now may be whole. */
static bool whole_one_goes(const struct ckpt_input *input, const char *run)
{
    for (size_t i = 0; i < input->step_count; i++) {
        int code = checkpoint_verify(run, input->steps[i], input->task.task, NULL);
        if (code != ONWARD_ERR_CORRUPT && code != ONWARD_ERR_OTHER_TASK)
            return true;
    }
    return false;
}

/* A task that runs counts on its newest one. */
static int check_not_in_use(const struct ckpt_input *input, const struct rundir *rundir,
                            const struct checkpoint_entry *entries, size_t count,
                            struct error *error)
{
    bool owned = false;
    int code = rundir_is_owned(rundir, &owned, error);
    for (size_t i = 0; i < count && code == ONWARD_OK && owned; i++) {
        if (!entries[i].usable)
            continue;
        if (is_given(input, entries[i].id.step))
            code = error_set(error, ONWARD_ERR_INPUT,
                             "step %" PRId64 " is the newest checkpoint of task %s, which is "
                             "running: removed only with --force",
                             entries[i].id.step, input->task.task);
        break;
    }
    return code;
}

static int check_removal(const struct ckpt_input *input, const struct rundir *rundir,
                         const struct checkpoint_entry *entries, size_t count, struct error *error)
{
    const char *run = rundir_path(rundir);
    int code = check_all_there(input, run, entries, count, error);
    if (code != ONWARD_OK || input->force)
        return code;
    if (!whole_one_stays(input, run, entries, count) && whole_one_goes(input, run))
        return error_set(error, ONWARD_ERR_INPUT,
                         "no checkpoint of task %s that is whole and did not fail would be left: "
                         "removed only with --force",
                         input->task.task);
    return check_not_in_use(input, rundir, entries, count, error);
}

/* The removed ones, in the order given; stops at the first that cannot be removed. */
static int remove_all(const struct ckpt_input *input, const char *run,
                      const struct checkpoint_entry *entries, size_t count, json_t *removed,
                      struct error *error)
{
    for (size_t i = 0; i < input->step_count; i++) {
        int64_t step = input->steps[i];
        uint64_t bytes = entry_of(entries, count, step)->bytes;
        int code = checkpoint_remove(run, step, error);
        if (code != ONWARD_OK)
            return code;
        if (!input->task.json)
            printf("removed the checkpoint of step %" PRId64 ", %" PRIu64 " bytes\n", step, bytes);
        json_array_append_new(
            removed, json_pack("{s:I, s:I}", "step", (json_int_t)step, "bytes", (json_int_t)bytes));
    }
    return ONWARD_OK;
}

int ckpt_remove(const struct ckpt_input *input, const struct rundir *rundir)
{
    const char *run = rundir_path(rundir);
    struct checkpoint_entry *entries = NULL;
    size_t count = 0;
    struct error error;
    int code = checkpoint_list(run, input->task.task, &entries, &count, &error);
    if (code != ONWARD_OK)
        return say_error(&error);
    json_t *removed = json_array();
    code = check_removal(input, rundir, entries, count, &error);
    if (code == ONWARD_OK)
        code = remove_all(input, run, entries, count, removed, &error);
    free(entries);
    if (code != ONWARD_OK) {
        json_decref(removed);
        return say_error(&error);
    }
    if (input->task.json)
        return print_json(json_pack("{s:o}", "removed", removed));
    json_decref(removed);
    return finish_output(0);
}

int ckpt_export(const struct ckpt_input *input, const struct rundir *rundir)
{
    const char *run = rundir_path(rundir);
    struct stat status = {0};
    struct error error;
    char place[PATH_MAX];
    int64_t step;
    int code = checkpoint_export_place(place, input->output, input->force, &error);
    if (code == ONWARD_OK) /* this may read for long */
        code = ckpt_choose_step(input, run, &step, &error);
    if (code == ONWARD_OK)
        code = checkpoint_export(run, step, input->output, input->force, &error);
    if (code != ONWARD_OK)
        return say_error(&error);
    stat(input->output, &status);
    if (input->task.json)
        return print_json(json_pack("{s:I, s:s, s:I}", "step", (json_int_t)step, "file",
                                    input->output, "bytes", (json_int_t)status.st_size));
    printf("step %" PRId64 " is in %s, %lld bytes\n", step, input->output,
           (long long)status.st_size);
    return finish_output(0);
}
