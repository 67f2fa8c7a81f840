/* slurm_task.c - the file slurm.json of a run directory, and the search for it by job ID. */
#include "slurm_task.h"

#include <dirent.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "file.h"
#include "say.h"
#include "slurm.h"

static const char file_name[] = "slurm.json";

/* "12_3" for an element of an array, else NULL. */
static const char *array_job(char *text, size_t text_bytes)
{
    const char *job = getenv("SLURM_ARRAY_JOB_ID"), *element = getenv("SLURM_ARRAY_TASK_ID");
    if (!job || !element)
        return NULL;
    snprintf(text, text_bytes, "%s_%s", job, element);
    return text;
}

void slurm_task_record(const struct rundir *rundir)
{
    char path[PATH_MAX], text[64];
    struct error error = {.text = "out of memory"};
    if (!slurm_is_inside())
        return;
    json_t *root = json_pack("{s:s, s:s*, s:s*, s:s*}", "job", slurm_job(), "array_job",
                             array_job(text, sizeof text), "nodes", getenv("SLURM_JOB_NODELIST"),
                             "cluster", getenv("SLURM_CLUSTER_NAME"));
    char *bytes = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    int code = bytes ? file_join(path, sizeof path, rundir_path(rundir), file_name, &error)
                     : ONWARD_ERR_MEMORY;
    if (code == ONWARD_OK)
        code = file_replace(path, bytes, strlen(bytes), &error);
    if (code != ONWARD_OK)
        say("%s: %s", file_name, error.text);
    free(bytes);
}

bool slurm_task_hosts(const struct rundir *rundir, char *text, size_t text_bytes)
{
    char path[PATH_MAX];
    if (file_join(path, sizeof path, rundir_path(rundir), file_name, NULL) != ONWARD_OK)
        return false;
    json_t *root = json_load_file(path, 0, NULL);
    const char *nodes = json_string_value(json_object_get(root, "nodes"));
    bool fits = nodes && *nodes && strlen(nodes) < text_bytes;
    if (fits)
        memcpy(text, nodes, strlen(nodes) + 1);
    json_decref(root);
    return fits;
}

static bool is_job_id(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && text[digits] == '_')
        digits += 1 + strspn(text + digits + 1, "0123456789");
    return digits > 0 && text[digits] == '\0';
}

/* Does the file name the job? Then when it was written, else -1. */
static double time_of(const char *path, const char *job)
{
    struct stat status;
    json_t *root = json_load_file(path, 0, NULL);
    const char *own = json_string_value(json_object_get(root, "job"));
    const char *array = json_string_value(json_object_get(root, "array_job"));
    bool fits = (own && !strcmp(own, job)) || (array && !strcmp(array, job));
    json_decref(root);
    if (!fits || stat(path, &status) != 0)
        return -1;
    return (double)status.st_mtim.tv_sec + (double)status.st_mtim.tv_nsec * 1e-9;
}

bool slurm_task_find(const char *base, const char *text, char task[RUNDIR_TASK_BYTES])
{
    char directory[PATH_MAX], path[PATH_MAX + 2 * RUNDIR_TASK_BYTES];
    const struct dirent *entry;
    double newest = -1;
    if (!is_job_id(text) || rundir_base(base, directory, sizeof directory, NULL) != ONWARD_OK)
        return false;
    DIR *tasks = opendir(directory);
    while (tasks && (entry = readdir(tasks)) != NULL) {
        if (strlen(entry->d_name) >= RUNDIR_TASK_BYTES)
            continue;
        if (!strcmp(entry->d_name, text)) { /* a task's own name goes before */
            newest = -1;
            break;
        }
        snprintf(path, sizeof path, "%s/%s/%s", directory, entry->d_name, file_name);
        double time_s = time_of(path, text);
        if (time_s > newest) {
            newest = time_s;
            memcpy(task, entry->d_name, strlen(entry->d_name) + 1);
        }
    }
    if (tasks)
        closedir(tasks);
    return newest >= 0;
}
