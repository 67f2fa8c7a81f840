/* journal.c - appends to and reads a farm's journal; see journal.h. */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "hash.h"

enum { MAX_WAITING = 16384, READ_RECORDS = 4096 };

_Static_assert(sizeof(struct journal_record) == 64, "a record has 64 bytes");

static const char magic[] = "onward farm journal 1";

struct journal {
    int fd;
    uint64_t size; /* of what is whole */
    uint32_t waiting;
    bool unsynced;
    struct journal_record records[MAX_WAITING];
    char path[4096];
};

static uint32_t check_of(const struct journal_record *record)
{
    return XXH32(&record->subtask, sizeof *record - sizeof record->check, sizeof *record);
}

static struct journal_record head_of(uint32_t subtask_count)
{
    struct journal_record head = {.subtask = subtask_count, .kind = JOURNAL_HEAD};
    memcpy(head.name, magic, sizeof magic);
    head.check = check_of(&head);
    return head;
}

static int take_head(const struct journal_record *record, uint32_t subtask_count, const char *path,
                     struct error *error)
{
    struct journal_record expected = head_of(subtask_count);
    if (record->check != check_of(record) || memcmp(record->name, magic, sizeof magic) != 0)
        return error_set(error, ONWARD_ERR_CORRUPT, "%s: expected the journal of a farm", path);
    if (memcmp(record, &expected, sizeof expected) != 0)
        return error_set(error, ONWARD_ERR_OTHER_TASK, "%s: is of %u subtasks, expected one of %u",
                         path, record->subtask, subtask_count);
    return ONWARD_OK;
}

/* A final or other record of a subtask that exists. */
static bool is_good(const struct journal_record *record, uint32_t subtask_count)
{
    if (record->check != check_of(record) || record->kind <= JOURNAL_HEAD ||
        record->kind > JOURNAL_POISON)
        return false;
    return record->kind <= JOURNAL_HOST || record->subtask < subtask_count;
}

/* From *offset on, which then is behind the last whole record. */
static int read_records(int fd, const char *path, uint32_t subtask_count, uint64_t *offset,
                        journal_visit *visit, void *context, uint32_t *damaged, struct error *error)
{
    struct journal_record *records = malloc(READ_RECORDS * sizeof *records);
    ssize_t got;
    int code = ONWARD_OK;
    if (!records)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory", path);
    while (code == ONWARD_OK &&
           (got = pread(fd, records, READ_RECORDS * sizeof *records, (off_t)*offset)) != 0) {
        size_t count = got > 0 ? (size_t)got / sizeof *records : 0;
        if (got < 0)
            code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s", path);
        else if (*offset == 0 && count > 0)
            code = take_head(records, subtask_count, path, error);
        for (size_t i = *offset == 0; code == ONWARD_OK && i < count; i++)
            if (is_good(&records[i], subtask_count))
                visit(context, &records[i]);
            else
                ++*damaged;
        if (code == ONWARD_OK)
            *offset += count * sizeof *records;
        if (got >= 0 && (size_t)got % sizeof *records) {
            ++*damaged; /* the torn end */
            break;
        }
    }
    free(records);
    return code;
}

static int read_file(const char *path, uint32_t subtask_count, uint64_t *offset,
                     journal_visit *visit, void *context, uint32_t *damaged, struct error *error)
{
    int fd;
    int code = file_open(path, &fd, error);
    if (code == ONWARD_ERR_NOT_FOUND)
        return ONWARD_OK;
    if (code != ONWARD_OK)
        return code;
    code = read_records(fd, path, subtask_count, offset, visit, context, damaged, error);
    close(fd);
    return code;
}

int journal_read(const char *path, uint32_t subtask_count, journal_visit *visit, void *context,
                 uint32_t *damaged, struct error *error)
{
    uint32_t ignored = 0;
    uint64_t offset = 0;
    damaged = damaged ? damaged : &ignored;
    *damaged = 0;
    return read_file(path, subtask_count, &offset, visit, context, damaged, error);
}

int journal_follow(const char *path, uint32_t subtask_count, uint64_t *offset, journal_visit *visit,
                   void *context, struct error *error)
{
    uint32_t ignored = 0;
    return read_file(path, subtask_count, offset, visit, context, &ignored, error);
}

static int fail(const struct journal *journal, struct error *error)
{
    return error_set_errno(error, ONWARD_ERR_IO, errno, "%s", journal->path);
}

/* What a kill or a full disk left of a record becomes one that does not fit its checksum. */
static int fill_torn_end(struct journal *journal, struct error *error)
{
    static const char nothing[sizeof(struct journal_record)];
    struct stat status;
    if (fstat(journal->fd, &status) != 0)
        return fail(journal, error);
    size_t torn = (size_t)status.st_size % sizeof(struct journal_record);
    size_t missing = torn ? sizeof(struct journal_record) - torn : 0;
    if (missing && write(journal->fd, nothing, missing) != (ssize_t)missing)
        return fail(journal, error);
    journal->size = (uint64_t)status.st_size + missing;
    return ONWARD_OK;
}

int journal_open(const char *path, uint32_t subtask_count, struct journal **result,
                 struct error *error)
{
    struct journal_record head = head_of(subtask_count);
    struct journal *journal = malloc(sizeof *journal);
    *result = NULL;
    if (!journal)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory", path);
    journal->waiting = 0;
    journal->unsynced = false;
    snprintf(journal->path, sizeof journal->path, "%s", path);
    journal->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    int code = journal->fd < 0 ? fail(journal, error) : fill_torn_end(journal, error);
    /* A first record that was torn says nothing of anybody: it is done again. */
    if (code == ONWARD_OK && journal->size <= sizeof head &&
        (journal->size == 0 ||
         pread(journal->fd, journal->records, sizeof head, 0) != (ssize_t)sizeof head ||
         journal->records[0].check != check_of(&journal->records[0]))) {
        if (ftruncate(journal->fd, 0) != 0)
            code = fail(journal, error);
        journal->size = 0;
        journal->records[journal->waiting++] = head;
        if (code == ONWARD_OK)
            code = journal_flush(journal, error);
    }
    if (code != ONWARD_OK) {
        journal_close(journal);
        return code;
    }
    *result = journal;
    return ONWARD_OK;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    if (journal->fd >= 0)
        close(journal->fd);
    free(journal);
}

int journal_add(struct journal *journal, const struct journal_record *record)
{
    if (journal->waiting == MAX_WAITING)
        return ONWARD_ERR_LIMIT;
    struct journal_record *added = &journal->records[journal->waiting++];
    *added = *record;
    added->check = check_of(added);
    return ONWARD_OK;
}

/* What could be written in part is taken away again, so that records stay at their places. */
int journal_flush(struct journal *journal, struct error *error)
{
    size_t size = journal->waiting * sizeof *journal->records;
    if (size == 0)
        return ONWARD_OK;
    ssize_t written = write(journal->fd, journal->records, size);
    if (written != (ssize_t)size) {
        if (written >= 0)
            errno = ENOSPC;
        int problem = errno;
        if (written > 0 && ftruncate(journal->fd, (off_t)journal->size) != 0)
            return fail(journal, error);
        errno = problem;
        return fail(journal, error);
    }
    journal->size += size;
    journal->waiting = 0;
    journal->unsynced = true;
    return ONWARD_OK;
}

int journal_sync(struct journal *journal, struct error *error)
{
    if (journal->unsynced && fdatasync(journal->fd) != 0)
        return fail(journal, error);
    journal->unsynced = false;
    return ONWARD_OK;
}
