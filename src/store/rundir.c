/* rundir.c - opening a run directory: task IDs, paths, what is made on the way, and the reading and
 * writing of small files that the other parts of rundir use.
 *
 * Opening looks before it makes: a record that does not fit what is there changes nothing. */
#include "rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rundir_internal.h"

int rundir_check_task(const char *task, struct error *error)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = task ? strlen(task) : 0;
    if (length > 0 && length < RUNDIR_TASK_BYTES && task[0] != '.' && task[0] != '-' &&
        strspn(task, allowed) == length)
        return ONWARD_OK;
    return error_set(error, ONWARD_ERR_INPUT,
                     "task ID \"%.80s\": expected 1 to %d letters, digits, '.', '_' or '-', the "
                     "first neither '.' nor '-'",
                     task ? task : "", RUNDIR_TASK_BYTES - 1);
}

int rundir_base(const char *directory, char *path, size_t path_bytes, struct error *error)
{
    const char *base = directory;
    if (!base || !*base)
        base = getenv("ONWARD_DIR");
    if (!base || !*base)
        base = "onward-runs";
    if (base[0] == '/') {
        int size = snprintf(path, path_bytes, "%s", base);
        if (size < 0 || (size_t)size >= path_bytes)
            return error_set(error, ONWARD_ERR_ARGUMENT, "%.200s...: the path is too long", base);
        return ONWARD_OK;
    }
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here))
        return error_set_errno(error, ONWARD_ERR_IO, errno, "working directory");
    if (!strncmp(base, "./", 2))
        base += 2;
    return file_join(path, path_bytes, here, base, error);
}

static int read_all(int fd, const char *path, char *bytes, size_t size, struct error *error)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(fd, bytes + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(error, ONWARD_ERR_IO, errno, "%s", path);
        if (got == 0)
            return error_set(error, ONWARD_ERR_CORRUPT, "%s: became shorter while it was read",
                             path);
        done += (size_t)got;
    }
    return ONWARD_OK;
}

static int read_regular(int fd, const char *path, char **bytes, size_t *size, struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s", path);
    if (!S_ISREG(status.st_mode) || status.st_size > RUNDIR_FILE_LIMIT_BYTES)
        return error_set(error, ONWARD_ERR_CORRUPT, "%s: expected a file of at most %d bytes", path,
                         RUNDIR_FILE_LIMIT_BYTES);
    size_t length = (size_t)status.st_size;
    char *buffer = malloc(length + 1);
    if (!buffer)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory", path);
    int code = read_all(fd, path, buffer, length, error);
    if (code != ONWARD_OK) {
        free(buffer);
        return code;
    }
    buffer[length] = '\0';
    *bytes = buffer;
    *size = length;
    return ONWARD_OK;
}

int rundir_read_bytes(const char *path, char **bytes, size_t *size, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a fifo must not hold us up */
    if (fd < 0) {
        int code = errno == ENOENT || errno == ENOTDIR ? ONWARD_ERR_NOT_FOUND : ONWARD_ERR_IO;
        return error_set_errno(error, code, errno, "%s", path);
    }
    int code = read_regular(fd, path, bytes, size, error);
    close(fd);
    return code;
}

int rundir_read_json(const struct rundir *rundir, const char *name, json_t **root,
                     struct error *error)
{
    char path[PATH_MAX], *bytes;
    size_t size;
    int code = file_join(path, sizeof path, rundir->path, name, error);
    if (code == ONWARD_OK)
        code = rundir_read_bytes(path, &bytes, &size, error);
    if (code != ONWARD_OK)
        return code;
    json_error_t problem;
    *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &problem);
    free(bytes);
    if (!*root)
        return error_set(error, ONWARD_ERR_CORRUPT, "%s: line %d: %s", path, problem.line,
                         problem.text);
    if (json_is_object(*root))
        return ONWARD_OK;
    json_decref(*root);
    *root = NULL;
    return error_set(error, ONWARD_ERR_CORRUPT, "%s: expected a JSON object", path);
}

static int write_root(const struct rundir *rundir, const char *name, json_t *root, bool synced,
                      const struct fence *fence, struct error *error)
{
    char path[PATH_MAX];
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    json_decref(root);
    if (!text)
        return error_set(error, ONWARD_ERR_MEMORY,
                         "%s/%s: cannot be put into JSON: out of memory, or a text is not UTF-8",
                         rundir->path, name);
    int code = file_join(path, sizeof path, rundir->path, name, error);
    if (code == ONWARD_OK)
        code = synced ? file_replace_fenced(path, text, strlen(text), fence, error)
                      : file_replace_unsynced(path, text, strlen(text), fence, error);
    free(text);
    return code;
}

int rundir_write_json(const struct rundir *rundir, const char *name, json_t *root,
                      const struct fence *fence, struct error *error)
{
    return write_root(rundir, name, root, true, fence, error);
}

int rundir_write_unsynced(const struct rundir *rundir, const char *name, json_t *root,
                          const struct fence *fence, struct error *error)
{
    return write_root(rundir, name, root, false, fence, error);
}

int rundir_judge_access(int code, struct error *error)
{
    int number = code != ONWARD_OK && error ? error->errno_value : 0;
    if (number != EACCES && number != EPERM && number != EROFS)
        return code;
    size_t used = strlen(error->text);
    snprintf(error->text + used, sizeof error->text - used,
             "; expected a run directory that this user can write");
    return error->code = ONWARD_ERR_INPUT;
}

bool rundir_may_recover(const struct error *error)
{
    int number = error->errno_value;
    return number == ENOSPC || number == EDQUOT || number == EROFS || number == EIO ||
           number == ESTALE || number == ETIMEDOUT;
}

int rundir_try_write(const struct rundir *rundir, struct error *error)
{
    char path[PATH_MAX];
    json_t *root = json_pack("{s:s}", "task", rundir->task);
    int code = rundir_write_unsynced(rundir, ".room", root, NULL, error);
    if (code == ONWARD_OK)
        code = file_join(path, sizeof path, rundir->path, ".room", error);
    if (code == ONWARD_OK)
        unlink(path);
    return code;
}

/* Whether what is there belongs to the task that the record describes. */
static int compare_records(const char *path, const struct task_record *there,
                           const struct task_record *record, struct error *error)
{
    if (record->subtask_count && there->subtask_count &&
        record->subtask_count != there->subtask_count)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: subtask_count is %u, the program says %u: expected the same, or "
                         "another task ID",
                         path, there->subtask_count, record->subtask_count);
    if (record->step_count >= 0 && there->step_count >= 0 &&
        record->step_count != there->step_count)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: step_count is %lld, the program says %lld: expected the same, or "
                         "another task ID",
                         path, (long long)there->step_count, (long long)record->step_count);
    return ONWARD_OK;
}

static int check_there(const char *path, const char *task, const struct task_record *record,
                       bool *there, struct error *error)
{
    struct task_record old;
    int code = rundir_load_task(path, &old, error);
    *there = code == ONWARD_OK;
    if (code == ONWARD_ERR_NOT_FOUND && record)
        return ONWARD_OK;
    if (code != ONWARD_OK)
        return code;
    if (strcmp(old.task, task) != 0)
        code = error_set(error, ONWARD_ERR_OTHER_TASK, "%s: holds task %.63s, expected %s", path,
                         old.task, task);
    else if (record)
        code = compare_records(path, &old, record, error);
    task_record_clear(&old);
    return code;
}

static const char *const directories[] = {"requests", "logs", "ckpt"};

bool rundir_is_at(const char *path)
{
    char name[PATH_MAX];
    struct stat status;
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        if (file_join(name, sizeof name, path, directories[i], NULL) != ONWARD_OK ||
            stat(name, &status) != 0 || !S_ISDIR(status.st_mode))
            return false;
    return file_join(name, sizeof name, path, "task.yaml", NULL) == ONWARD_OK &&
           access(name, F_OK) == 0;
}

static int make_missing(const char *path, const struct task_record *record, bool there,
                        struct error *error)
{
    char name[PATH_MAX];
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        int code = file_join(name, sizeof name, path, directories[i], error);
        if (code == ONWARD_OK)
            code = file_make_directories(name, error);
        if (code != ONWARD_OK)
            return code;
    }
    int code = file_join(name, sizeof name, path, "task.yaml", error);
    if (code == ONWARD_OK && !there)
        code = rundir_save_task(name, record, error);
    return code;
}

static int open_at(struct rundir *rundir, const char *base, const struct task_record *record,
                   struct error *error)
{
    char name[PATH_MAX];
    bool there = false;
    int code = file_join(rundir->path, sizeof rundir->path, base, rundir->task, error);
    if (code == ONWARD_OK)
        code = file_join(name, sizeof name, rundir->path, "task.yaml", error);
    if (code == ONWARD_OK)
        code = check_there(name, rundir->task, record, &there, error);
    rundir->made = code == ONWARD_OK && record && access(rundir->path, F_OK) != 0;
    rundir->made_base = rundir->made && access(base, F_OK) != 0;
    if (code == ONWARD_OK && record)
        code = rundir_judge_access(make_missing(rundir->path, record, there, error), error);
    return code;
}

int rundir_open(const char *base, const char *task, const struct task_record *record,
                struct rundir **rundir, struct error *error)
{
    *rundir = NULL;
    char absolute[PATH_MAX];
    int code = rundir_check_task(task, error);
    if (code == ONWARD_OK)
        code = rundir_base(base, absolute, sizeof absolute, error);
    if (code != ONWARD_OK)
        return code;
    struct rundir *opened = calloc(1, sizeof *opened);
    if (!opened)
        return error_set(error, ONWARD_ERR_MEMORY, "run directory of %s: out of memory", task);
    opened->lock_fd = opened->events_fd = -1;
    memcpy(opened->task, task, strlen(task) + 1);
    code = open_at(opened, absolute, record, error);
    if (code == ONWARD_OK)
        *rundir = opened;
    else
        rundir_close(opened);
    return code;
}

void rundir_discard(struct rundir *rundir)
{
    char name[PATH_MAX];
    if (!rundir || !rundir->made ||
        file_join(name, sizeof name, rundir->path, "events.jsonl", NULL) != ONWARD_OK ||
        access(name, F_OK) == 0)
        return;
    file_remove_tree(rundir->path);
    if (rundir->lock_fd >= 0)
        close(rundir->lock_fd);
    rundir->lock_fd = -1;
    rmdir(rundir->path); /* NFS keeps a file that is open until it is closed */
    *strrchr(rundir->path, '/') = '\0';
    if (rundir->made_base)
        rmdir(rundir->path);
}

void rundir_close(struct rundir *rundir)
{
    if (!rundir)
        return;
    if (rundir->events_fd >= 0)
        close(rundir->events_fd);
    if (rundir->lock_fd >= 0)
        close(rundir->lock_fd);
    free(rundir->kept);
    free(rundir);
}

const char *rundir_path(const struct rundir *rundir)
{
    return rundir->path;
}
