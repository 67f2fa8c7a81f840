/* joins.c - the files in joins/, and what they come to among the places of the task. */
#include "joins.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"
#include "slurm.h"
#include "slurm_joined.h"
#include "supervise_internal.h"

static const char directory_name[] = "joins", suffix[] = ".json";
static const double look_s = 2, answer_limit_s = 15;

enum { MAX_JOBS = 64 };

static int path_of(const struct rundir *rundir, const char *job, char *path, struct error *error)
{
    char name[PLACES_JOB_BYTES + 32];
    snprintf(name, sizeof name, "%s/%.63s%s", directory_name, job, suffix);
    return file_join(path, PATH_MAX, rundir_path(rundir), name, error);
}

int joins_put(const struct rundir *rundir, const char *job, const char *hosts, struct error *error)
{
    char path[PATH_MAX];
    json_t *root = json_pack("{s:s, s:s}", "job", job, "hosts", hosts);
    char *bytes = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    int code = bytes ? file_join(path, sizeof path, rundir_path(rundir), directory_name, error)
                     : error_set(error, ONWARD_ERR_MEMORY, "job %s: out of memory", job);
    if (code == ONWARD_OK)
        code = file_make_directories(path, error);
    if (code == ONWARD_OK)
        code = path_of(rundir, job, path, error);
    if (code == ONWARD_OK)
        code = file_replace(path, bytes, strlen(bytes), error);
    free(bytes);
    return code;
}

void joins_withdraw(const struct rundir *rundir, const char *job)
{
    char path[PATH_MAX];
    if (path_of(rundir, job, path, NULL) == ONWARD_OK)
        unlink(path);
}

static void tell(struct supervisor *s, const char *verb, const char *job, const char *hosts,
                 const char *reason)
{
    const struct run_status *status = &s->watch.status;
    char by[PLACES_JOB_BYTES + 8];
    snprintf(by, sizeof by, "job %.63s", job);
    json_t *extra = json_pack("{s:s, s:s, s:s, s:s, s:b, s:s*}", "request", verb, "by", by, "job",
                              job, "hosts", hosts, "accepted", reason == NULL, "reason", reason);
    rundir_event(s->settings->rundir, "request", status->epoch, status->step, extra, NULL);
    json_decref(extra);
}

static bool has_place(const struct places *places, const char *job, bool leaving_too)
{
    for (uint32_t i = 0; i < places->count; i++)
        if (!strcmp(places->list[i].job, job) && (leaving_too || !places->list[i].leaves))
            return true;
    return false;
}

void joins_left(struct supervisor *s, const char *job)
{
    if (has_place(&s->settings->allotment->places, job, true))
        return;
    slurm_joined_drop(job, NULL);
    tell(s, "leave", job, "", NULL);
}

/* The job's hosts can be used: among the places with them. */
static int take_places(struct supervisor *s, struct places *fresh, const char *job,
                       struct error *error)
{
    struct allotment *allotment = s->settings->allotment;
    uint32_t slots = 0;
    int code = ONWARD_OK;
    for (uint32_t i = 0; code == ONWARD_OK && i < fresh->count; i++) {
        struct place *place = &fresh->list[i];
        if (!place->usable) {
            supervise_warn(s, place->reason);
            continue;
        }
        snprintf(place->job, sizeof place->job, "%s", job);
        code = places_add(&allotment->places, place, error);
        slots += place->host.slots;
    }
    if (code == ONWARD_OK && slots == 0)
        code = error_set(error, ONWARD_ERR_INPUT, "%.200s", fresh->list[0].reason);
    allotment->member_count += slots;
    if (allotment->member_count > allotment->most_members)
        allotment->member_count = allotment->most_members;
    return code;
}

static int check_hosts(const struct places *places, struct hosts *hosts, struct error *error)
{
    for (uint32_t i = 0; i < hosts->count; i++)
        if (places_find(places, hosts->list[i].name))
            return error_set(error, ONWARD_ERR_INPUT,
                             "host %.80s: expected one that the task does not use already "
                             "(sbatch --exclude)",
                             hosts->list[i].name);
    hosts_fill_slots(hosts, hosts->count);
    return ONWARD_OK;
}

static int take_hosts(struct supervisor *s, const char *job, const char *text, struct error *error)
{
    struct hosts hosts = {.list = NULL};
    struct places fresh = s->settings->allotment->places;
    fresh.list = NULL;
    int code = hosts_parse_list(text, "hosts", &hosts, error);
    if (code == ONWARD_OK)
        code = check_hosts(&s->settings->allotment->places, &hosts, error);
    if (code == ONWARD_OK)
        code = slurm_joined_add(&hosts, job, error);
    if (code == ONWARD_OK)
        code = places_open(&fresh, &hosts, error);
    if (code == ONWARD_OK) {
        fresh.limit_s = answer_limit_s;
        places_probe(&fresh, s->incarnation, true);
        code = take_places(s, &fresh, job, error);
        if (code != ONWARD_OK)
            slurm_joined_drop(job, NULL);
        places_close(&fresh);
    }
    hosts_clear(&hosts);
    return code;
}

/* The hosts that the file names; the caller's to json_decref. Only a file of the task's own user
 * counts. */
static json_t *read_file(const char *path)
{
    struct stat status;
    if (lstat(path, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid())
        return NULL;
    json_t *root = json_load_file(path, 0, NULL);
    if (json_string_value(json_object_get(root, "hosts")))
        return root;
    json_decref(root);
    return NULL;
}

/* One that is refused is not asked for again: its file goes. */
static void take(struct supervisor *s, const char *job)
{
    char path[PATH_MAX];
    struct error error = {.text = "its file is none of this user's, or names no hosts"};
    if (path_of(s->settings->rundir, job, path, NULL) != ONWARD_OK)
        return;
    json_t *root = read_file(path);
    const char *hosts = root ? json_string_value(json_object_get(root, "hosts")) : "";
    int code = root ? take_hosts(s, job, hosts, &error) : ONWARD_ERR_INPUT;
    if (code != ONWARD_OK)
        unlink(path);
    tell(s, "join", job, hosts, code == ONWARD_OK ? NULL : error.text);
    json_decref(root);
}

static void leave(struct supervisor *s, const char *job)
{
    struct allotment *allotment = s->settings->allotment;
    uint32_t least = allotment->min_workers > 1 ? allotment->min_workers : 1;
    for (uint32_t i = 0; i < allotment->places.count; i++) {
        struct place *place = &allotment->places.list[i];
        if (strcmp(place->job, job) != 0 || place->leaves)
            continue;
        place->leaves = true;
        places_retire(&allotment->places, place->host.name);
        uint32_t slots = place->host.slots;
        bool fits = allotment->member_count >= slots + least;
        allotment->member_count = fits ? allotment->member_count - slots : least;
    }
}

/* The jobs that have a file, up to MAX_JOBS; false: they are not known. */
static bool list_jobs(const struct rundir *rundir, char (*jobs)[PLACES_JOB_BYTES], uint32_t *count)
{
    char path[PATH_MAX];
    const struct dirent *entry;
    *count = 0;
    if (file_join(path, sizeof path, rundir_path(rundir), directory_name, NULL) != ONWARD_OK)
        return false;
    DIR *list = opendir(path);
    if (!list)
        return errno == ENOENT;
    while (*count < MAX_JOBS && (entry = readdir(list)) != NULL) {
        size_t digits = strspn(entry->d_name, "0123456789_");
        if (digits > 0 && digits < PLACES_JOB_BYTES && !strcmp(entry->d_name + digits, suffix))
            snprintf(jobs[(*count)++], PLACES_JOB_BYTES, "%.*s", (int)digits, entry->d_name);
    }
    closedir(list);
    return true;
}

static bool is_among(char (*jobs)[PLACES_JOB_BYTES], uint32_t count, const char *job)
{
    for (uint32_t i = 0; i < count; i++)
        if (!strcmp(jobs[i], job))
            return true;
    return false;
}

void joins_look(struct supervisor *s, bool now)
{
    static char jobs[MAX_JOBS][PLACES_JOB_BYTES];
    const struct places *places = &s->settings->allotment->places;
    uint32_t count;
    if (!slurm_is_inside() || places->count == 0 || (!now && clock_now_s() < s->joins_next_s))
        return;
    s->joins_next_s = clock_now_s() + look_s;
    if (!list_jobs(s->settings->rundir, jobs, &count))
        return;
    for (uint32_t i = 0; i < places->count; i++)
        if (places->list[i].job[0] && !is_among(jobs, count, places->list[i].job))
            leave(s, places->list[i].job);
    for (uint32_t i = 0; !now && i < count; i++)
        if (!has_place(places, jobs[i], true))
            take(s, jobs[i]);
}
