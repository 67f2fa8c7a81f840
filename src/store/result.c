/* result.c - result.h5, built as an image in memory and saved at once; see result.h. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "h5.h"
#include "image.h"

enum { RESULT_FORMAT_VERSION = 1, RESULT_MAX_DIMS = 8, RESULT_NAME_BYTES = 128 };

struct result {
    struct image image;
};

static int put_head(hid_t file, const char *task, const char *config, struct error *error)
{
    char now[40];
    time_text(now, sizeof now);
    int code = h5_put_int(file, "format_version", RESULT_FORMAT_VERSION, error);
    if (code == ONWARD_OK)
        code = h5_put_text(file, "task", task, error);
    if (code == ONWARD_OK)
        code = h5_put_text(file, "config", config, error);
    if (code == ONWARD_OK)
        code = h5_put_text(file, "created", now, error);
    if (code == ONWARD_OK)
        code = h5_put_text(file, "onward_version", PACKAGE_VERSION, error);
    return code;
}

int result_open(const char *task, const char *config, struct result **result, struct error *error)
{
    H5_QUIET;
    struct result *opened = calloc(1, sizeof *opened);
    *result = NULL;
    if (!opened)
        return error_set(error, ONWARD_ERR_MEMORY, "out of memory for a result");
    int code = image_open(&opened->image, IMAGE_UNGUARDED, error);
    if (code != ONWARD_OK) {
        free(opened);
        return code;
    }
    code = put_head(opened->image.file, task, config, error);
    if (code == ONWARD_OK)
        *result = opened;
    else
        result_close(opened);
    return code;
}

void result_close(struct result *result)
{
    H5_QUIET;
    if (!result)
        return;
    image_close(&result->image);
    free(result);
}

int result_put_text(struct result *result, const char *name, const char *text, struct error *error)
{
    H5_QUIET;
    return h5_put_text(result->image.file, name, text, error);
}

int result_put_integer(struct result *result, const char *name, int64_t value, struct error *error)
{
    H5_QUIET;
    return h5_put_int(result->image.file, name, value, error);
}

int result_put_number(struct result *result, const char *name, double value, struct error *error)
{
    H5_QUIET;
    return h5_put_double(result->image.file, name, value, error);
}

/* The attribute of HDF5's dimension scales specification: one text of any length a dimension. */
static int put_labels(hid_t dataset, int ndims, const char *const *names, struct error *error)
{
    H5_AUTO hid_t type = H5Tcopy(H5T_C_S1);
    if (type < 0 || H5Tset_size(type, H5T_VARIABLE) < 0)
        return h5_fail(error, ONWARD_ERR_IO, "cannot label dimensions");
    return h5_put_list(dataset, "DIMENSION_LABELS", type, (uint64_t)ndims, names, error);
}

static int describe(hid_t dataset, const struct result_array *array, struct error *error)
{
    int code = h5_put_text(dataset, "units", array->units, error);
    if (code == ONWARD_OK)
        code = h5_put_text(dataset, "description", array->description, error);
    if (code == ONWARD_OK)
        code = put_labels(dataset, array->ndims, array->dim_names, error);
    return code;
}

int result_put_array(struct result *result, const struct result_array *array, struct error *error)
{
    H5_QUIET;
    H5_AUTO hid_t dataset = H5I_INVALID_HID;
    if (array->ndims < 1 || array->ndims > RESULT_MAX_DIMS)
        return error_set(error, ONWARD_ERR_ARGUMENT, "array %s: expected 1 to %d dimensions",
                         array->name, RESULT_MAX_DIMS);
    if (!array->data)
        return error_set(error, ONWARD_ERR_ARGUMENT, "array %s: has no data", array->name);
    int code = image_array(&result->image, array->name, array->type, array->ndims, array->dims,
                           array->data, NULL, &dataset, error);
    return code != ONWARD_OK ? code : describe(dataset, array, error);
}

int result_put_table(struct result *result, const char *name, const struct result_column *columns,
                     uint32_t column_count, uint64_t rows, struct error *error)
{
    static const char *const row[] = {"row"};
    for (uint32_t i = 0; i < column_count; i++) {
        const struct result_column *column = &columns[i];
        char path[RESULT_NAME_BYTES];
        int length = snprintf(path, sizeof path, "%s/%s", name, column->name);
        if (length < 0 || (size_t)length >= sizeof path)
            return error_set(error, ONWARD_ERR_ARGUMENT, "table %.64s: a name is too long", name);
        int code = result_put_array(result,
                                    &(struct result_array){path, column->type, 1, &rows, row,
                                                           column->units, column->description,
                                                           column->data},
                                    error);
        if (code != ONWARD_OK)
            return code;
    }
    return ONWARD_OK;
}

int result_save(struct result *result, const char *path, struct error *error)
{
    H5_QUIET;
    if (result->image.file < 0)
        return error_set(error, ONWARD_ERR_ORDER, "%s: the result was saved already", path);
    return image_save(&result->image, path, NULL, NULL, error);
}
