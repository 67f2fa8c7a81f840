/* import_internal.h - what the importers share: checked options, the output file, progress. */
#ifndef STORE_IMPORT_INTERNAL_H
#define STORE_IMPORT_INTERNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "import.h"

enum {
    IMPORT_MAX_SPLITS = 16,
    IMPORT_MAX_DIMS = 4,           /* of an IDX file */
    IMPORT_MAX_FEATURES = 1 << 28, /* of one sample */
    IMPORT_PIECE_BYTES = 1 << 20,  /* streamed at a time, but at least one row */
    IMPORT_MAX_LABEL = 65535
};

/* What is known of a split once its source was surveyed, and where its rows go. */
struct import_layout {
    const char *name;
    int x_type; /* ONWARD_BYTE or ONWARD_FLOAT */
    uint64_t rows, features;
    int shape_ndims; /* of one sample */
    uint64_t shape[IMPORT_MAX_DIMS];
    uint32_t max_label;
    uint64_t x_offset, y_offset;
};

struct import_output {
    const char *path;
    char temporary[PATH_MAX];
    int fd;
};

/* Number and names of splits, and that each has its files. */
int import_check_splits(const struct import_split *splits, uint32_t split_count, bool with_labels,
                        const struct import_options *options, struct error *error);

/* Lays the output out under a temporary name. On success finish or abandon it. */
int import_create(struct import_output *output, const char *path, struct import_layout *layouts,
                  uint32_t count, double scale, struct error *error);
/* Rows first .. first+rows-1 of x (as stored) or y; NULL: not these. */
int import_write(struct import_output *output, const struct import_layout *layout, uint64_t first,
                 uint64_t rows, const void *x, const int32_t *y, struct error *error);
int import_finish(struct import_output *output, struct error *error);
void import_abandon(struct import_output *output);

/* Rows of one piece. */
uint64_t import_piece_rows(const struct import_layout *layout);

/* Calls options->progress where a tenth of a second has passed since the last call, or at the end
 * (done == total). *last_us is 0 at first. */
void import_report(const struct import_options *options, const char *split, uint64_t done,
                   uint64_t total, int64_t *last_us);

#endif
