/* journal.c - prints a farm's journal for the scenarios of tests/mpi: SUBTASK KIND, a record a
 * line.
 *
 *     journal FILE SUBTASKS */
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

int main(int argc, char **argv)
{
    struct error error;
    uint32_t damaged = 0;
    if (argc != 3)
        return 2;
    if (journal_read(argv[1], (uint32_t)strtoul(argv[2], NULL, 10), print, NULL, &damaged,
                     &error) != ONWARD_OK) {
        fprintf(stderr, "journal: %s\n", error.text);
        return 1;
    }
    fprintf(stderr, "%u damaged\n", damaged);
    return 0;
}
