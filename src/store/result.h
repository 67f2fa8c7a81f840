/* result.h - writing result.h5: what a task came to, for people and other programs.
 *
 * A result is built in memory and put in place at once by result_save: a reader sees the old file
 * or the new one. The writer is general (arrays, tables, attributes); what `mlp` puts there:
 *
 *   attributes of the file
 *     format_version int64      1
 *     task, config, created, onward_version   text; config is the YAML text, created RFC 3339 UTC
 *     and one attribute for each result_put_number or result_put_text of the trainer (for example
 *     step, loss, accuracy)
 *   datasets
 *     model/layerN/weights      float32, dimensions labelled by the trainer
 *     model/layerN/bias         float32
 *     history/step, ...         one dataset for each column of a table, all of the same length,
 *                               their one dimension labelled "row"
 *   attributes of every dataset
 *     units text ("1" for a pure number), description text, DIMENSION_LABELS (HDF5's dimension
 *     scales: h5py shows them as dataset.dims[i].label)
 *
 * Texts are UTF-8 of fixed length (h5py gives bytes: .decode()), numbers are stored as they are in
 * memory, datasets are contiguous and row-major. Errors: ONWARD_ERR_ARGUMENT, MEMORY, IO, NO_SPACE;
 * after one the result can only be closed, and the file is as it was. */
#ifndef STORE_RESULT_H
#define STORE_RESULT_H

#include <stdint.h>

#include "error.h"

struct result;

struct result_array {
    const char *name; /* "group/name"; groups are made */
    int type;         /* enum onward_type */
    int ndims;        /* 1 to 8 */
    const uint64_t *dims;
    const char *const *dim_names; /* ndims texts */
    const char *units;            /* "1" for a pure number */
    const char *description;
    const void *data; /* borrowed until result_save or result_close */
};

struct result_column {
    const char *name;
    int type;
    const char *units;
    const char *description;
    const void *data; /* one element a row; borrowed until result_save or result_close */
};

/* For this task; config is the text of what it ran. */
int result_open(const char *task, const char *config, struct result **result, struct error *error);
void result_close(struct result *result); /* NULL is allowed */

/* Attributes of the file. */
int result_put_text(struct result *result, const char *name, const char *text, struct error *error);
int result_put_integer(struct result *result, const char *name, int64_t value, struct error *error);
int result_put_number(struct result *result, const char *name, double value, struct error *error);

int result_put_array(struct result *result, const struct result_array *array, struct error *error);

/* A group `name` with one dataset for each column. */
int result_put_table(struct result *result, const char *name, const struct result_column *columns,
                     uint32_t column_count, uint64_t rows, struct error *error);

/* Writes the file atomically. Nothing may be put after it. */
int result_save(struct result *result, const char *path, struct error *error);

#endif
