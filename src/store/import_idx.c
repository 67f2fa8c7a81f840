/* import_idx.c - IDX files, plain or gzip (zlib reads both), into a data file.
 *
 * IDX: two zero bytes, the type (8: unsigned byte), the number of dimensions, one big-endian 32-bit
 * extent a dimension, the elements. Labels are read whole first: they are few, and give the number
 * of rows something to be held against before anything is written. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "import.h"
#include "import_internal.h"

enum { IDX_UNSIGNED_BYTE = 8, GZIP_BUFFER_BYTES = 1 << 17 };

struct idx_file {
    const char *path;
    gzFile file;
    int ndims;
    uint64_t dims[IMPORT_MAX_DIMS];
};

/* Of the whole file, as its head tells so far; 0: it does not yet. */
static uint64_t idx_bytes(const struct idx_file *idx)
{
    uint64_t elements = 1;
    if (idx->ndims == 0 || idx->dims[idx->ndims - 1] == 0)
        return 0;
    for (int i = 0; i < idx->ndims; i++)
        if (__builtin_mul_overflow(elements, idx->dims[i], &elements))
            return 0;
    return 4 + 4 * (uint64_t)idx->ndims + elements;
}

static int report_truncated(struct idx_file *idx, const char *what, struct error *error)
{
    uint64_t found = (uint64_t)gztell(idx->file), expected = idx_bytes(idx);
    if (!expected)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: is truncated: it ends within %s, after %" PRIu64 " bytes", idx->path,
                         what, found);
    return error_set(error, ONWARD_ERR_INPUT,
                     "%s: is truncated: it ends within %s, after %" PRIu64 " bytes%s, expected "
                     "%" PRIu64,
                     idx->path, what, found, gzdirect(idx->file) ? "" : " when unpacked", expected);
}

/* Exactly size bytes, or ONWARD_ERR_INPUT: the file is truncated or its gzip data is damaged. */
static int idx_read(struct idx_file *idx, void *bytes, size_t size, const char *what,
                    struct error *error)
{
    int number = Z_OK;
    int got = gzread(idx->file, bytes, (unsigned)size);
    if (got >= 0 && (size_t)got == size)
        return ONWARD_OK;
    const char *reason = gzerror(idx->file, &number);
    if (number != Z_OK && number != Z_BUF_ERROR && number != Z_STREAM_END)
        return error_set(error, ONWARD_ERR_INPUT, "%s: cannot read %s: %s", idx->path, what,
                         number == Z_ERRNO ? strerror(errno) : reason);
    return report_truncated(idx, what, error);
}

/* Nothing may follow the elements. */
static int idx_read_end(struct idx_file *idx, struct error *error)
{
    char byte = 0;
    int number = Z_OK;
    int got = gzread(idx->file, &byte, 1);
    const char *reason = gzerror(idx->file, &number);
    if (got == 0 && (number == Z_OK || number == Z_STREAM_END))
        return ONWARD_OK;
    if (got > 0)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: has bytes behind its last element, expected none", idx->path);
    return error_set(error, ONWARD_ERR_INPUT, "%s: cannot read its end: %s", idx->path,
                     number == Z_BUF_ERROR ? "it is truncated" : reason);
}

static int idx_read_head(struct idx_file *idx, int min_ndims, int max_ndims, struct error *error)
{
    uint8_t magic[4], extent[4];
    int code = idx_read(idx, magic, sizeof magic, "its first 4 bytes", error);
    if (code != ONWARD_OK)
        return code;
    if (magic[0] != 0 || magic[1] != 0 || magic[2] != IDX_UNSIGNED_BYTE)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: begins with bytes %02x %02x %02x, expected 00 00 08 (IDX of unsigned "
                         "bytes)",
                         idx->path, magic[0], magic[1], magic[2]);
    if (magic[3] < min_ndims || magic[3] > max_ndims)
        return error_set(error, ONWARD_ERR_INPUT, "%s: has %d dimensions, expected %d to %d",
                         idx->path, magic[3], min_ndims, max_ndims);
    idx->ndims = magic[3];
    for (int i = 0; i < idx->ndims; i++) {
        code = idx_read(idx, extent, sizeof extent, "its head", error);
        if (code != ONWARD_OK)
            return code;
        idx->dims[i] = (uint64_t)extent[0] << 24 | (uint64_t)extent[1] << 16 |
                       (uint64_t)extent[2] << 8 | extent[3];
        if (idx->dims[i] == 0)
            return error_set(error, ONWARD_ERR_INPUT, "%s: dimension %d is 0, expected 1 or more",
                             idx->path, i);
    }
    return ONWARD_OK;
}

static void idx_close(struct idx_file *idx)
{
    gzclose_r(idx->file);
}

/* Opens and reads the head. */
static int idx_open(struct idx_file *idx, const char *path, int min_ndims, int max_ndims,
                    struct error *error)
{
    *idx = (struct idx_file){.path = path};
    errno = 0;
    idx->file = gzopen(path, "rb");
    if (!idx->file)
        return error_set_errno(error, errno == ENOENT ? ONWARD_ERR_NOT_FOUND : ONWARD_ERR_INPUT,
                               errno ? errno : ENOMEM, "%s: cannot read", path);
    gzbuffer(idx->file, GZIP_BUFFER_BYTES);
    int code = idx_read_head(idx, min_ndims, max_ndims, error);
    if (code != ONWARD_OK)
        idx_close(idx);
    return code;
}

/* All labels of a file in pieces: their maximum, and to the output where there is one. */
static int stream_labels(struct idx_file *idx, struct import_layout *layout,
                         struct import_output *output, struct error *error)
{
    enum { LABELS = 1 << 16 };
    uint8_t *bytes = malloc(LABELS);
    int32_t *labels = malloc(LABELS * sizeof *labels);
    int code = ONWARD_OK;
    if (!bytes || !labels)
        code = error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it", idx->path);
    for (uint64_t done = 0; done < idx->dims[0] && code == ONWARD_OK; done += LABELS) {
        uint64_t count = idx->dims[0] - done < LABELS ? idx->dims[0] - done : LABELS;
        code = idx_read(idx, bytes, count, "its labels", error);
        for (uint64_t i = 0; i < count && code == ONWARD_OK; i++) {
            labels[i] = bytes[i];
            if (bytes[i] > layout->max_label)
                layout->max_label = bytes[i];
        }
        if (code == ONWARD_OK && output)
            code = import_write(output, layout, done, count, NULL, labels, error);
    }
    free(bytes);
    free(labels);
    return code == ONWARD_OK ? idx_read_end(idx, error) : code;
}

/* Opens a split's labels and streams them. The survey has no output yet; afterwards their number
 * must be what it was. */
static int read_labels(const struct import_split *split, struct import_layout *layout,
                       struct import_output *output, struct error *error)
{
    struct idx_file labels;
    int code = idx_open(&labels, split->labels, 1, 1, error);
    if (code != ONWARD_OK)
        return code;
    if (labels.dims[0] != layout->rows)
        code = error_set(error, ONWARD_ERR_INPUT,
                         "%s: has %" PRIu64 " labels, expected %" PRIu64 " as %s has samples",
                         split->labels, labels.dims[0], layout->rows, split->features);
    if (code == ONWARD_OK)
        code = stream_labels(&labels, layout, output, error);
    idx_close(&labels);
    return code;
}

/* Sizes of a split, from the head of its features and all of its labels. */
static int survey(const struct import_split *split, struct import_layout *layout,
                  struct error *error)
{
    struct idx_file features;
    int code = idx_open(&features, split->features, 2, IMPORT_MAX_DIMS, error);
    if (code != ONWARD_OK)
        return code;
    idx_close(&features);
    *layout = (struct import_layout){.name = split->name,
                                     .x_type = ONWARD_BYTE,
                                     .rows = features.dims[0],
                                     .features = 1,
                                     .shape_ndims = features.ndims - 1};
    for (int i = 1; i < features.ndims; i++) {
        layout->shape[i - 1] = features.dims[i];
        layout->features *= features.dims[i];
        if (layout->features > IMPORT_MAX_FEATURES)
            return error_set(error, ONWARD_ERR_INPUT, "%s: expected at most %d features a sample",
                             split->features, IMPORT_MAX_FEATURES);
    }
    return read_labels(split, layout, NULL, error);
}

static int survey_all(const struct import_split *splits, uint32_t split_count,
                      struct import_layout *layouts, struct error *error)
{
    for (uint32_t i = 0; i < split_count; i++) {
        int code = survey(&splits[i], &layouts[i], error);
        if (code != ONWARD_OK)
            return code;
        if (layouts[i].shape_ndims != layouts[0].shape_ndims ||
            memcmp(layouts[i].shape, layouts[0].shape, sizeof layouts[0].shape) != 0)
            return error_set(error, ONWARD_ERR_INPUT,
                             "%s: its samples have another shape than those of %s",
                             splits[i].features, splits[0].features);
    }
    return ONWARD_OK;
}

static int copy_samples(struct idx_file *idx, const struct import_layout *layout,
                        struct import_output *output, const struct import_options *options,
                        struct error *error)
{
    uint64_t piece = import_piece_rows(layout);
    uint8_t *bytes = malloc(piece * layout->features);
    int64_t reported_us = 0;
    int code = ONWARD_OK;
    if (!bytes)
        code = error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it", idx->path);
    for (uint64_t done = 0; done < layout->rows && code == ONWARD_OK; done += piece) {
        uint64_t count = layout->rows - done < piece ? layout->rows - done : piece;
        code = idx_read(idx, bytes, count * layout->features, "its samples", error);
        if (code == ONWARD_OK)
            code = import_write(output, layout, done, count, bytes, NULL, error);
        if (code == ONWARD_OK)
            import_report(options, layout->name, done + count, layout->rows, &reported_us);
    }
    free(bytes);
    return code == ONWARD_OK ? idx_read_end(idx, error) : code;
}

/* Are the sizes still those of the survey? */
static bool is_as_surveyed(const struct idx_file *features, const struct import_layout *layout)
{
    return features->ndims == layout->shape_ndims + 1 && features->dims[0] == layout->rows &&
           memcmp(features->dims + 1, layout->shape,
                  (size_t)layout->shape_ndims * sizeof *layout->shape) == 0;
}

static int copy_split(const struct import_split *split, struct import_layout *layout,
                      struct import_output *output, const struct import_options *options,
                      struct error *error)
{
    struct idx_file features;
    uint32_t surveyed_label = layout->max_label;
    int code = read_labels(split, layout, output, error);
    if (code == ONWARD_OK)
        code = idx_open(&features, split->features, 2, IMPORT_MAX_DIMS, error);
    if (code != ONWARD_OK)
        return code;
    if (!is_as_surveyed(&features, layout) || layout->max_label != surveyed_label)
        code = error_set(error, ONWARD_ERR_INPUT, "%s: changed while it was read", split->features);
    else
        code = copy_samples(&features, layout, output, options, error);
    idx_close(&features);
    return code;
}

int import_idx(const struct import_split *splits, uint32_t split_count, const char *output,
               const struct import_options *options, struct error *error)
{
    struct import_layout layouts[IMPORT_MAX_SPLITS];
    struct import_output file;
    int code = import_check_splits(splits, split_count, true, options, error);
    if (code == ONWARD_OK)
        code = survey_all(splits, split_count, layouts, error);
    if (code == ONWARD_OK)
        code = import_create(&file, output, layouts, split_count,
                             options->scale != 0 ? options->scale : 1.0 / 255, error);
    if (code != ONWARD_OK)
        return code;
    for (uint32_t i = 0; i < split_count && code == ONWARD_OK; i++)
        code = copy_split(&splits[i], &layouts[i], &file, options, error);
    if (code == ONWARD_OK)
        return import_finish(&file, error);
    import_abandon(&file);
    return code;
}
