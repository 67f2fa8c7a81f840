/* local.c - the slots of this member: their file, and the commit of a step; see local.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "hash.h"
#include "local_internal.h"

enum { MAX_ATTEMPTS = 16 };

#define MAX_FILE_BYTES ((uint64_t)1 << 50)

struct local {
    struct local_header header;
    struct local_control *control; /* in the mapping */
    unsigned char *base;           /* the mapping */
    struct local_record newest;    /* as in the mapping, once something was committed */
    uint64_t written[LOCAL_WORDS];
    uint64_t offsets[ONWARD_MAX_ARRAYS][2]; /* of the slots */
    bool is_begun;                          /* control->begun says so */
    int fd;                                 /* holds the lock; -1: no file */
    char path[PATH_MAX];                    /* of the file */
};

static uint64_t slot_bytes(uint64_t bytes)
{
    return (bytes + LOCAL_PAGE_BYTES - 1) / LOCAL_PAGE_BYTES * LOCAL_PAGE_BYTES;
}

uint64_t local_offset(const uint64_t *bytes, uint32_t array, bool second)
{
    uint64_t offset = (uint64_t)2 * LOCAL_PAGE_BYTES;
    for (uint32_t i = 0; i < array; i++)
        offset += 2 * slot_bytes(bytes[i]);
    return offset + (second ? slot_bytes(bytes[array]) : 0);
}

bool local_bit(const uint64_t *words, uint32_t array)
{
    return words[array / 64] >> array % 64 & 1;
}

uint64_t local_header_sum(const struct local_header *header)
{
    return XXH64(header, offsetof(struct local_header, sum), 0);
}

uint64_t local_record_sum(const struct local_record *record)
{
    return XXH64(record, offsetof(struct local_record, sum), 0);
}

static int read_boot(char *boot, struct error *error)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    int fd;
    int code = file_open(path, &fd, error);
    if (code != ONWARD_OK)
        return code;
    ssize_t got = read(fd, boot, LOCAL_BOOT_BYTES - 1);
    close(fd);
    return got > 0 ? ONWARD_OK : error_set(error, ONWARD_ERR_IO, "%s: cannot read", path);
}

int local_expect(const struct local_id *id, int64_t incarnation, struct local_header *header,
                 struct error *error)
{
    memset(header, 0, sizeof *header);
    if (id->array_count > ONWARD_MAX_ARRAYS || strlen(id->task) >= LOCAL_TASK_BYTES)
        return error_set(error, ONWARD_ERR_ARGUMENT, "local state: too many arrays or a long task");
    uint64_t total = (uint64_t)2 * LOCAL_PAGE_BYTES;
    for (uint32_t i = 0; i < id->array_count; i++) {
        if (id->bytes[i] > MAX_FILE_BYTES || total > MAX_FILE_BYTES)
            return error_set(error, ONWARD_ERR_ARGUMENT, "local state: the arrays are too large");
        header->bytes[i] = id->bytes[i];
        total += 2 * slot_bytes(id->bytes[i]);
    }
    memcpy(header->magic, LOCAL_MAGIC, sizeof header->magic);
    header->format = LOCAL_FORMAT;
    header->array_count = id->array_count;
    header->run = id->run;
    header->signature = id->signature;
    header->file_bytes = total;
    header->incarnation = incarnation;
    snprintf(header->task, sizeof header->task, "%s", id->task);
    int code = read_boot(header->boot, error);
    header->sum = local_header_sum(header);
    return code;
}

static int make_private(const char *path, struct error *error)
{
    struct stat status;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot make the directory", path);
    if (lstat(path, &status) != 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot look at it", path);
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        return error_set(error, ONWARD_ERR_IO,
                         "%s: expected a directory of this user that others cannot enter", path);
    return ONWARD_OK;
}

int local_directory(const struct local_id *id, bool make, char *path, size_t path_bytes,
                    struct error *error)
{
    char user[PATH_MAX], name[64 + LOCAL_TASK_BYTES];
    snprintf(name, sizeof name, "onward-%lu", (unsigned long)geteuid());
    int code = file_join(user, sizeof user, id->directory, name, error);
    snprintf(name, sizeof name, "%s.%016llx", id->task, (unsigned long long)id->run);
    if (code == ONWARD_OK)
        code = file_join(path, path_bytes, user, name, error);
    if (code == ONWARD_OK && make)
        code = make_private(user, error);
    if (code == ONWARD_OK && make)
        code = make_private(path, error);
    return code;
}

/* A file with a name of its own, locked. Between its making and its lock a neighbour may take it
 * for one that is left over, and remove it: then another is made. */
static int make_file(const struct local_id *id, char *path, int *fd, struct error *error)
{
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        char directory[PATH_MAX], name[64];
        struct stat status;
        int code = local_directory(id, true, directory, sizeof directory, error);
        snprintf(name, sizeof name, "i%lld.XXXXXX" LOCAL_SUFFIX, (long long)id->incarnation);
        if (code == ONWARD_OK)
            code = file_join(path, PATH_MAX, directory, name, error);
        if (code != ONWARD_OK)
            return code;
        *fd = mkostemps(path, (int)strlen(LOCAL_SUFFIX), O_CLOEXEC);
        if (*fd < 0 && errno == ENOENT)
            continue; /* a neighbour that ended removed the directory */
        if (*fd < 0)
            return error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot make a file",
                                   directory);
        if (flock(*fd, LOCK_EX | LOCK_NB) == 0 && fstat(*fd, &status) == 0 && status.st_nlink > 0)
            return ONWARD_OK;
        close(*fd);
        *fd = -1;
        unlink(path);
    }
    return error_set(error, ONWARD_ERR_IO, "%s: cannot lock a file there", id->directory);
}

static int take_room(const struct local *local, const char *directory, struct error *error)
{
    int failed = EINTR;
    for (int attempt = 0; attempt < MAX_ATTEMPTS && failed == EINTR; attempt++)
        failed = posix_fallocate(local->fd, 0, (off_t)local->header.file_bytes);
    if (failed == 0)
        return ONWARD_OK;
    return error_set_errno(error, ONWARD_ERR_IO, failed,
                           "%s: no room for the local copy of the state, %llu bytes", directory,
                           (unsigned long long)local->header.file_bytes);
}

static int map(struct local *local, struct error *error)
{
    int flags = local->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED | MAP_POPULATE;
    void *base = mmap(NULL, local->header.file_bytes, PROT_READ | PROT_WRITE, flags, local->fd, 0);
    if (base == MAP_FAILED)
        return error_set_errno(error, ONWARD_ERR_MEMORY, errno, "no memory for %llu bytes of state",
                               (unsigned long long)local->header.file_bytes);
    local->base = base;
    local->control = (struct local_control *)(local->base + LOCAL_PAGE_BYTES);
    local->control->not_begun = ~local->control->begun;
    for (uint32_t i = 0; i < local->header.array_count; i++) {
        local->offsets[i][0] = local_offset(local->header.bytes, i, false);
        local->offsets[i][1] = local_offset(local->header.bytes, i, true);
    }
    memcpy(local->base, &local->header, sizeof local->header);
    return ONWARD_OK;
}

/* The handle, with its header and, where there is a directory, its file. */
static int begin(const struct local_id *id, struct local **result, struct error *error)
{
    struct local *local = calloc(1, sizeof *local);
    *result = local;
    if (!local)
        return error_set(error, ONWARD_ERR_MEMORY, "no memory for the local state");
    local->fd = -1;
    int code = local_expect(id, id->incarnation, &local->header, error);
    if (code == ONWARD_OK && id->directory)
        code = make_file(id, local->path, &local->fd, error);
    return code;
}

static int end(struct local **local, int code)
{
    if (code == ONWARD_OK)
        return code;
    local_remove(*local);
    *local = NULL;
    return code;
}

int local_create(const struct local_id *id, struct local **local, struct error *error)
{
    int code = begin(id, local, error);
    if (code == ONWARD_OK && id->directory)
        code = take_room(*local, id->directory, error);
    if (code == ONWARD_OK)
        code = map(*local, error);
    return end(local, code);
}

/* The first slots, and a commit of them; the second ones stay a hole. */
static int write_once(const struct local *local, const void *const *data, int64_t epoch,
                      int64_t step, struct error *error)
{
    const struct local_header *header = &local->header;
    struct local_control control = {.not_begun = ~(uint64_t)0};
    struct local_record *record = &control.records[1];
    int code = ONWARD_OK;
    record->sequence = 1;
    record->epoch = epoch;
    record->step = step;
    record->sum = local_record_sum(record);
    for (uint32_t i = 0; i < header->array_count && code == ONWARD_OK; i++)
        code = file_write_at(local->fd, data[i], header->bytes[i],
                             local_offset(header->bytes, i, false), local->path, error);
    if (code == ONWARD_OK && ftruncate(local->fd, (off_t)header->file_bytes) != 0)
        code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot set its size", local->path);
    if (code == ONWARD_OK)
        code = file_write_at(local->fd, &control, sizeof control, LOCAL_PAGE_BYTES, local->path,
                             error);
    return code == ONWARD_OK
               ? file_write_at(local->fd, header, sizeof *header, 0, local->path, error)
               : code;
}

int local_leave(const struct local_id *id, const void *const *data, int64_t epoch, int64_t step,
                struct local **local, struct error *error)
{
    int code = begin(id, local, error);
    if (code == ONWARD_OK)
        code = write_once(*local, data, epoch, step, error);
    return end(local, code);
}

void local_close(struct local *local)
{
    if (!local)
        return;
    if (local->base)
        munmap(local->base, local->header.file_bytes);
    if (local->fd >= 0)
        close(local->fd);
    free(local);
}

void local_remove(struct local *local)
{
    if (local && local->fd >= 0)
        unlink(local->path);
    local_close(local);
}

static void *slot(const struct local *local, uint32_t array, bool second)
{
    return local->base + local->offsets[array][second];
}

void *local_current(const struct local *local, uint32_t array)
{
    return slot(local, array, local_bit(local->newest.second, array));
}

bool local_is_written(const struct local *local, uint32_t array)
{
    return local_bit(local->written, array);
}

void *local_next(struct local *local, uint32_t array)
{
    if (!local->is_begun) {
        struct local_control *control = local->control;
        control->begun = local->newest.sequence;
        control->not_begun = ~local->newest.sequence;
        local->is_begun = true;
        __atomic_thread_fence(__ATOMIC_RELEASE); /* before anything in the slots */
    }
    local->written[array / 64] |= (uint64_t)1 << array % 64;
    return slot(local, array, !local_bit(local->newest.second, array));
}

void local_commit(struct local *local, int64_t epoch, int64_t step)
{
    struct local_record *record = &local->newest;
    record->sequence++;
    record->epoch = epoch;
    record->step = step;
    for (int i = 0; i < LOCAL_WORDS; i++)
        record->second[i] ^= local->written[i];
    record->sum = local_record_sum(record);
    __atomic_thread_fence(__ATOMIC_RELEASE); /* the slots come first */
    local->control->records[record->sequence % 2] = *record;
    __atomic_thread_fence(__ATOMIC_RELEASE); /* and the next step's writes behind it */
    local_discard(local);
    local->is_begun = false;
}

void local_discard(struct local *local)
{
    memset(local->written, 0, sizeof local->written);
}
