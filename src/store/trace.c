/* trace.c - see trace.h. Another process reads the file, mostly after its owner's death: what it
 * finds there is looked at before it is believed. */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "file.h"
#include "local_internal.h"

#define TRACE_MAGIC "onwardT"

struct trace_file {
    char magic[8];
    _Atomic int64_t step, subtask;
};

struct trace {
    struct trace_file *file; /* mapped */
    char path[PATH_MAX];
};

static int trace_path(const struct local_id *id, bool make, int32_t pid, char *path,
                      struct error *error)
{
    char directory[PATH_MAX], name[64];
    int code = local_directory(id, make, directory, sizeof directory, error);
    snprintf(name, sizeof name, "i%lld.%ld" TRACE_SUFFIX, (long long)id->incarnation, (long)pid);
    return code == ONWARD_OK ? file_join(path, PATH_MAX, directory, name, error) : code;
}

/* With its room taken at once: a full disk is an error here, never a signal later. */
static int map(struct trace *trace, struct error *error)
{
    int fd = open(trace->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s", trace->path);
    int problem = posix_fallocate(fd, 0, sizeof *trace->file);
    void *base = problem
                     ? MAP_FAILED
                     : mmap(NULL, sizeof *trace->file, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    problem = problem ? problem : errno;
    close(fd);
    if (base != MAP_FAILED) {
        trace->file = base;
        return ONWARD_OK;
    }
    unlink(trace->path);
    return error_set_errno(error, ONWARD_ERR_IO, problem, "%s", trace->path);
}

int trace_open(const struct local_id *id, struct trace **result, struct error *error)
{
    *result = NULL;
    struct trace *trace = calloc(1, sizeof *trace);
    if (!trace)
        return error_set(error, ONWARD_ERR_MEMORY, "no memory for a trace");
    int code = trace_path(id, true, (int32_t)getpid(), trace->path, error);
    if (code == ONWARD_OK)
        code = map(trace, error);
    if (code != ONWARD_OK) {
        free(trace);
        return code;
    }
    trace_subtask(trace, TRACE_NO_SUBTASK);
    memcpy(trace->file->magic, TRACE_MAGIC, sizeof trace->file->magic);
    local_remove_traces(id);
    *result = trace;
    return ONWARD_OK;
}

void trace_close(struct trace *trace)
{
    if (!trace)
        return;
    munmap(trace->file, sizeof *trace->file);
    unlink(trace->path);
    local_remove_empty(trace->path);
    free(trace);
}

void trace_step(struct trace *trace, int64_t step)
{
    if (!trace)
        return;
    trace_subtask(trace, TRACE_NO_SUBTASK);
    atomic_store_explicit(&trace->file->step, step, memory_order_release);
}

void trace_subtask(struct trace *trace, int64_t subtask)
{
    if (trace)
        atomic_store_explicit(&trace->file->subtask, subtask, memory_order_release);
}

int trace_read(const struct local_id *id, int32_t pid, struct trace_point *point)
{
    char path[PATH_MAX];
    struct trace_file file;
    int fd, code = trace_path(id, false, pid, path, NULL);
    if (code == ONWARD_OK)
        code = file_open(path, &fd, NULL);
    if (code != ONWARD_OK)
        return ONWARD_ERR_NOT_FOUND;
    code = file_read_at(fd, &file, sizeof file, 0, path, NULL);
    close(fd);
    if (code != ONWARD_OK || memcmp(file.magic, TRACE_MAGIC, sizeof file.magic) != 0)
        return ONWARD_ERR_NOT_FOUND;
    *point = (struct trace_point){atomic_load(&file.step), atomic_load(&file.subtask)};
    return ONWARD_OK;
}
