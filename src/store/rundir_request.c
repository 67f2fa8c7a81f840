/* rundir_request.c - what the operator asks for: one small file a request, renamed into requests/,
 * so that any host that sees the directory can ask. Names begin with the time, so that their order
 * is that of asking. A request names its task, so that one that was put into another task's
 * directory by mistake is not obeyed there. */
#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rundir_internal.h"

#define SUFFIX ".json"

enum { MAX_COUNT = 1 << 20 }; /* workers or members that anyone may ask for */

static bool is_request(const char *request)
{
    static const char *const requests[] = {"checkpoint", "stop",    "restart", "scale",
                                           "drain",      "undrain", "hosts"};
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        if (!strcmp(request, requests[i]))
            return true;
    return false;
}

static void name_request(struct run_request *request)
{
    char time[40];
    uint32_t random = 0;
    time_text(time, sizeof time);
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (uint32_t)getpid();
    snprintf(request->name, sizeof request->name, "%s-%08x", time, random);
}

static void name_asker(struct run_request *request)
{
    char host[RUNDIR_HOST_BYTES] = "";
    struct passwd entry, *found = NULL;
    char buffer[4096];
    if (request->by[0])
        return;
    gethostname(host, sizeof host - 1);
    if (getpwuid_r(geteuid(), &entry, buffer, sizeof buffer, &found) == 0 && found)
        snprintf(request->by, sizeof request->by, "%.31s@%s", found->pw_name, host);
    else
        snprintf(request->by, sizeof request->by, "%ld@%s", (long)geteuid(), host);
}

int rundir_put_request(struct rundir *rundir, struct run_request *request, struct error *error)
{
    char path[PATH_MAX], name[96];
    if (!is_request(request->request))
        return error_set(
            error, ONWARD_ERR_ARGUMENT,
            "request \"%s\": expected checkpoint, stop, restart, scale, drain, undrain or hosts",
            request->request);
    int code = file_join(path, sizeof path, rundir->path, "requests", error);
    if (code == ONWARD_OK)
        code = file_make_directories(path, error);
    if (code != ONWARD_OK)
        return rundir_judge_access(code, error);
    name_request(request);
    name_asker(request);
    snprintf(name, sizeof name, "requests/%s" SUFFIX, request->name);
    code = rundir_write_json(rundir, name,
                             json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:s}", "task", rundir->task,
                                       "request", request->request, "count",
                                       (json_int_t)request->count, "member",
                                       (json_int_t)request->member, "host", request->host, "hosts",
                                       request->hosts, "by", request->by),
                             NULL, error);
    return rundir_judge_access(code, error);
}

bool rundir_withdraw_request(const struct rundir *rundir, const char *name)
{
    bool is_removed = false;
    char file[NAME_MAX + 16], path[PATH_MAX];
    snprintf(file, sizeof file, "requests/%.200s" SUFFIX, name);
    if (file_join(path, sizeof path, rundir->path, file, NULL) == ONWARD_OK)
        is_removed = unlink(path) == 0;
    return is_removed;
}

/* The first in order of names into name (without the suffix); "" when there is none. */
static int find_oldest(const char *directory, char *name, size_t name_bytes, struct error *error)
{
    name[0] = '\0';
    DIR *requests = opendir(directory);
    if (!requests)
        return errno == ENOENT ? ONWARD_OK
                               : error_set_errno(error, ONWARD_ERR_IO, errno, "%s", directory);
    const struct dirent *entry;
    while ((entry = file_next_entry(requests)) != NULL) {
        size_t length = strlen(entry->d_name), suffix = strlen(SUFFIX);
        if (entry->d_name[0] == '.' || length <= suffix || length >= name_bytes ||
            strcmp(entry->d_name + length - suffix, SUFFIX) != 0)
            continue;
        if (!name[0] || strcmp(entry->d_name, name) < 0)
            memcpy(name, entry->d_name, length + 1);
    }
    int code =
        errno == 0 ? ONWARD_OK : error_set_errno(error, ONWARD_ERR_IO, errno, "%s", directory);
    closedir(requests);
    return code;
}

/* NULL when root is a request for this task, else what was expected. */
static const char *decode_request(json_t *root, const char *task, struct run_request *request)
{
    const char *what = NULL, *host = "", *hosts = "", *by = "", *meant = task;
    json_int_t count = 0, member = 0;
    json_error_t problem;
    if (json_unpack_ex(root, &problem, 0, "{s:s, s?s, s?I, s?I, s?s, s?s, s?s}", "request", &what,
                       "task", &meant, "count", &count, "member", &member, "host", &host, "hosts",
                       &hosts, "by", &by) != 0)
        return "\"request\" as a text, \"count\" and \"member\" as whole numbers, \"task\", "
               "\"host\", \"hosts\" and \"by\" as texts";
    if (strcmp(meant, task) != 0)
        return "\"task\" to be this task";
    if (!is_request(what))
        return "\"request\" to be checkpoint, stop, restart, scale, drain, undrain or hosts";
    if (count < 0 || count > MAX_COUNT || member < 0 || member > UINT32_MAX)
        return "\"count\" of 0 to 1048576 and \"member\" of at least 0";
    if (strlen(host) >= sizeof request->host || strlen(by) >= sizeof request->by)
        return "\"host\" and \"by\" of at most 255 bytes";
    if (strlen(hosts) >= sizeof request->hosts || (!strcmp(what, "hosts") && !*hosts))
        return "\"hosts\" as NAME:SLOTS,... of at most 4095 bytes";
    snprintf(request->hosts, sizeof request->hosts, "%s", hosts);
    snprintf(request->request, sizeof request->request, "%s", what);
    snprintf(request->host, sizeof request->host, "%s", host);
    snprintf(request->by, sizeof request->by, "%s", by);
    request->count = count;
    request->member = member;
    return NULL;
}

static int reject(const char *path, const char *expected, struct error *error)
{
    char rejected[PATH_MAX + 16];
    snprintf(rejected, sizeof rejected, "%.*s.rejected", (int)(strlen(path) - strlen(SUFFIX)),
             path);
    if (rename(path, rejected) != 0 && unlink(path) != 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot be moved away", path);
    return error_set(error, ONWARD_ERR_INPUT, "%s: no request: expected %s", rejected, expected);
}

static int take_file(const struct rundir *rundir, const char *file, struct run_request *request,
                     bool *found, struct error *error)
{
    char name[NAME_MAX + 16], path[PATH_MAX];
    json_t *root;
    snprintf(name, sizeof name, "requests/%s", file);
    int code = file_join(path, sizeof path, rundir->path, name, error);
    if (code != ONWARD_OK)
        return code;
    code = rundir_read_json(rundir, name, &root, error);
    if (code == ONWARD_ERR_NOT_FOUND)
        return ONWARD_OK; /* taken by another in between */
    if (code == ONWARD_ERR_CORRUPT)
        return reject(path, "a JSON object", error);
    if (code != ONWARD_OK)
        return code;
    *request = (struct run_request){.count = 0};
    snprintf(request->name, sizeof request->name, "%.*s", (int)(strlen(file) - strlen(SUFFIX)),
             file);
    const char *expected = decode_request(root, rundir->task, request);
    json_decref(root);
    if (expected)
        return reject(path, expected, error);
    if (unlink(path) != 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s", path);
    *found = true;
    return ONWARD_OK;
}

int rundir_take_request(struct rundir *rundir, struct run_request *request, bool *found,
                        struct error *error)
{
    char directory[PATH_MAX], file[NAME_MAX + 1] = "";
    *found = false;
    int code = file_join(directory, sizeof directory, rundir->path, "requests", error);
    if (code == ONWARD_OK)
        code = find_oldest(directory, file, sizeof file, error);
    if (code == ONWARD_OK && file[0] && rundir->incarnation > 0)
        code = rundir_check_fence(rundir, error); /* it is for the side that took over */
    if (code == ONWARD_OK && file[0])
        code = take_file(rundir, file, request, found, error);
    return code;
}
