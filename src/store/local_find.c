/* local_find.c - files that earlier members left behind: the search for the newest state, its
 * reading, and their removal; see local.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "local_internal.h"

enum { MAX_FILES = 65536, MAX_COPIES = 3, COMPARED_BYTES = 1 << 20 };

struct local_copy {
    struct local_header header;
    struct local_record record;
    struct local_copy *next; /* of another member, with the same step */
    int fd;
    char path[PATH_MAX];
};

const struct local_record *local_newest(const struct local_control *control, bool *damaged)
{
    const struct local_record *newest = NULL;
    bool is_used = false;
    for (uint64_t i = 0; i < 2; i++) {
        const struct local_record *record = &control->records[i];
        is_used = is_used || record->sequence != 0;
        if (record->sequence == 0 || record->sequence % 2 != i || record->step < 0 ||
            record->sum != local_record_sum(record))
            continue;
        if (!newest || record->sequence > newest->sequence)
            newest = record;
    }
    bool is_whole = control->not_begun == ~control->begun;
    if (!is_whole || (newest && newest->sequence < control->begun))
        newest = NULL;
    *damaged = !newest && (is_used || !is_whole);
    return newest;
}

/* Calls visit for every such file of the task on this host, until it returns false. What the system
 * says of the directory; 0: it could be read. */
static int walk(const struct local_id *id, const char *suffix,
                bool (*visit)(void *context, const char *path), void *context)
{
    char directory[PATH_MAX], path[PATH_MAX];
    if (local_directory(id, false, directory, sizeof directory, NULL) != ONWARD_OK)
        return ENAMETOOLONG;
    DIR *list = opendir(directory);
    if (!list)
        return errno;
    const struct dirent *entry = NULL;
    for (int i = 0; i < MAX_FILES && (entry = file_next_entry(list)) != NULL; i++) {
        size_t length = strlen(entry->d_name), end = strlen(suffix);
        if (length <= end || strcmp(entry->d_name + length - end, suffix) != 0)
            continue;
        if (file_join(path, sizeof path, directory, entry->d_name, NULL) == ONWARD_OK &&
            !visit(context, path))
            break;
    }
    int failed = entry ? 0 : errno;
    closedir(list);
    return failed;
}

/* A plain file of this user; -1 for anything else, with errno. */
static int open_own(const char *path, struct stat *status)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -1;
    int failed = fstat(fd, status) != 0 ? errno : 0;
    if (!failed && S_ISREG(status->st_mode) && status->st_uid == geteuid())
        return fd;
    close(fd);
    errno = failed ? failed : EINVAL;
    return -1;
}

struct search {
    const struct local_id *id;
    void (*warn)(void *context, const struct error *problem);
    void *context;
    struct local_copy *best;
};

static int skip(const struct local_copy *copy, const char *why, struct error *problem)
{
    return error_set(problem, ONWARD_ERR_CORRUPT, "%s: %s", copy->path, why);
}

static int read_control(const struct local_copy *copy, struct local_record *record,
                        struct error *problem)
{
    struct local_control control;
    bool damaged;
    int code =
        file_read_at(copy->fd, &control, sizeof control, LOCAL_PAGE_BYTES, copy->path, problem);
    if (code != ONWARD_OK)
        return code;
    const struct local_record *newest = local_newest(&control, &damaged);
    if (damaged)
        return skip(copy, "its records are damaged", problem);
    if (!newest)
        return ONWARD_ERR_NOT_FOUND;
    *record = *newest;
    return ONWARD_OK;
}

/* A whole header of this task, which is not what it would have to be for the program's arrays. */
static bool is_of_other_arrays(const struct local_header *found,
                               const struct local_header *expected)
{
    return found->format == expected->format && found->run == expected->run &&
           memcmp(found->task, expected->task, LOCAL_TASK_BYTES) == 0;
}

/* Whether the file holds a state that could be taken; *problem is set where that is worth a
 * warning. */
static bool examine(const struct search *search, struct local_copy *copy, const struct stat *status,
                    struct error *problem)
{
    struct local_header *found = &copy->header, expected;
    if (file_read_at(copy->fd, found, sizeof *found, 0, copy->path, problem) != ONWARD_OK ||
        local_expect(search->id, found->incarnation, &expected, problem) != ONWARD_OK)
        return false;
    /* Only a head that is whole says whose the file is. */
    bool is_ours = memcmp(found->magic, expected.magic, sizeof found->magic) == 0 &&
                   found->sum == local_header_sum(found);
    if (is_ours && memcmp(found->boot, expected.boot, sizeof found->boot) != 0)
        return false; /* of an earlier boot */
    if (is_ours && found->incarnation >= search->id->incarnation)
        return false;
    bool fits = memcmp(found, &expected, sizeof expected) == 0;
    if (!fits && is_ours && is_of_other_arrays(found, &expected)) {
        if (read_control(copy, &copy->record, problem) == ONWARD_OK && copy->record.step > 0)
            error_set(problem, ONWARD_ERR_INPUT, "%s: holds other arrays than the program protects",
                      copy->path);
        return false;
    }
    if (!fits || found->incarnation < 1 || (uint64_t)status->st_size != expected.file_bytes) {
        skip(copy, "is damaged", problem);
        return false;
    }
    return read_control(copy, &copy->record, problem) == ONWARD_OK;
}

/* Below 0, 0 or above, as a is older than b, of the same step, or newer. A step that was done again
 * in a later epoch counts as newer. */
static int compare_age(const struct local_copy *a, const struct local_copy *b)
{
    const int64_t ages[][2] = {{a->header.incarnation, b->header.incarnation},
                               {a->record.step, b->record.step},
                               {a->record.epoch, b->record.epoch}};
    for (size_t i = 0; i < sizeof ages / sizeof *ages; i++)
        if (ages[i][0] != ages[i][1])
            return ages[i][0] > ages[i][1] ? 1 : -1;
    return 0;
}

/* The newest one, and a few more of the same step behind it. */
static void keep(struct search *search, struct local_copy *copy)
{
    int age = search->best ? compare_age(copy, search->best) : 1;
    if (age > 0)
        local_forget(search->best);
    if (age < 0 || (age == 0 && local_copy_count(search->best) == MAX_COPIES)) {
        local_forget(copy);
        return;
    }
    copy->next = age == 0 ? search->best : NULL;
    search->best = copy;
}

static void warn_of(const struct search *search, struct error *problem)
{
    size_t used = strlen(problem->text);
    if (problem->code != ONWARD_ERR_IO)
        snprintf(problem->text + used, sizeof problem->text - used,
                 "; this local copy is not used");
    if (search->warn)
        search->warn(search->context, problem);
}

static bool consider(void *context, const char *path)
{
    struct search *search = context;
    struct stat status;
    struct error problem = {0};
    struct local_copy *copy = calloc(1, sizeof *copy);
    if (!copy)
        return false;
    copy->fd = open_own(path, &status);
    int open_errno = copy->fd < 0 ? errno : 0;
    snprintf(copy->path, sizeof copy->path, "%s", path);
    if (copy->fd >= 0 && examine(search, copy, &status, &problem)) {
        keep(search, copy);
        return true;
    }
    if (copy->fd < 0 && open_errno == EIO)
        error_set_errno(&problem, ONWARD_ERR_IO, open_errno, "%s: cannot read", path);
    if (problem.code != ONWARD_OK)
        warn_of(search, &problem);
    local_forget(copy);
    return true;
}

int local_find(const struct local_id *id, void (*warn)(void *context, const struct error *problem),
               void *context, struct local_copy **copy, struct error *error)
{
    struct search search = {.id = id, .warn = warn, .context = context};
    struct local_header header;
    *copy = NULL;
    int code = local_expect(id, id->incarnation, &header, error);
    if (code != ONWARD_OK)
        return code;
    int failed = walk(id, LOCAL_SUFFIX, consider, &search);
    *copy = search.best;
    if (failed == EIO) {
        char directory[PATH_MAX];
        struct error problem;
        local_directory(id, false, directory, sizeof directory, NULL);
        error_set_errno(&problem, ONWARD_ERR_IO, failed, "%s: cannot read", directory);
        warn_of(&search, &problem);
    }
    return ONWARD_OK;
}

int64_t local_copy_incarnation(const struct local_copy *copy)
{
    return copy->header.incarnation;
}

int64_t local_copy_step(const struct local_copy *copy)
{
    return copy->record.step;
}

/* That a disk did not take all of a file the kernel says once, to who asks first. From then on the
 * file says it itself: its owner may not write it any more. */
static int settle(const struct local_copy *copy, struct error *error)
{
    struct stat status;
    if (fstat(copy->fd, &status) != 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot read", copy->path);
    if (!(status.st_mode & S_IWUSR))
        return error_set(error, ONWARD_ERR_IO, "%s: was not written to the disk before",
                         copy->path);
    int code = file_settle(copy->fd, copy->path, error);
    if (code != ONWARD_OK)
        fchmod(copy->fd, S_IRUSR);
    return code;
}

static uint64_t offset_of(const struct local_copy *copy, uint32_t array)
{
    return local_offset(copy->header.bytes, array, local_bit(copy->record.second, array));
}

/* Whether what was read since the record was looked at is of one step. */
static int check_unchanged(const struct local_copy *copy, struct error *error)
{
    struct local_record record;
    int code = read_control(copy, &record, error);
    if (code == ONWARD_ERR_IO ||
        (code == ONWARD_OK && memcmp(&record, &copy->record, sizeof record) == 0))
        return code;
    return error_set(error, ONWARD_ERR_CORRUPT, "%s: was changed while it was read", copy->path);
}

/* Sets *verdict when an array in the file is not `data`. */
static int compare_array(const struct local_copy *copy, uint32_t array, const char *data,
                         char *buffer, unsigned *verdict)
{
    uint64_t bytes = copy->header.bytes[array], offset = offset_of(copy, array);
    for (uint64_t done = 0, piece; done < bytes && *verdict == LOCAL_EQUAL; done += piece) {
        piece = bytes - done < COMPARED_BYTES ? bytes - done : COMPARED_BYTES;
        int code = file_read_at(copy->fd, buffer, piece, offset + done, copy->path, NULL);
        if (code != ONWARD_OK)
            return code;
        if (memcmp(buffer, data + done, piece) != 0)
            *verdict = LOCAL_DIFFERS;
    }
    return ONWARD_OK;
}

static unsigned compare_one(const struct local_copy *copy, void *const *data)
{
    unsigned verdict = LOCAL_EQUAL;
    char *buffer = malloc(COMPARED_BYTES);
    int code = buffer ? settle(copy, NULL) : ONWARD_ERR_MEMORY;
    for (uint32_t i = 0; i < copy->header.array_count && code == ONWARD_OK; i++)
        code = compare_array(copy, i, data[i], buffer, &verdict);
    if (code == ONWARD_OK)
        code = check_unchanged(copy, NULL);
    free(buffer);
    return code == ONWARD_OK ? verdict : LOCAL_ALONE;
}

unsigned local_compare(const struct local_copy *copy, void *const *data)
{
    unsigned verdict = LOCAL_ALONE;
    for (; copy && !(verdict & LOCAL_EQUAL); copy = copy->next)
        verdict |= compare_one(copy, data);
    return verdict;
}

static int load_one(const struct local_copy *copy, void *const *data, struct error *error)
{
    const struct local_header *header = &copy->header;
    int code = settle(copy, error);
    for (uint32_t i = 0; i < header->array_count && code == ONWARD_OK; i++)
        code = file_read_at(copy->fd, data[i], header->bytes[i], offset_of(copy, i), copy->path,
                            error);
    return code == ONWARD_OK ? check_unchanged(copy, error) : code;
}

/* Each is compared with those behind it, until two are the same. */
int local_load(const struct local_copy *copy, void *const *data, unsigned *verdict,
               struct error *error)
{
    const struct local_copy *readable = NULL;
    int failed = ONWARD_OK;
    *verdict = LOCAL_ALONE;
    for (const struct local_copy *each = copy; each; each = each->next) {
        if (*verdict == LOCAL_DIFFERS && !each->next)
            break;                              /* it was compared with all others */
        bool is_told = failed == ONWARD_ERR_IO; /* which says nothing of what the files hold */
        int code = load_one(each, data, is_told ? NULL : error);
        if (code != ONWARD_OK) {
            failed = is_told ? failed : code;
            continue;
        }
        readable = readable ? readable : each;
        *verdict |= local_compare(each->next, data);
        if (*verdict != LOCAL_DIFFERS)
            return ONWARD_OK;
    }
    return readable ? load_one(readable, data, error) : failed;
}

int64_t local_copy_epoch(const struct local_copy *copy)
{
    return copy->record.epoch;
}

const char *local_copy_path(const struct local_copy *copy)
{
    return copy->path;
}

uint32_t local_copy_count(const struct local_copy *copy)
{
    uint32_t count = 0;
    for (; copy; copy = copy->next)
        count++;
    return count;
}

void local_forget(struct local_copy *copy)
{
    if (!copy)
        return;
    local_forget(copy->next);
    if (copy->fd >= 0)
        close(copy->fd);
    free(copy);
}

/* Whether nobody will want this file: it is older than this incarnation, or its owner died. */
static bool is_left_over(const struct local_id *id, int fd)
{
    struct local_header header;
    bool is_free = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (file_read_at(fd, &header, sizeof header, 0, "", NULL) != ONWARD_OK ||
        memcmp(header.magic, LOCAL_MAGIC, sizeof header.magic) != 0)
        return is_free;
    return header.incarnation < id->incarnation ||
           (is_free && header.incarnation == id->incarnation);
}

static bool remove_left_over(void *context, const char *path)
{
    struct stat status;
    int fd = open_own(path, &status);
    if (fd < 0)
        return true;
    if (is_left_over(context, fd))
        unlink(path);
    close(fd);
    return true;
}

void local_remove_older(const struct local_id *id)
{
    walk(id, LOCAL_SUFFIX, remove_left_over, (void *)id);
}

static bool remove_one(void *context, const char *path)
{
    (void)context;
    unlink(path);
    return true;
}

static bool remove_older_trace(void *context, const char *path)
{
    const struct local_id *id = context;
    if (strtoll(strrchr(path, '/') + 2, NULL, 10) < id->incarnation) /* behind the i */
        unlink(path);
    return true;
}

void local_remove_traces(const struct local_id *id)
{
    walk(id, TRACE_SUFFIX, remove_older_trace, (void *)id);
}

void local_remove_empty(const char *path)
{
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%s", path);
    for (int i = 0; i < 2; i++) {
        *strrchr(directory, '/') = '\0';
        rmdir(directory); /* what is not empty stays */
    }
}

void local_remove_all(const struct local_id *id)
{
    char path[PATH_MAX];
    walk(id, LOCAL_SUFFIX, remove_one, NULL);
    walk(id, TRACE_SUFFIX, remove_one, NULL);
    if (local_directory(id, false, path, sizeof path - 2, NULL) == ONWARD_OK)
        local_remove_empty(strcat(path, "/."));
}
