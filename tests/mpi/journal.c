/* journal.c - a farm's journal for the scenarios of tests/mpi.
 *
 *     journal FILE SUBTASKS          prints it: SUBTASK KIND, a record a line
 *     journal FILE SUBTASKS DONE     puts the first DONE subtasks into it as done, but for those
 * that are settled there */
#include <stdio.h>
#include <stdlib.h>

#include "journal.h"

static void print(void *context, const struct journal_record *record)
{
    static const char *const kinds[] = {
        [JOURNAL_DONE] = "done", [JOURNAL_TRIED] = "tried",   [JOURNAL_FAILED] = "failed",
        [JOURNAL_LOST] = "lost", [JOURNAL_POISON] = "poison",
    };
    (void)context;
    if (record->kind >= JOURNAL_DONE)
        printf("%u %s\n", record->subtask + 1, kinds[record->kind]);
}

static void mark(void *settled, const struct journal_record *record)
{
    if (record->kind == JOURNAL_DONE || record->kind == JOURNAL_FAILED ||
        record->kind == JOURNAL_POISON)
        ((bool *)settled)[record->subtask] = true;
}

static int add(struct journal *journal, const struct journal_record *record, struct error *error)
{
    int code = journal_add(journal, record);
    if (code != ONWARD_ERR_LIMIT)
        return code;
    code = journal_flush(journal, error);
    return code == ONWARD_OK ? journal_add(journal, record) : code;
}

static int fill(const char *path, uint32_t count, uint32_t done, struct error *error)
{
    struct journal *journal = NULL;
    bool *settled = calloc(count, sizeof *settled);
    if (!settled || done > count)
        return error_set(error, ONWARD_ERR_ARGUMENT, "expected at most %u", count);
    int code = journal_read(path, count, mark, settled, NULL, error);
    if (code == ONWARD_OK)
        code = journal_open(path, count, &journal, error);
    for (uint32_t i = 0; i < done && code == ONWARD_OK; i++) {
        struct journal_record record = {.kind = JOURNAL_DONE, .subtask = i, .attempt = 1};
        if (!settled[i])
            code = add(journal, &record, error);
    }
    if (code == ONWARD_OK)
        code = journal_flush(journal, error);
    journal_close(journal);
    free(settled);
    return code;
}

int main(int argc, char **argv)
{
    struct error error;
    uint32_t damaged = 0;
    if (argc != 3 && argc != 4)
        return 2;
    uint32_t count = (uint32_t)strtoul(argv[2], NULL, 10);
    int code = argc == 4 ? fill(argv[1], count, (uint32_t)strtoul(argv[3], NULL, 10), &error)
                         : journal_read(argv[1], count, print, NULL, &damaged, &error);
    if (code != ONWARD_OK) {
        fprintf(stderr, "journal: %s\n", error.text);
        return 1;
    }
    fprintf(stderr, "%u damaged\n", damaged);
    return 0;
}
