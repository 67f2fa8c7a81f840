/* import.c - what the importers share: the data file that they write. HDF5 lays it out in memory
 * once the sizes are known, and rows go to their places by plain writes; see image.h. */
#include "import.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "h5.h"
#include "image.h"
#include "import_internal.h"

enum { DATA_FORMAT_VERSION = 1, REPORT_INTERVAL_US = 100000 };

void import_options_init(struct import_options *options)
{
    *options = (struct import_options){.label_column = -1};
}

static bool is_split_name(const char *name)
{
    size_t length = strnlen(name, 64);
    return length > 0 && length < 64 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_-") == length;
}

int import_check_splits(const struct import_split *splits, uint32_t split_count, bool with_labels,
                        const struct import_options *options, struct error *error)
{
    if (split_count == 0 || split_count > IMPORT_MAX_SPLITS)
        return error_set(error, ONWARD_ERR_ARGUMENT, "%" PRIu32 " splits: expected 1 to %d",
                         split_count, IMPORT_MAX_SPLITS);
    if (!(options->scale > -1e30 && options->scale < 1e30))
        return error_set(error, ONWARD_ERR_ARGUMENT, "scale %g: expected a finite number",
                         options->scale);
    for (uint32_t i = 0; i < split_count; i++) {
        if (!splits[i].name || !is_split_name(splits[i].name))
            return error_set(error, ONWARD_ERR_ARGUMENT,
                             "split %" PRIu32 ": expected a name of letters, digits, _ and -", i);
        if (!splits[i].features || (with_labels && !splits[i].labels))
            return error_set(error, ONWARD_ERR_ARGUMENT, "split %s: expected a file of %s",
                             splits[i].name, splits[i].features ? "labels" : "features");
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(splits[i].name, splits[k].name) == 0)
                return error_set(error, ONWARD_ERR_ARGUMENT, "split %s: is there twice",
                                 splits[i].name);
    }
    return ONWARD_OK;
}

static int add_split(struct image *image, struct import_layout *layout, uint32_t classes,
                     double scale, struct error *error)
{
    const uint64_t dims[2] = {layout->rows, layout->features};
    char name[96];
    snprintf(name, sizeof name, "%s/x", layout->name);
    int code =
        image_array(image, name, layout->x_type, 2, dims, NULL, &layout->x_offset, NULL, error);
    snprintf(name, sizeof name, "%s/y", layout->name);
    if (code == ONWARD_OK)
        code =
            image_array(image, name, ONWARD_INT32, 1, dims, NULL, &layout->y_offset, NULL, error);
    if (code != ONWARD_OK)
        return code;
    H5_AUTO hid_t group = H5Gopen2(image->file, layout->name, H5P_DEFAULT);
    if (group < 0)
        return h5_fail(error, ONWARD_ERR_IO, "cannot lay out split %s", layout->name);
    code = h5_put_int(group, "classes", classes, error);
    if (code == ONWARD_OK)
        code = h5_put_double(group, "scale", scale, error);
    if (code == ONWARD_OK)
        code = h5_put_list(group, "shape", H5T_NATIVE_UINT64, (uint64_t)layout->shape_ndims,
                           layout->shape, error);
    return code;
}

static int lay_out(struct image *image, struct import_layout *layouts, uint32_t count, double scale,
                   struct error *error)
{
    uint32_t classes = 0;
    for (uint32_t i = 0; i < count; i++)
        if (layouts[i].max_label + 1 > classes)
            classes = layouts[i].max_label + 1;
    int code = h5_put_int(image->file, "format_version", DATA_FORMAT_VERSION, error);
    for (uint32_t i = 0; i < count && code == ONWARD_OK; i++)
        code = add_split(image, &layouts[i], classes, scale, error);
    return code;
}

int import_create(struct import_output *output, const char *path, struct import_layout *layouts,
                  uint32_t count, double scale, struct error *error)
{
    H5_QUIET;
    struct image image;
    output->path = path;
    int code = image_open(&image, IMAGE_UNGUARDED, error);
    if (code != ONWARD_OK)
        return code;
    code = lay_out(&image, layouts, count, scale, error);
    if (code == ONWARD_OK)
        code =
            file_temporary(path, output->temporary, sizeof output->temporary, &output->fd, error);
    if (code == ONWARD_OK) {
        code = image_store(&image, output->fd, path, error);
        if (code != ONWARD_OK)
            import_abandon(output);
    }
    image_close(&image);
    return code;
}

int import_write(struct import_output *output, const struct import_layout *layout, uint64_t first,
                 uint64_t rows, const void *x, const int32_t *y, struct error *error)
{
    uint64_t row_bytes = layout->features * h5_type_bytes(layout->x_type);
    int code = ONWARD_OK;
    if (x)
        code = file_write_at(output->fd, x, rows * row_bytes, layout->x_offset + first * row_bytes,
                             output->path, error);
    if (y && code == ONWARD_OK)
        code = file_write_at(output->fd, y, rows * sizeof *y, layout->y_offset + first * sizeof *y,
                             output->path, error);
    return code;
}

int import_finish(struct import_output *output, struct error *error)
{
    return file_publish(output->fd, output->temporary, output->path, error);
}

void import_abandon(struct import_output *output)
{
    close(output->fd);
    unlink(output->temporary);
}

uint64_t import_piece_rows(const struct import_layout *layout)
{
    uint64_t rows = IMPORT_PIECE_BYTES / (layout->features * h5_type_bytes(layout->x_type));
    return rows > 0 ? rows : 1;
}

void import_report(const struct import_options *options, const char *split, uint64_t done,
                   uint64_t total, int64_t *last_us)
{
    struct timespec now;
    if (!options->progress)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t now_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    if (done != total && *last_us != 0 && now_us - *last_us < REPORT_INTERVAL_US)
        return;
    *last_us = now_us;
    options->progress(options->context, split, done, total);
}
