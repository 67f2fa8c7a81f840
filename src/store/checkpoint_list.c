/* checkpoint_list.c - which checkpoints a run directory has: listing, finding the newest whole one,
 * removing, and keeping no more than asked for. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_internal.h"
#include "file.h"
#include "h5.h"

struct step_list {
    int64_t *steps; /* newest first */
    size_t count, capacity;
};

/* Whether name is "step-N" + ending, as step_path would write it; ending NULL: any. */
static bool parse_name(const char *name, const char *ending, int64_t *step)
{
    char canonical[64];
    char *end = NULL;
    if (strncmp(name, "step-", 5) != 0 || name[5] < '0' || name[5] > '9')
        return false;
    errno = 0;
    *step = strtoll(name + 5, &end, 10);
    if (errno != 0)
        return false;
    snprintf(canonical, sizeof canonical, "step-%08" PRId64, *step);
    size_t length = (size_t)(end - name);
    return strlen(canonical) == length && strncmp(canonical, name, length) == 0 &&
           (!ending || strcmp(end, ending) == 0);
}

static int add_step(struct step_list *list, int64_t step, struct error *error)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 32;
        int64_t *grown = realloc(list->steps, capacity * sizeof *grown);
        if (!grown)
            return error_set(error, ONWARD_ERR_MEMORY, "out of memory to list checkpoints");
        list->steps = grown;
        list->capacity = capacity;
    }
    list->steps[list->count++] = step;
    return ONWARD_OK;
}

static int compare_newest_first(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a > b ? -1 : a < b;
}

/* Steps of the entries of RUN/ckpt with this ending; none when there is no such directory. */
static int scan(const char *run, const char *ending, struct step_list *list, struct error *error)
{
    char path[PATH_MAX];
    *list = (struct step_list){0};
    int code = checkpoint_directory(path, run, error);
    if (code != ONWARD_OK)
        return code;
    DIR *directory = opendir(path);
    if (!directory && errno == ENOENT)
        return ONWARD_OK;
    if (!directory && errno == ENOTDIR)
        return error_set(error, ONWARD_ERR_INPUT, "%s: expected a directory of checkpoints", path);
    if (!directory)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot read", path);
    const struct dirent *entry = NULL;
    while (code == ONWARD_OK && (entry = readdir(directory)) != NULL) {
        int64_t step = 0;
        if (parse_name(entry->d_name, ending, &step))
            code = add_step(list, step, error);
    }
    closedir(directory);
    if (code != ONWARD_OK)
        free(list->steps);
    else if (list->count > 0)
        qsort(list->steps, list->count, sizeof *list->steps, compare_newest_first);
    return code;
}

/* A quick look: is every shard there with its size? */
static bool sizes_fit(const char *run, const struct checkpoint_master *master)
{
    for (uint32_t i = 0; i < master->shard_count; i++) {
        char path[PATH_MAX];
        struct stat status;
        if (checkpoint_shard_path(path, run, master->id.step, master->shards[i].file, NULL) !=
                ONWARD_OK ||
            stat(path, &status) != 0 || (uint64_t)status.st_size != master->shards[i].bytes)
            return false;
    }
    return true;
}

static void look_at(const char *run, int64_t step, struct checkpoint_entry *entry)
{
    struct checkpoint_master master;
    struct error problem = {0};
    *entry = (struct checkpoint_entry){.id.step = step};
    if (checkpoint_master_load(run, step, &master, &problem) != ONWARD_OK) {
        snprintf(entry->problem, sizeof entry->problem, "%.*s", (int)sizeof entry->problem - 1,
                 problem.text);
        return;
    }
    entry->readable = true;
    entry->id = master.id;
    memcpy(entry->time, master.time, sizeof entry->time);
    entry->metric = master.metric;
    entry->shard_count = master.shard_count;
    for (uint32_t i = 0; i < master.shard_count; i++)
        entry->bytes += master.shards[i].bytes;
    entry->complete = sizes_fit(run, &master);
    if (!entry->complete)
        snprintf(entry->problem, sizeof entry->problem, "a shard is missing or has another size");
    entry->failed = checkpoint_is_marked(run, step, entry->problem, sizeof entry->problem);
    entry->usable = entry->complete && !entry->failed;
    checkpoint_master_clear(&master);
}

int checkpoint_list(const char *run, struct checkpoint_entry **entries, size_t *count,
                    struct error *error)
{
    H5_QUIET;
    struct step_list list;
    int code = scan(run, ".h5", &list, error);
    if (code != ONWARD_OK)
        return code;
    struct checkpoint_entry *found = calloc(list.count ? list.count : 1, sizeof *found);
    if (!found)
        code = error_set(error, ONWARD_ERR_MEMORY, "out of memory to list checkpoints");
    for (size_t i = 0; i < list.count && found; i++)
        look_at(run, list.steps[i], &found[i]);
    free(list.steps);
    if (code == ONWARD_OK) {
        *entries = found;
        *count = list.count;
    }
    return code;
}

/* Shards without a master are what is left of a checkpoint that was not finished. */
static int warn_unfinished(const char *run, int64_t newest, const struct checkpoint_wanted *wanted,
                           struct error *error)
{
    struct step_list list;
    int code = wanted->warn ? scan(run, ".shards", &list, error) : ONWARD_OK;
    if (code != ONWARD_OK || !wanted->warn)
        return code;
    for (size_t i = 0; i < list.count && list.steps[i] > newest; i++) {
        char master[PATH_MAX], text[ERROR_TEXT_BYTES];
        if (checkpoint_master_path(master, run, list.steps[i], NULL) != ONWARD_OK ||
            access(master, F_OK) == 0)
            continue;
        snprintf(text, sizeof text, "%.600s: was never committed, its shards are skipped", master);
        wanted->warn(wanted->context, text);
    }
    free(list.steps);
    return ONWARD_OK;
}

/* Whether the checkpoint can be used: OK, or why not. One that is marked is not even read. The
 * owner of the task, who marks, has workers that verify what they read. */
static int judge(const char *run, int64_t step, const char *task, bool marks, struct error *problem)
{
    char path[PATH_MAX], why[ERROR_TEXT_BYTES];
    int code = checkpoint_master_path(path, run, step, problem);
    if (code == ONWARD_OK && checkpoint_is_marked(run, step, why, sizeof why))
        return error_set(problem, ONWARD_ERR_CORRUPT,
                         "%.300s: %.500s; `onward ckpt verify' clears that if it is whole", path,
                         why);
    if (code == ONWARD_OK)
        code = marks ? checkpoint_look(run, step, task, problem)
                     : checkpoint_verify(run, step, task, problem);
    if (code == ONWARD_ERR_CORRUPT && marks) /* where it cannot be marked it is read again */
        checkpoint_mark_failed(run, step, problem->text, NULL);
    return code;
}

static int find(const char *run, const struct checkpoint_wanted *wanted, bool marks, int64_t *step,
                uint32_t *passed_over, struct error *error)
{
    struct step_list list;
    int64_t newest = -1;
    int code = scan(run, ".h5", &list, error);
    if (code != ONWARD_OK)
        return code;
    *passed_over = 0;
    for (size_t i = 0; i < list.count && newest < 0 && code == ONWARD_OK; i++) {
        struct error problem = {0};
        bool is_wanted = list.steps[i] < wanted->below;
        int found = is_wanted ? judge(run, list.steps[i], wanted->task, marks, &problem)
                              : ONWARD_ERR_NOT_FOUND;
        *passed_over += found != ONWARD_OK;
        if (found == ONWARD_OK)
            newest = list.steps[i];
        else if (found == ONWARD_ERR_MEMORY)
            code = error_set(error, found, "%s", problem.text);
        else if (is_wanted && wanted->warn)
            wanted->warn(wanted->context, problem.text);
    }
    free(list.steps);
    if (code == ONWARD_OK && wanted->below == INT64_MAX)
        code = warn_unfinished(run, newest, wanted, error);
    if (code == ONWARD_OK)
        *step = newest;
    return code;
}

int checkpoint_newest(const char *run, const char *task, int64_t *step,
                      void (*warn)(void *context, const char *text), void *context,
                      struct error *error)
{
    struct checkpoint_wanted wanted = {task, INT64_MAX, warn, context};
    uint32_t passed_over;
    return find(run, &wanted, false, step, &passed_over, error);
}

int checkpoint_find(const char *run, const struct checkpoint_wanted *wanted, int64_t *step,
                    uint32_t *passed_over, struct error *error)
{
    return find(run, wanted, true, step, passed_over, error);
}

static bool is_needed(const struct checkpoint_master *master, const char *file)
{
    for (uint32_t i = 0; master && i < master->shard_count; i++)
        if (strcmp(master->shards[i].file, file) == 0)
            return true;
    return false;
}

/* Removes the files of a directory of shards that `master` (NULL: none) does not need, and the
 * directory itself once it is empty. */
static int sweep_shards(const char *path, const struct checkpoint_master *master,
                        struct error *error)
{
    int code = ONWARD_OK;
    DIR *directory = opendir(path);
    if (!directory && errno == ENOENT)
        return ONWARD_OK;
    if (!directory)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot read", path);
    const struct dirent *entry = NULL;
    while (code == ONWARD_OK && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            is_needed(master, entry->d_name))
            continue;
        if (unlinkat(dirfd(directory), entry->d_name, 0) != 0 && errno != ENOENT)
            code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s/%s: cannot remove", path,
                                   entry->d_name);
    }
    closedir(directory);
    if (code == ONWARD_OK && !master && rmdir(path) != 0 && errno != ENOENT)
        code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot remove", path);
    return code;
}

static int sync_checkpoints(const char *run, struct error *error)
{
    char path[PATH_MAX];
    int code = checkpoint_directory(path, run, error);
    return code != ONWARD_OK ? code : file_sync_directory(path, error);
}

int checkpoint_check_removal(const char *run, int64_t step, struct error *error)
{
    char path[PATH_MAX];
    struct stat status;
    int code = checkpoint_master_path(path, run, step, error);
    if (code == ONWARD_OK && lstat(path, &status) == 0 && S_ISDIR(status.st_mode))
        code = error_set(error, ONWARD_ERR_INPUT,
                         "%s: is a directory, expected the master of a checkpoint", path);
    if (code == ONWARD_OK)
        code = checkpoint_shards_path(path, run, step, error);
    if (code == ONWARD_OK && lstat(path, &status) == 0 && !S_ISDIR(status.st_mode))
        code = error_set(error, ONWARD_ERR_INPUT, "%s: expected the directory of its shards", path);
    return code;
}

/* The master goes first, and for good, so that no master is ever without its shards. */
int checkpoint_remove(const char *run, int64_t step, struct error *error)
{
    char path[PATH_MAX];
    int code = checkpoint_check_removal(run, step, error);
    if (code == ONWARD_OK)
        code = checkpoint_master_path(path, run, step, error);
    if (code != ONWARD_OK)
        return code;
    if (unlink(path) != 0)
        return error_set_errno(error, errno == ENOENT ? ONWARD_ERR_NOT_FOUND : ONWARD_ERR_IO, errno,
                               "%s: cannot remove", path);
    code = sync_checkpoints(run, error);
    if (code == ONWARD_OK)
        code = checkpoint_clear_mark(run, step, error);
    if (code == ONWARD_OK)
        code = checkpoint_shards_path(path, run, step, error);
    return code != ONWARD_OK ? code : sweep_shards(path, NULL, error);
}

/* The shards of a step below the newest committed one: all of them when it has no master, else
 * those that the master does not name. A master that cannot be read says nothing: all stay. */
static int sweep_step(const char *run, int64_t step, struct error *error)
{
    char path[PATH_MAX];
    struct checkpoint_master master;
    int found = checkpoint_master_load(run, step, &master, NULL);
    if (found != ONWARD_OK && found != ONWARD_ERR_NOT_FOUND)
        return ONWARD_OK;
    int code = checkpoint_shards_path(path, run, step, error);
    if (code == ONWARD_OK)
        code = sweep_shards(path, found == ONWARD_OK ? &master : NULL, error);
    if (found == ONWARD_OK)
        checkpoint_master_clear(&master);
    return code;
}

/* Whether a file of RUN/ckpt serves nobody any more: a temporary file of a step below `newest`,
 * whose writer is gone, or a mark that means no checkpoint. */
static bool is_left_over(const char *run, const char *name, int64_t newest)
{
    char why[ERROR_TEXT_BYTES];
    int64_t step = 0;
    if (parse_name(name, ".failed", &step))
        return !checkpoint_is_marked(run, step, why, sizeof why);
    return (strstr(name, ".h5.tmp-") || strstr(name, ".failed.tmp-")) &&
           parse_name(name, NULL, &step) && step < newest;
}

static int sweep_left_over(const char *run, int64_t newest, struct error *error)
{
    char path[PATH_MAX];
    int code = checkpoint_directory(path, run, error);
    if (code != ONWARD_OK)
        return code;
    DIR *directory = opendir(path);
    if (!directory)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot read", path);
    const struct dirent *entry = NULL;
    while (code == ONWARD_OK && (entry = readdir(directory)) != NULL) {
        if (is_left_over(run, entry->d_name, newest) &&
            unlinkat(dirfd(directory), entry->d_name, 0) != 0 && errno != ENOENT)
            code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s/%s: cannot remove", path,
                                   entry->d_name);
    }
    closedir(directory);
    return code;
}

static int sweep(const char *run, int64_t newest, struct error *error)
{
    struct step_list list;
    int code = scan(run, ".shards", &list, error);
    if (code != ONWARD_OK)
        return code;
    for (size_t i = 0; i < list.count && code == ONWARD_OK; i++)
        if (list.steps[i] < newest)
            code = sweep_step(run, list.steps[i], error);
    free(list.steps);
    return code == ONWARD_OK ? sweep_left_over(run, newest, error) : code;
}

bool checkpoint_parse_best(const char *text, struct checkpoint_best *best)
{
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    if (length == 0 || length >= sizeof best->metric)
        return false;
    *best = (struct checkpoint_best){.highest = strcmp(colon, ":max") == 0};
    memcpy(best->metric, text, length);
    return best->highest || strcmp(colon, ":min") == 0;
}

/* NULL when no usable one has the metric. Of equals the newest. */
static const struct checkpoint_entry *find_best(const struct checkpoint_entry *entries,
                                                size_t count, const struct checkpoint_best *best)
{
    const struct checkpoint_entry *found = NULL;
    for (size_t i = 0; i < count && best->metric[0]; i++) {
        double value = entries[i].metric.value;
        if (!entries[i].usable || !isfinite(value) ||
            strcmp(entries[i].metric.name, best->metric) != 0)
            continue;
        if (!found || (best->highest ? value > found->metric.value : value < found->metric.value))
            found = &entries[i];
    }
    return found;
}

/* newer: how many usable ones are newer. Only usable ones count: a damaged one must not push out
 * the last good one. */
static bool is_kept(const struct checkpoint_entry *entry, const struct checkpoint_keep *keep,
                    const struct checkpoint_entry *best, uint32_t newer)
{
    if (newer == 0 || newer < keep->newest || entry == best)
        return true;
    return entry->usable && keep->every > 0 && entry->id.step % keep->every == 0;
}

int checkpoint_retain(const char *run, const struct checkpoint_keep *keep, struct error *error)
{
    H5_QUIET;
    struct checkpoint_entry *entries = NULL;
    size_t count = 0;
    uint32_t newer = 0;
    int64_t newest = -1;
    int code = checkpoint_list(run, &entries, &count, error);
    if (code != ONWARD_OK)
        return code;
    const struct checkpoint_entry *best = find_best(entries, count, &keep->best);
    for (size_t i = 0; i < count && code == ONWARD_OK; i++) {
        if (!is_kept(&entries[i], keep, best, newer))
            code = checkpoint_remove(run, entries[i].id.step, error);
        if (entries[i].usable && newer++ == 0)
            newest = entries[i].id.step;
    }
    free(entries);
    return code == ONWARD_OK && newest >= 0 ? sweep(run, newest, error) : code;
}
