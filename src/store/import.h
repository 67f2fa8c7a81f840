/* import.h - IDX (plain or gzip) and CSV into a data file for reader.h.
 *
 * Sizes are found first (for CSV by a whole first pass, which also checks every field), so that the
 * datasets of the output are contiguous: rows of one size, read at random, need no index of chunks.
 * Then rows are streamed in pieces; a file is never in memory whole. Splits must agree in the shape
 * of a sample; classes is the greatest label of all splits + 1. The output is written to a
 * temporary name and renamed when whole: a failed import leaves what was there before. */
#ifndef STORE_IMPORT_H
#define STORE_IMPORT_H

#include <stdint.h>

#include "error.h"

struct import_split {
    const char *name;     /* "train" or "test" */
    const char *features; /* IDX images, or the CSV file */
    const char *labels;   /* IDX labels; NULL for CSV */
};

struct import_options {
    int label_column; /* CSV: the column of the class, from 0; below 0 counts from the last (-1) */
    double scale;     /* value = x * scale for the reader; 0: 1/255 for IDX, 1 for CSV */
    /* Called at most ten times a second with rows done and rows in all (0: not known). May be NULL.
     */
    void (*progress)(void *context, const char *split, uint64_t done, uint64_t total);
    void *context;
};

void import_options_init(struct import_options *options);

/* IDX of unsigned bytes. Errors: ONWARD_ERR_INPUT (truncated, trailing bytes, wrong magic, counts
 * that differ ...), NOT_FOUND, NO_SPACE, IO, ARGUMENT, MEMORY. */
int import_idx(const struct import_split *splits, uint32_t split_count, const char *output,
               const struct import_options *options, struct error *error);

/* Numbers between commas, one sample a line, plain or gzip, LF or CRLF; no quotes. Empty lines are
 * passed over. A label is an integer from 0 to 65535. A first line that holds no number at all is
 * taken as a header. Errors name file, line, column. */
int import_csv(const struct import_split *splits, uint32_t split_count, const char *output,
               const struct import_options *options, struct error *error);

#endif
