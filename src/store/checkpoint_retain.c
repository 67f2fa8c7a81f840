/* checkpoint_retain.c - removing checkpoints, and keeping no more than asked for; and what the
 * controller does, a commit with the removal behind it. */
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

/* The shards that a master names; NULL: there is none. */
struct named {
    const struct checkpoint_shard *shards;
    uint32_t count;
};

static bool is_needed(const struct named *named, const char *file)
{
    for (uint32_t i = 0; named && i < named->count; i++)
        if (strcmp(named->shards[i].file, file) == 0)
            return true;
    return false;
}

/* The incarnation that wrote a shard, or its temporary file; 0: the name does not say. */
static int64_t written_by(const char *file)
{
    int64_t incarnation = 0;
    return sscanf(file, "r%*u-of-%*u.i%" SCNd64, &incarnation) == 1 ? incarnation : 0;
}

/* Removes the files of a directory of shards that no master needs and that no later incarnation
 * wrote, and, where there is no master, the directory itself once it is empty. */
static int sweep_shards(const char *path, const struct named *named, int64_t incarnation,
                        struct error *error)
{
    int code = ONWARD_OK;
    DIR *directory = opendir(path);
    if (!directory && errno == ENOENT)
        return ONWARD_OK;
    if (!directory)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot read", path);
    const struct dirent *entry = NULL;
    while (code == ONWARD_OK && (entry = file_next_entry(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            is_needed(named, entry->d_name) || written_by(entry->d_name) > incarnation)
            continue;
        if (unlinkat(dirfd(directory), entry->d_name, 0) != 0 && errno != ENOENT)
            code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s/%s: cannot remove", path,
                                   entry->d_name);
    }
    if (code == ONWARD_OK && errno != 0)
        code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot read", path);
    closedir(directory);
    if (code == ONWARD_OK && !named && rmdir(path) != 0 && errno != ENOENT && errno != ENOTEMPTY)
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
    return code != ONWARD_OK ? code : sweep_shards(path, NULL, INT64_MAX, error);
}

/* The shards of a step up to the one that was committed: all of them when it has no master, else
 * those that the master does not name. A master that cannot be read says nothing: all stay. */
static int sweep_step(const char *run, int64_t step, const struct checkpoint_listing *listing,
                      int64_t incarnation, struct error *error)
{
    char path[PATH_MAX];
    struct named named;
    bool has_master = false;
    for (size_t i = 0; i < listing->count && !has_master; i++) {
        named = (struct named){listing->shards[i], listing->entries[i].shard_count};
        has_master = listing->entries[i].id.step == step;
    }
    if (has_master && !named.shards)
        return ONWARD_OK;
    int code = checkpoint_shards_path(path, run, step, error);
    return code == ONWARD_OK ? sweep_shards(path, has_master ? &named : NULL, incarnation, error)
                             : code;
}

/* Whether a file of RUN/ckpt serves nobody any more: a temporary file of a step below `newest`,
 * whose writer is gone, or a mark that means no checkpoint. */
static bool is_left_over(const char *run, const char *name, int64_t newest)
{
    int64_t step = 0;
    if (checkpoint_parse_name(name, ".failed", &step))
        return checkpoint_mark_is_void(run, step);
    return (strstr(name, ".h5.tmp-") || strstr(name, ".failed.tmp-")) &&
           checkpoint_parse_name(name, NULL, &step) && step < newest;
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
    while (code == ONWARD_OK && (entry = file_next_entry(directory)) != NULL) {
        if (is_left_over(run, entry->d_name, newest) &&
            unlinkat(dirfd(directory), entry->d_name, 0) != 0 && errno != ENOENT)
            code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s/%s: cannot remove", path,
                                   entry->d_name);
    }
    if (code == ONWARD_OK && errno != 0)
        code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot read", path);
    closedir(directory);
    return code;
}

static int sweep(const char *run, const struct checkpoint_id *committed,
                 const struct checkpoint_listing *listing, struct error *error)
{
    struct step_list list;
    int code = checkpoint_scan(run, ".shards", &list, error);
    if (code != ONWARD_OK)
        return code;
    for (size_t i = 0; i < list.count && code == ONWARD_OK; i++)
        if (list.steps[i] <= committed->step)
            code = sweep_step(run, list.steps[i], listing, committed->incarnation, error);
    free(list.steps);
    return code == ONWARD_OK ? sweep_left_over(run, committed->step, error) : code;
}

/* Of one step, if it has no master. */
static int sweep_unfinished(const char *run, int64_t step, int64_t incarnation, struct error *error)
{
    char path[PATH_MAX];
    struct stat status;
    int code = checkpoint_master_path(path, run, step, error);
    if (code == ONWARD_OK && (lstat(path, &status) == 0 || errno != ENOENT))
        return ONWARD_OK;
    if (code == ONWARD_OK)
        code = checkpoint_shards_path(path, run, step, error);
    return code == ONWARD_OK ? sweep_shards(path, NULL, incarnation, error) : code;
}

int checkpoint_sweep(const char *run, int64_t incarnation, int64_t above, struct error *error)
{
    struct step_list list;
    int code = checkpoint_scan(run, ".shards", &list, error);
    if (code != ONWARD_OK)
        return code;
    for (size_t i = 0; i < list.count && code == ONWARD_OK; i++)
        if (list.steps[i] > above)
            code = sweep_unfinished(run, list.steps[i], incarnation, error);
    free(list.steps);
    return code;
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

/* What is newer than the one that was committed: the task went back before it. It takes no part. */
static bool counts(const struct checkpoint_entry *entry, const struct checkpoint_id *committed)
{
    return entry->usable && entry->id.step <= committed->step;
}

/* NULL when none that counts has the metric. Of equals the newest. */
static const struct checkpoint_entry *find_best(const struct checkpoint_entry *entries,
                                                size_t count, const struct checkpoint_id *committed,
                                                const struct checkpoint_best *best)
{
    const struct checkpoint_entry *found = NULL;
    for (size_t i = 0; i < count && best->metric[0]; i++) {
        double value = entries[i].metric.value;
        if (!counts(&entries[i], committed) || !isfinite(value) ||
            strcmp(entries[i].metric.name, best->metric) != 0)
            continue;
        if (!found || (best->highest ? value > found->metric.value : value < found->metric.value))
            found = &entries[i];
    }
    return found;
}

/* newer: how many that count are newer; none for the one that was committed. A damaged one, or one
 * of another task, must not push out the last good one. */
static bool is_kept(const struct checkpoint_entry *entry, const struct checkpoint_keep *keep,
                    const struct checkpoint_entry *best, uint32_t newer)
{
    if (entry->foreign || entry->unsure || newer == 0 || newer < keep->newest || entry == best)
        return true;
    return entry->usable && keep->every > 0 && entry->id.step % keep->every == 0;
}

static int remove_old(const char *run, const struct checkpoint_id *committed,
                      const struct checkpoint_keep *keep, const struct checkpoint_listing *listing,
                      struct error *error)
{
    const struct checkpoint_entry *entries = listing->entries;
    const struct checkpoint_entry *best =
        find_best(entries, listing->count, committed, &keep->best);
    uint32_t newer = 0;
    int code = ONWARD_OK;
    for (size_t i = 0; i < listing->count && code == ONWARD_OK; i++) {
        bool is_old = !is_kept(&entries[i], keep, best, newer);
        if (is_old)
            code = fence_check(keep->fence, error);
        if (is_old && code == ONWARD_OK)
            code = checkpoint_remove(run, entries[i].id.step, error);
        newer += counts(&entries[i], committed);
    }
    return code;
}

int checkpoint_retain(const char *run, const struct checkpoint_id *committed,
                      const struct checkpoint_keep *keep, struct error *error)
{
    struct checkpoint_listing *known = keep->known ? *keep->known : NULL, *listing = NULL;
    int code = checkpoint_listing_make(run, committed->task, known, &listing, error);
    if (code != ONWARD_OK)
        return code;
    checkpoint_listing_free(known);
    if (keep->known)
        *keep->known = listing;
    code = remove_old(run, committed, keep, listing, error);
    if (code == ONWARD_OK)
        code = fence_check(keep->fence, error);
    if (code == ONWARD_OK)
        code = sweep(run, committed, listing, error);
    if (!keep->known)
        checkpoint_listing_free(listing);
    return code;
}

int checkpoint_commit_and_retain(const struct checkpoint_commit *commit, struct error *error,
                                 int *keep_code, struct error *keep_error)
{
    const struct checkpoint_keep *keep = commit->keep;
    *keep_code = ONWARD_OK;
    int code = checkpoint_commit_with_metric(
        commit->run, commit->id, commit->metric, commit->arrays, commit->array_count,
        commit->shards, commit->shard_count, commit->slabs, commit->slab_count, keep->fence, error);
    if (code != ONWARD_OK)
        return code;
    if (keep->known)
        checkpoint_listing_add(keep->known, commit->run, commit->id, commit->metric, commit->shards,
                               commit->shard_count);
    if (commit->is_written)
        atomic_store(commit->is_written, true);
    *keep_code = checkpoint_retain(commit->run, commit->id, keep, keep_error);
    return ONWARD_OK;
}
