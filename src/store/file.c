/* file.c - paths, whole writes and atomic replacement; see file.h. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_OPEN_DIRECTORIES = 16,
    TEMPORARY_ATTEMPTS = 16,
    TRANSFER_MAX_BYTES = 1 << 30,
    RESERVE_MIN_BYTES = 1 << 20
};

int file_join(char *path, size_t path_bytes, const char *directory, const char *name,
              struct error *error)
{
    int length = snprintf(path, path_bytes, "%s/%s", directory, name);
    if (length < 0 || (size_t)length >= path_bytes)
        return error_set(error, ONWARD_ERR_ARGUMENT, "%.200s/%.200s: the path is too long",
                         directory, name);
    return ONWARD_OK;
}

int file_parent(char *directory, size_t directory_bytes, const char *path, struct error *error)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 1;
    if (length == 0) /* the root */
        length = 1;
    if (length >= directory_bytes)
        return error_set(error, ONWARD_ERR_ARGUMENT, "%.400s: the path is too long", path);
    memcpy(directory, slash ? path : ".", length);
    directory[length] = '\0';
    return ONWARD_OK;
}

int file_sync_directory(const char *path, struct error *error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot open the directory", path);
    /* Some file systems cannot sync a directory and need not: they say EINVAL. */
    int failed = fsync(fd) != 0 && errno != EINVAL ? errno : 0;
    close(fd);
    if (failed)
        return error_set_errno(error, ONWARD_ERR_IO, failed, "%s: cannot sync the directory", path);
    return ONWARD_OK;
}

/* Makes one directory whose parent exists; one that is there already is fine. */
static int make_directory(const char *path, struct error *error)
{
    struct stat status;
    if (mkdir(path, 0777) != 0) {
        int failed = errno;
        if (failed == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
            return ONWARD_OK;
        return error_set_errno(error, ONWARD_ERR_IO, failed, "%s: cannot make the directory", path);
    }
    char parent[PATH_MAX];
    int code = file_parent(parent, sizeof parent, path, error);
    return code != ONWARD_OK ? code : file_sync_directory(parent, error);
}

int file_make_directories(const char *path, struct error *error)
{
    char part[PATH_MAX];
    struct stat status;
    size_t length = strlen(path);
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return ONWARD_OK;
    if (length == 0 || length >= sizeof part)
        return error_set(error, ONWARD_ERR_ARGUMENT,
                         "%.400s: expected a path of 1 to %d bytes, not %zu", path, PATH_MAX - 1,
                         length);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        int code = make_directory(part, error);
        if (code != ONWARD_OK)
            return code;
    }
    return ONWARD_OK;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    remove(path); /* what cannot be removed stays */
    return 0;
}

void file_remove_tree(const char *path)
{
    nftw(path, remove_entry, MAX_OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
}

const struct dirent *file_next_entry(DIR *directory)
{
    errno = 0;
    return readdir(directory);
}

int file_temporary(const char *path, char *temporary, size_t temporary_bytes, int *fd,
                   struct error *error)
{
    for (int attempt = 0; attempt < TEMPORARY_ATTEMPTS; attempt++) {
        uint32_t bits = 0;
        if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != sizeof bits)
            bits = (uint32_t)attempt; /* the process ID alone will nearly always do */
        int length =
            snprintf(temporary, temporary_bytes, "%s.tmp-%ld-%08x", path, (long)getpid(), bits);
        if (length < 0 || (size_t)length >= temporary_bytes)
            return error_set(error, ONWARD_ERR_ARGUMENT, "%.400s: the path is too long", path);
        *fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (*fd >= 0)
            return ONWARD_OK;
        if (errno != EEXIST)
            return error_set_errno(error,
                                   errno == ENAMETOOLONG ? ONWARD_ERR_ARGUMENT : ONWARD_ERR_IO,
                                   errno, "%s: cannot write", path);
    }
    return error_set(error, ONWARD_ERR_IO, "%s: every temporary name is taken", path);
}

bool file_is_in_memory(int fd)
{
    struct statfs status;
    return fstatfs(fd, &status) == 0 &&
           (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC);
}

int file_reserve(int fd, uint64_t size, const char *path, struct error *error)
{
    /* Where files are memory this would fill it with zeros first, for nothing. */
    if (size < RESERVE_MIN_BYTES || file_is_in_memory(fd) || fallocate(fd, 0, 0, (off_t)size) == 0)
        return ONWARD_OK;
    if (errno == ENOSPC || errno == EDQUOT)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot write", path);
    return ONWARD_OK; /* it cannot: the writes will tell */
}

int file_settle(int fd, const char *path, struct error *error)
{
    if (file_is_in_memory(fd) || fsync(fd) == 0 || errno == EINVAL) /* it cannot, and need not */
        return ONWARD_OK;
    error_set_errno(error, ONWARD_ERR_IO, errno, "%s: was not written to the disk", path);
    if (error) /* also where it was for want of room */
        error->code = ONWARD_ERR_IO;
    return ONWARD_ERR_IO;
}

int file_write_at(int fd, const void *bytes, size_t size, uint64_t offset, const char *path,
                  struct error *error)
{
    const char *next = bytes;
    while (size > 0) {
        size_t part = size < TRANSFER_MAX_BYTES ? size : TRANSFER_MAX_BYTES;
        ssize_t written = pwrite(fd, next, part, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return error_set_errno(error, ONWARD_ERR_IO, written < 0 ? errno : EIO,
                                   "%s: cannot write", path);
        next += written;
        size -= (size_t)written;
        offset += (uint64_t)written;
    }
    return ONWARD_OK;
}

int file_read_at(int fd, void *bytes, size_t size, uint64_t offset, const char *path,
                 struct error *error)
{
    char *next = bytes;
    while (size > 0) {
        size_t part = size < TRANSFER_MAX_BYTES ? size : TRANSFER_MAX_BYTES;
        ssize_t got = pread(fd, next, part, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot read", path);
        if (got == 0)
            return error_set(error, ONWARD_ERR_CORRUPT, "%s: is shorter than expected", path);
        next += got;
        size -= (size_t)got;
        offset += (uint64_t)got;
    }
    return ONWARD_OK;
}

static int tell_unopened(const char *path, struct error *error)
{
    int code = errno == ENOENT || errno == ENOTDIR ? ONWARD_ERR_NOT_FOUND : ONWARD_ERR_IO;
    return error_set_errno(error, code, errno, "%s: cannot read", path);
}

int file_open(const char *path, int *fd, struct error *error)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    return *fd >= 0 ? ONWARD_OK : tell_unopened(path, error);
}

int file_open_plain(const char *path, int *fd, uint64_t *size, struct error *error)
{
    struct stat status;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a fifo must not hold us up */
    if (*fd < 0)
        return tell_unopened(path, error);
    int failed = fstat(*fd, &status) != 0 ? errno : 0;
    if (!failed && S_ISREG(status.st_mode)) {
        *size = (uint64_t)status.st_size;
        return ONWARD_OK;
    }
    close(*fd);
    if (failed)
        return error_set_errno(error, ONWARD_ERR_IO, failed, "%s: cannot read", path);
    return error_set(error, ONWARD_ERR_CORRUPT, "%s: expected a plain file", path);
}

/* Some file systems report a full disk only here. */
static int close_written(int fd, bool synced, const char *path, struct error *error)
{
    int failed = synced && fsync(fd) != 0 ? errno : 0;
    if (close(fd) != 0 && !failed)
        failed = errno;
    if (failed)
        return error_set_errno(error, ONWARD_ERR_IO, failed, "%s: cannot write", path);
    return ONWARD_OK;
}

static int publish(int fd, const char *temporary, const char *path, bool synced,
                   const struct fence *fence, struct error *error)
{
    char directory[PATH_MAX];
    int code = close_written(fd, synced, path, error);
    if (code == ONWARD_OK)
        code = file_parent(directory, sizeof directory, path, error);
    if (code == ONWARD_OK)
        code = fence_check(fence, error);
    if (code == ONWARD_OK && rename(temporary, path) != 0)
        code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot put it in place", path);
    if (code != ONWARD_OK) {
        unlink(temporary);
        return code;
    }
    return synced ? file_sync_directory(directory, error) : ONWARD_OK;
}

int file_publish_fenced(int fd, const char *temporary, const char *path, const struct fence *fence,
                        struct error *error)
{
    return publish(fd, temporary, path, true, fence, error);
}

int file_publish(int fd, const char *temporary, const char *path, struct error *error)
{
    return file_publish_fenced(fd, temporary, path, NULL, error);
}

static int replace(const char *path, const void *bytes, size_t size, bool synced,
                   const struct fence *fence, struct error *error)
{
    char temporary[PATH_MAX];
    int fd = -1;
    int code = file_temporary(path, temporary, sizeof temporary, &fd, error);
    if (code != ONWARD_OK)
        return code;
    code = file_write_at(fd, bytes, size, 0, path, error);
    if (code == ONWARD_OK)
        return publish(fd, temporary, path, synced, fence, error);
    close(fd);
    unlink(temporary);
    return code;
}

int file_replace_fenced(const char *path, const void *bytes, size_t size, const struct fence *fence,
                        struct error *error)
{
    return replace(path, bytes, size, true, fence, error);
}

int file_replace(const char *path, const void *bytes, size_t size, struct error *error)
{
    return file_replace_fenced(path, bytes, size, NULL, error);
}

int file_replace_unsynced(const char *path, const void *bytes, size_t size,
                          const struct fence *fence, struct error *error)
{
    return replace(path, bytes, size, false, fence, error);
}

void time_text(char *text, size_t text_bytes)
{
    struct timespec now;
    struct tm parts;
    char seconds[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, text_bytes, "%s.%06ldZ", seconds, now.tv_nsec / 1000);
}
