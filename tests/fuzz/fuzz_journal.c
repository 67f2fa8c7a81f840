/* fuzz_journal.c - any bytes as the journal of a farm. Byte 0 says how many subtasks there are,
 * byte 1 what the rest is: r, the file as it is; any other, records of 64 bytes that get their
 * checksums, of which the last is torn at that place. What is handed out is in range, and what is
 * appended behind it is read again. */
#include <unistd.h>

#include "fuzz_scratch.h"
#include "journal.h"

struct seen {
    uint32_t subtask_count, count;
    struct journal_record last;
};

static void visit(void *context, const struct journal_record *record)
{
    struct seen *seen = context;
    fuzz_expect(record->kind > JOURNAL_HEAD && record->kind <= JOURNAL_POISON, "a kind");
    fuzz_expect(record->kind <= JOURNAL_HOST || record->subtask < seen->subtask_count, "a subtask");
    seen->count++;
    seen->last = *record;
}

static int read_all(const char *path, struct seen *seen, struct error *error)
{
    seen->count = 0;
    int code = journal_read(path, seen->subtask_count, visit, seen, NULL, error);
    fuzz_expect(code == ONWARD_OK || (error->text[0] && !strchr(error->text, '\n')), "one line");
    return code;
}

/* The records with their checksums, behind the journal's own head. */
static void write_sealed(const char *path, uint32_t subtask_count, uint8_t torn,
                         const uint8_t *data, size_t size)
{
    struct journal *journal;
    fuzz_expect(journal_open(path, subtask_count, &journal, NULL) == ONWARD_OK, "a journal");
    for (size_t at = 0; at + sizeof(struct journal_record) <= size;
         at += sizeof(struct journal_record)) {
        struct journal_record record;
        memcpy(&record, data + at, sizeof record);
        if (journal_add(journal, &record) != ONWARD_OK)
            break;
    }
    fuzz_expect(journal_flush(journal, NULL) == ONWARD_OK, "room");
    journal_close(journal);
    struct stat status;
    fuzz_expect(stat(path, &status) == 0, "the journal's size");
    if (torn < sizeof(struct journal_record) && status.st_size > torn)
        fuzz_expect(truncate(path, status.st_size - torn) == 0, "a torn end");
}

static void append(const char *path, struct seen *seen)
{
    struct error error = {.text = ""};
    struct journal *journal;
    struct journal_record record = {.kind = JOURNAL_DONE, .run_us = 4711};
    uint32_t before = seen->count;
    fuzz_expect(journal_open(path, seen->subtask_count, &journal, &error) == ONWARD_OK, "opened");
    fuzz_expect(journal_add(journal, &record) == ONWARD_OK, "added");
    fuzz_expect(journal_flush(journal, &error) == ONWARD_OK, "flushed");
    journal_close(journal);
    fuzz_expect(read_all(path, seen, &error) == ONWARD_OK, "read again");
    fuzz_expect(seen->last.run_us == 4711, "what was appended");
    /* The zeros that fill up a torn record may be those that it had. */
    uint32_t more = seen->count - before;
    fuzz_expect(more == 1 || more == 2, "nothing else beside it");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[96];
    struct error error = {.text = ""};
    if (size < 2)
        return 0;
    struct seen seen = {.subtask_count = data[0] + 1u};
    snprintf(path, sizeof path, "%s/journal", scratch());
    unlink(path);
    if (data[1] == 'r')
        scratch_write(path, data + 2, size - 2);
    else
        write_sealed(path, seen.subtask_count, data[1], data + 2, size - 2);
    if (read_all(path, &seen, &error) == ONWARD_OK)
        append(path, &seen);
    return 0;
}
