/* fuzz_data.h - after an import that succeeded the reader must take the output: every row, with
 * classes in their range. After one that failed there must be no output and one line of text. */
#ifndef TESTS_FUZZ_DATA_H
#define TESTS_FUZZ_DATA_H

#include "fuzz_scratch.h"
#include "import.h"
#include "reader.h"

static void check_row(struct reader *reader, uint64_t row, float *x)
{
    struct error error;
    int32_t y = -1;
    fuzz_expect(reader_rows_range(reader, row, 1, x, &y, &error) == ONWARD_OK, "a row to be read");
    fuzz_expect(y >= 0 && (uint32_t)y < reader_classes(reader), "a class in its range");
}

static void check_import(int code, const char *output, const struct error *failure)
{
    struct reader *reader = NULL;
    struct error error = {0};
    if (code != ONWARD_OK) {
        fuzz_expect(access(output, F_OK) != 0, "no output after a failure");
        fuzz_expect(failure->code == code && failure->text[0] && !strchr(failure->text, '\n'),
                    "one line for a failure");
        return;
    }
    fuzz_expect(reader_open(output, "train", 0, &reader, &error) == ONWARD_OK,
                "an output that the reader takes");
    float *x = malloc(reader_features(reader) * sizeof *x);
    fuzz_expect(x != NULL, "memory");
    uint64_t rows = reader_rows(reader);
    for (uint64_t row = 0; row < rows && row < 64; row++)
        check_row(reader, row, x);
    check_row(reader, rows - 1, x);
    free(x);
    reader_close(reader);
    unlink(output);
}

#endif
