/* checkpoint_list.c - which checkpoints a run directory has: listing, and finding the newest whole
 * one. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_internal.h"
#include "file.h"
#include "h5.h"

bool checkpoint_parse_name(const char *name, const char *ending, int64_t *step)
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

int checkpoint_scan(const char *run, const char *ending, struct step_list *list,
                    struct error *error)
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
    while (code == ONWARD_OK && (entry = file_next_entry(directory)) != NULL) {
        int64_t step = 0;
        if (checkpoint_parse_name(entry->d_name, ending, &step))
            code = add_step(list, step, error);
    }
    if (code == ONWARD_OK && errno != 0)
        code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot read", path);
    closedir(directory);
    if (code != ONWARD_OK)
        free(list->steps);
    else if (list->count > 0)
        qsort(list->steps, list->count, sizeof *list->steps, compare_newest_first);
    return code;
}

/* A quick look: is every shard there with its size? False with *unsure: that cannot be told. */
static bool sizes_fit(const char *run, const struct checkpoint_entry *entry,
                      const struct checkpoint_shard *shards, bool *unsure)
{
    for (uint32_t i = 0; i < entry->shard_count; i++) {
        char path[PATH_MAX];
        struct stat status;
        if (checkpoint_shard_path(path, run, entry->id.step, shards[i].file, NULL) != ONWARD_OK)
            return false;
        bool is_there = stat(path, &status) == 0;
        *unsure = !is_there && errno != ENOENT && errno != ENOTDIR;
        if (!is_there || (uint64_t)status.st_size != shards[i].bytes)
            return false;
    }
    return true;
}

static void take_master(struct checkpoint_entry *entry, struct checkpoint_shard **shards,
                        struct checkpoint_master *master)
{
    *entry = (struct checkpoint_entry){.readable = true, .id = master->id};
    memcpy(entry->time, master->time, sizeof entry->time);
    entry->metric = master->metric;
    entry->shard_count = master->shard_count;
    for (uint32_t i = 0; i < master->shard_count; i++)
        entry->bytes += master->shards[i].bytes;
    *shards = master->shards;
    master->shards = NULL;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* What the master says; false: it is not known, or has been replaced since. */
static bool recall(struct checkpoint_listing *known, int64_t step, const struct stat *master,
                   struct checkpoint_entry *entry, struct checkpoint_shard **shards)
{
    for (size_t i = 0; known && i < known->count; i++) {
        const struct checkpoint_entry *old = &known->entries[i];
        if (old->id.step != step || !known->shards[i] || !is_same_file(&known->masters[i], master))
            continue;
        *entry = *old; /* what it says of the shards is judged anew */
        entry->unsure = false;
        entry->problem[0] = '\0';
        *shards = known->shards[i];
        known->shards[i] = NULL;
        return true;
    }
    return false;
}

/* The file is looked at before it is read: one that takes its place meanwhile is not taken for it
 * by who recalls it. */
static int learn(const char *run, int64_t step, struct checkpoint_listing *known,
                 struct checkpoint_listing *listing, size_t i, struct error *problem)
{
    char path[PATH_MAX];
    struct checkpoint_master master;
    struct checkpoint_entry *entry = &listing->entries[i];
    int code = checkpoint_master_path(path, run, step, problem);
    if (code == ONWARD_OK && stat(path, &listing->masters[i]) == 0 &&
        recall(known, step, &listing->masters[i], entry, &listing->shards[i]))
        return ONWARD_OK;
    if (code == ONWARD_OK)
        code = checkpoint_master_load(run, step, &master, problem);
    if (code != ONWARD_OK)
        return code;
    take_master(entry, &listing->shards[i], &master);
    checkpoint_master_clear(&master);
    return ONWARD_OK;
}

static void judge_files(const char *run, const char *task, struct checkpoint_entry *entry,
                        const struct checkpoint_shard *shards)
{
    entry->foreign = task && strcmp(task, entry->id.task) != 0;
    entry->complete = sizes_fit(run, entry, shards, &entry->unsure);
    if (entry->unsure)
        snprintf(entry->problem, sizeof entry->problem, "a shard cannot be got at");
    else if (!entry->complete)
        snprintf(entry->problem, sizeof entry->problem, "a shard is missing or has another size");
    entry->failed =
        checkpoint_is_marked(run, entry->id.step, entry->problem, sizeof entry->problem);
    if (entry->foreign)
        snprintf(entry->problem, sizeof entry->problem, "is of task %s", entry->id.task);
    entry->usable = entry->complete && !entry->failed && !entry->foreign;
}

static void look_at(const char *run, int64_t step, const char *task,
                    struct checkpoint_listing *known, struct checkpoint_listing *listing, size_t i)
{
    struct checkpoint_entry *entry = &listing->entries[i];
    struct error problem = {0};
    entry->id.step = step;
    int code = learn(run, step, known, listing, i, &problem);
    if (code == ONWARD_OK) {
        judge_files(run, task, entry, listing->shards[i]);
        return;
    }
    entry->unsure = code != ONWARD_ERR_CORRUPT && code != ONWARD_ERR_NOT_FOUND;
    snprintf(entry->problem, sizeof entry->problem, "%.*s", (int)sizeof entry->problem - 1,
             problem.text);
}

static struct checkpoint_listing *new_listing(size_t count)
{
    struct checkpoint_listing *listing = calloc(1, sizeof *listing);
    if (!listing)
        return NULL;
    listing->entries = calloc(count + 1, sizeof *listing->entries);
    listing->shards = calloc(count + 1, sizeof *listing->shards);
    listing->masters = calloc(count + 1, sizeof *listing->masters);
    listing->count = count;
    if (listing->entries && listing->shards && listing->masters)
        return listing;
    listing->count = 0;
    checkpoint_listing_free(listing);
    return NULL;
}

int checkpoint_listing_make(const char *run, const char *task, struct checkpoint_listing *known,
                            struct checkpoint_listing **listing, struct error *error)
{
    H5_QUIET;
    struct step_list list;
    int code = checkpoint_scan(run, ".h5", &list, error);
    if (code != ONWARD_OK)
        return code;
    struct checkpoint_listing *made = new_listing(list.count);
    for (size_t i = 0; made && i < list.count; i++)
        look_at(run, list.steps[i], task, known, made, i);
    free(list.steps);
    if (!made)
        return error_set(error, ONWARD_ERR_MEMORY, "out of memory to list checkpoints");
    *listing = made;
    return ONWARD_OK;
}

void checkpoint_listing_free(struct checkpoint_listing *listing)
{
    if (!listing)
        return;
    for (size_t i = 0; i < listing->count; i++)
        free(listing->shards[i]);
    free(listing->shards);
    free(listing->masters);
    free(listing->entries);
    free(listing);
}

/* With the facts of the others in it: they are of no use in *known any more. */
static struct checkpoint_listing *grow_listing(struct checkpoint_listing *known)
{
    size_t count = known ? known->count : 0;
    struct checkpoint_listing *grown = new_listing(count + 1);
    if (!grown)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        grown->entries[i] = known->entries[i];
        grown->masters[i] = known->masters[i];
        grown->shards[i] = known->shards[i];
        known->shards[i] = NULL;
    }
    return grown;
}

void checkpoint_listing_add(struct checkpoint_listing **known, const char *run,
                            const struct checkpoint_id *id, const struct checkpoint_metric *metric,
                            const struct checkpoint_shard *shards, uint32_t shard_count)
{
    char path[PATH_MAX];
    struct checkpoint_master master = {.id = *id, .metric = *metric, .shard_count = shard_count};
    struct stat status;
    master.shards = calloc((size_t)shard_count + 1, sizeof *shards);
    if (!master.shards || checkpoint_master_path(path, run, id->step, NULL) != ONWARD_OK ||
        stat(path, &status) != 0) {
        free(master.shards);
        return;
    }
    memcpy(master.shards, shards, shard_count * sizeof *shards);
    struct checkpoint_listing *grown = grow_listing(*known);
    if (grown) {
        size_t last = grown->count - 1;
        grown->masters[last] = status;
        take_master(&grown->entries[last], &grown->shards[last], &master);
        checkpoint_listing_free(*known);
        *known = grown;
    }
    free(master.shards);
}

int checkpoint_list(const char *run, const char *task, struct checkpoint_entry **entries,
                    size_t *count, struct error *error)
{
    struct checkpoint_listing *listing = NULL;
    int code = checkpoint_listing_make(run, task, NULL, &listing, error);
    if (code != ONWARD_OK)
        return code;
    *entries = listing->entries;
    *count = listing->count;
    listing->entries = NULL; /* they are the caller's */
    checkpoint_listing_free(listing);
    return ONWARD_OK;
}

/* Shards without a master are what is left of a checkpoint that was not finished. */
static int warn_unfinished(const char *run, int64_t newest, const struct checkpoint_wanted *wanted,
                           struct error *error)
{
    struct step_list list;
    int code = wanted->warn ? checkpoint_scan(run, ".shards", &list, error) : ONWARD_OK;
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
static int judge(const char *run, int64_t step, const char *task, bool marks,
                 struct checkpoint_id *id, struct error *problem)
{
    char path[PATH_MAX], why[ERROR_TEXT_BYTES];
    int code = checkpoint_master_path(path, run, step, problem);
    if (code == ONWARD_OK && checkpoint_is_marked(run, step, why, sizeof why))
        return error_set(problem, ONWARD_ERR_CORRUPT,
                         "%.300s: %.500s; `onward ckpt verify' clears that if it is whole", path,
                         why);
    if (code == ONWARD_OK)
        code = checkpoint_look(run, step, task, !marks, id, problem);
    if (code == ONWARD_ERR_CORRUPT && marks) /* where it cannot be marked it is read again */
        checkpoint_mark_failed(run, step, problem->text, NULL);
    return code;
}

/* A file server that stumbled gets a second chance: to go on to an older one costs steps. */
static int judge_twice(const char *run, int64_t step, const struct checkpoint_wanted *wanted,
                       bool marks, struct checkpoint_id *id, struct error *problem)
{
    int code = judge(run, step, wanted->task, marks, id, problem);
    if (code != ONWARD_ERR_IO || !wanted->wait)
        return code;
    wanted->wait(wanted->context);
    return judge(run, step, wanted->task, marks, id, problem);
}

static int find(const char *run, const struct checkpoint_wanted *wanted, bool marks,
                struct checkpoint_id *newest, uint32_t *passed_over, struct error *error)
{
    struct step_list list;
    struct checkpoint_id best = {.step = -1}, id;
    int code = checkpoint_scan(run, ".h5", &list, error);
    if (code != ONWARD_OK)
        return code;
    *passed_over = 0;
    for (size_t i = 0; i < list.count && best.step < 0 && code == ONWARD_OK; i++) {
        struct error problem = {0};
        bool is_wanted = list.steps[i] < wanted->below;
        int found = is_wanted ? judge_twice(run, list.steps[i], wanted, marks, &id, &problem)
                              : ONWARD_ERR_NOT_FOUND;
        *passed_over += found != ONWARD_OK;
        if (found == ONWARD_OK)
            best = id;
        else if (found == ONWARD_ERR_MEMORY)
            code = error_set(error, found, "%s", problem.text);
        else if (is_wanted && wanted->warn)
            wanted->warn(wanted->context, problem.text);
    }
    free(list.steps);
    if (code == ONWARD_OK && wanted->below == INT64_MAX)
        code = warn_unfinished(run, best.step, wanted, error);
    if (code == ONWARD_OK)
        *newest = best;
    return code;
}

int checkpoint_newest(const char *run, const char *task, int64_t *step,
                      void (*warn)(void *context, const char *text), void *context,
                      struct error *error)
{
    struct checkpoint_wanted wanted = {task, INT64_MAX, warn, context, NULL};
    struct checkpoint_id newest;
    uint32_t passed_over;
    int code = find(run, &wanted, false, &newest, &passed_over, error);
    if (code == ONWARD_OK)
        *step = newest.step;
    return code;
}

int checkpoint_find(const char *run, const struct checkpoint_wanted *wanted,
                    struct checkpoint_id *newest, uint32_t *passed_over, struct error *error)
{
    return find(run, wanted, true, newest, passed_over, error);
}
