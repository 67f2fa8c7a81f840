/* import.h - IDX (plain or gzip) and CSV into a data file for reader.h.
 *
 * The output is written to a temporary name and renamed when whole: a failed import leaves what
 * was there before. */
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
    double scale;     /* value = x * scale for the reader; IDX default 1/255, CSV 1 */
    /* Called at most ten times a second with rows done and rows in all (0: not known). May be NULL.
     */
    void (*progress)(void *context, const char *split, uint64_t done, uint64_t total);
    void *context;
};

void import_options_init(struct import_options *options);
int import_idx(const struct import_split *splits, uint32_t split_count, const char *output,
               const struct import_options *options, struct error *error);
/* A first line that holds no number at all is taken as a header. Errors name file, line, column. */
int import_csv(const struct import_split *splits, uint32_t split_count, const char *output,
               const struct import_options *options, struct error *error);

#endif
