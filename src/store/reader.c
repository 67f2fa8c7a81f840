/* reader.c - rows of a training data set; see reader.h.
 *
 * A split that fits the cache is read once and kept as it is stored (bytes stay bytes; they become
 * float32 row by row when asked for). Otherwise each run of consecutive rows that is asked for is
 * one hyperslab, read in pieces of bounded size. Labels are checked once, when the split is opened,
 * so that a bad one is found before training starts. */
#include "reader.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "h5.h"

enum { PIECE_BYTES = 1 << 20, READER_MAX_FEATURES = 1 << 28 };

/* How far ahead of its use a cached row is asked for, and how much of it. */
enum { PREFETCH_ROWS = 4, PREFETCH_BYTES = 4096, CACHE_LINE_BYTES = 64 };

struct reader {
    hid_t file, x, y;
    int x_type; /* ONWARD_BYTE or ONWARD_FLOAT */
    uint64_t rows, features, row_bytes;
    uint32_t classes;
    float scale;
    void *x_cache; /* NULL: not cached, and then */
    int32_t *y_cache;
    void *piece; /* holds piece_rows rows as they are stored */
    uint64_t piece_rows;
    char where[256]; /* file and split, for texts */
};

uint64_t reader_rows(const struct reader *reader)
{
    return reader->rows;
}

uint64_t reader_features(const struct reader *reader)
{
    return reader->features;
}

uint32_t reader_classes(const struct reader *reader)
{
    return reader->classes;
}

/* Type and extents of a dataset of the split. */
static int inspect(const struct reader *reader, hid_t dataset, const char *name, int ndims,
                   int *type, hsize_t *extents, struct error *error)
{
    H5_AUTO hid_t space = H5Dget_space(dataset);
    H5_AUTO hid_t stored = H5Dget_type(dataset);
    if (space < 0 || stored < 0)
        return h5_fail_reading(error, "%s: cannot read dataset %s", reader->where, name);
    if (H5Sget_simple_extent_ndims(space) != ndims)
        return error_set(error, ONWARD_ERR_INPUT, "%s: dataset %s has %d dimensions, expected %d",
                         reader->where, name, H5Sget_simple_extent_ndims(space), ndims);
    H5Sget_simple_extent_dims(space, extents, NULL);
    *type = h5_type_of(stored);
    return ONWARD_OK;
}

static int open_datasets(struct reader *reader, const char *path, const char *split,
                         struct error *error)
{
    char x_name[96], y_name[96];
    if (!split[0] || strlen(split) >= 64)
        return error_set(error, ONWARD_ERR_ARGUMENT, "split: expected a name of 1 to 63 bytes");
    snprintf(reader->where, sizeof reader->where, "%.180s: %s", path, split);
    if (access(path, F_OK) != 0)
        return error_set(error, ONWARD_ERR_NOT_FOUND, "%s: there is no such data file", path);
    reader->file = h5_open_file(path);
    if (reader->file < 0)
        return h5_fail(error, ONWARD_ERR_INPUT, "%s: expected an HDF5 data file", path);
    snprintf(x_name, sizeof x_name, "%s/x", split);
    snprintf(y_name, sizeof y_name, "%s/y", split);
    reader->x = H5Dopen2(reader->file, x_name, H5P_DEFAULT);
    reader->y = H5Dopen2(reader->file, y_name, H5P_DEFAULT);
    if (reader->x < 0 || reader->y < 0)
        return h5_fail(error, ONWARD_ERR_INPUT, "%s: expected datasets %s and %s", path, x_name,
                       y_name);
    return ONWARD_OK;
}

static int check_shapes(struct reader *reader, struct error *error)
{
    hsize_t x_extents[2] = {0}, y_extents[1] = {0};
    int y_type = 0;
    int code = inspect(reader, reader->x, "x", 2, &reader->x_type, x_extents, error);
    if (code == ONWARD_OK)
        code = inspect(reader, reader->y, "y", 1, &y_type, y_extents, error);
    if (code != ONWARD_OK)
        return code;
    if (reader->x_type != ONWARD_BYTE && reader->x_type != ONWARD_FLOAT)
        return error_set(error, ONWARD_ERR_INPUT, "%s: dataset x: expected uint8 or float32",
                         reader->where);
    if (y_type != ONWARD_INT32)
        return error_set(error, ONWARD_ERR_INPUT, "%s: dataset y: expected int32", reader->where);
    if (x_extents[0] == 0 || x_extents[1] == 0 || x_extents[1] > READER_MAX_FEATURES)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: dataset x: expected at least one row and 1 to %d features",
                         reader->where, READER_MAX_FEATURES);
    reader->features = x_extents[1];
    reader->row_bytes = reader->features * h5_type_bytes(reader->x_type);
    if (x_extents[0] > INT64_MAX / (reader->row_bytes + sizeof(int32_t)))
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: dataset x has %" PRIu64 " rows of %" PRIu64
                         " bytes, expected no more than a file can hold",
                         reader->where, (uint64_t)x_extents[0], reader->row_bytes);
    if (x_extents[0] != y_extents[0])
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: dataset y has %" PRIu64 " rows, expected %" PRIu64 " as x",
                         reader->where, (uint64_t)y_extents[0], (uint64_t)x_extents[0]);
    reader->rows = x_extents[0];
    return ONWARD_OK;
}

static int read_attributes(struct reader *reader, const char *split, struct error *error)
{
    int64_t classes = 0;
    double scale = 0;
    H5_AUTO hid_t group = H5Gopen2(reader->file, split, H5P_DEFAULT);
    if (group < 0)
        return h5_fail(error, ONWARD_ERR_INPUT, "%s: cannot open the group", reader->where);
    int code = h5_get_int(group, "classes", reader->where, &classes, error);
    if (code == ONWARD_OK)
        code = h5_get_double(group, "scale", reader->where, &scale, error);
    if (code != ONWARD_OK) /* a file that was never a data file: the input is at fault */
        return code == ONWARD_ERR_CORRUPT ? error_set(error, ONWARD_ERR_INPUT,
                                                      "%s: expected attributes classes (integer) "
                                                      "and scale (float)",
                                                      reader->where)
                                          : code;
    if (classes < 1 || classes > INT32_MAX || !(scale > -1e30 && scale < 1e30))
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: attributes classes %" PRId64 " and scale %g: expected 1 or more, and "
                         "a finite number",
                         reader->where, classes, scale);
    reader->classes = (uint32_t)classes;
    reader->scale = (float)scale;
    return ONWARD_OK;
}

static bool has_memory(uint64_t bytes)
{
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return false;
    munmap(room, bytes);
    return true;
}

/* Bytes of what is read of a dataset at once: a chunk. 0: it is not stored in chunks, or not in any
 * that can be. */
static uint64_t chunk_bytes(hid_t dataset, int ndims, int type)
{
    hsize_t extents[2] = {0};
    uint64_t bytes = 0;
    H5_AUTO hid_t creation = H5Dget_create_plist(dataset);
    if (creation < 0 || H5Pget_layout(creation) != H5D_CHUNKED ||
        H5Pget_chunk(creation, ndims, extents) != ndims ||
        !h5_array_bytes(type, ndims, (const uint64_t[]){extents[0], extents[1]}, &bytes))
        return 0;
    return bytes;
}

/* A damaged file may ask for any amount of memory, and of a filter HDF5 does not say what it
 * lacked: where what the rows take is there the file is at fault, and where it is not nothing is.
 */
static int fail_rows(const struct reader *reader, hid_t dataset, int ndims, int type,
                     uint64_t first, uint64_t count, struct error *error)
{
    struct error failed;
    h5_fail_reading(&failed, "%s: dataset %s: cannot read rows %" PRIu64 " + %" PRIu64,
                    reader->where, ndims == 2 ? "x" : "y", first, count);
    uint64_t row_bytes = ndims == 2 ? reader->row_bytes : sizeof(int32_t);
    uint64_t chunk = chunk_bytes(dataset, ndims, type), all = reader->rows * row_bytes;
    uint64_t bytes = count * row_bytes + 2 * (chunk < all ? chunk : all); /* as stored, and plain */
    bool is_enough = has_memory(bytes);
    if (failed.code == ONWARD_ERR_MEMORY && is_enough)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%.500s; expected %" PRIu64 " bytes of memory to be enough", failed.text,
                         bytes);
    if (failed.code == ONWARD_ERR_CORRUPT && !is_enough)
        failed.code = ONWARD_ERR_MEMORY;
    return error_set(error, failed.code, "%s", failed.text);
}

/* Rows first .. first+count-1 of a dataset as they are stored. */
static int read_slab(const struct reader *reader, hid_t dataset, int ndims, int type,
                     uint64_t first, uint64_t count, void *buffer, struct error *error)
{
    hsize_t start[2] = {first, 0}, extents[2] = {count, reader->features};
    H5_AUTO hid_t file_space = H5Dget_space(dataset);
    H5_AUTO hid_t memory_space = H5Screate_simple(ndims, extents, NULL);
    if (file_space < 0 || memory_space < 0 ||
        H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, extents, NULL) < 0 ||
        H5Dread(dataset, h5_type(type), memory_space, file_space, H5P_DEFAULT, buffer) < 0)
        return fail_rows(reader, dataset, ndims, type, first, count, error);
    return ONWARD_OK;
}

static int read_x(const struct reader *reader, uint64_t first, uint64_t count, void *buffer,
                  struct error *error)
{
    return read_slab(reader, reader->x, 2, reader->x_type, first, count, buffer, error);
}

static int read_y(const struct reader *reader, uint64_t first, uint64_t count, int32_t *buffer,
                  struct error *error)
{
    return read_slab(reader, reader->y, 1, ONWARD_INT32, first, count, buffer, error);
}

static int check_labels(const struct reader *reader, uint64_t first, const int32_t *y,
                        uint64_t count, struct error *error)
{
    for (uint64_t i = 0; i < count; i++)
        if (y[i] < 0 || (uint32_t)y[i] >= reader->classes)
            return error_set(error, ONWARD_ERR_INPUT,
                             "%s: row %" PRIu64 " of y is class %" PRId32
                             ", expected 0 to %" PRIu32,
                             reader->where, first + i, y[i], reader->classes - 1);
    return ONWARD_OK;
}

static int check_all_labels(const struct reader *reader, struct error *error)
{
    enum { ROWS = PIECE_BYTES / sizeof(int32_t) };
    int code = ONWARD_OK;
    int32_t *labels = malloc(PIECE_BYTES);
    if (!labels)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it", reader->where);
    for (uint64_t first = 0; first < reader->rows && code == ONWARD_OK; first += ROWS) {
        uint64_t count = reader->rows - first < ROWS ? reader->rows - first : ROWS;
        code = read_y(reader, first, count, labels, error);
        if (code == ONWARD_OK)
            code = check_labels(reader, first, labels, count, error);
    }
    free(labels);
    return code;
}

/* Fills the cache, or makes room for one piece where the split is larger than cache_bytes. */
static int fill_cache(struct reader *reader, size_t cache_bytes, struct error *error)
{
    uint64_t total = reader->rows * (reader->row_bytes + sizeof(int32_t));
    bool fits = cache_bytes > 0 && total <= cache_bytes;
    reader->piece_rows = PIECE_BYTES / reader->row_bytes > 0 ? PIECE_BYTES / reader->row_bytes : 1;
    if (!fits) {
        reader->piece = malloc(reader->piece_rows * reader->row_bytes);
        return reader->piece ? ONWARD_OK
                             : error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it",
                                         reader->where);
    }
    reader->x_cache = malloc(reader->rows * reader->row_bytes);
    reader->y_cache = malloc(reader->rows * sizeof(int32_t));
    if (!reader->x_cache || !reader->y_cache)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to cache it", reader->where);
    int code = read_x(reader, 0, reader->rows, reader->x_cache, error);
    return code != ONWARD_OK ? code : read_y(reader, 0, reader->rows, reader->y_cache, error);
}

int reader_open(const char *path, const char *split, size_t cache_bytes, struct reader **reader,
                struct error *error)
{
    H5_QUIET;
    struct reader *opened = calloc(1, sizeof *opened);
    *reader = NULL;
    if (!opened)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it", path);
    opened->file = opened->x = opened->y = H5I_INVALID_HID;
    int code = open_datasets(opened, path, split, error);
    if (code == ONWARD_OK)
        code = check_shapes(opened, error);
    if (code == ONWARD_OK)
        code = read_attributes(opened, split, error);
    if (code == ONWARD_OK)
        code = check_all_labels(opened, error);
    if (code == ONWARD_OK)
        code = fill_cache(opened, cache_bytes, error);
    if (code == ONWARD_OK)
        *reader = opened;
    else
        reader_close(opened);
    return code;
}

void reader_close(struct reader *reader)
{
    H5_QUIET;
    if (!reader)
        return;
    h5_close(&reader->x);
    h5_close(&reader->y);
    h5_close(&reader->file);
    free(reader->x_cache);
    free(reader->y_cache);
    free(reader->piece);
    free(reader);
}

/* Stored rows become float32. This feeds every training step, and gcc vectorizes it at -O2 only
 * when told to. */
static void convert(const struct reader *reader, const void *stored, uint64_t rows,
                    float *restrict x)
{
    uint64_t length = rows * reader->features;
    const uint8_t *bytes = stored;
    const float *values = stored;
    const float scale = reader->scale;
    if (reader->x_type == ONWARD_BYTE) {
#pragma omp simd
        for (uint64_t i = 0; i < length; i++)
            x[i] = (float)bytes[i] * scale;
    } else {
#pragma omp simd
        for (uint64_t i = 0; i < length; i++)
            x[i] = values[i] * scale;
    }
}

static void copy_cached(const struct reader *reader, uint64_t first, uint64_t count, float *x,
                        int32_t *y)
{
    convert(reader, (const char *)reader->x_cache + first * reader->row_bytes, count, x);
    memcpy(y, reader->y_cache + first, count * sizeof *y);
}

/* Rows that are asked for by number are shuffled as a rule, so that each of them would be waited
 * for in memory: half the time of reading them. */
static void prefetch_row(const struct reader *reader, uint64_t row)
{
    const char *bytes = (const char *)reader->x_cache + row * reader->row_bytes;
    uint64_t size = reader->row_bytes < PREFETCH_BYTES ? reader->row_bytes : PREFETCH_BYTES;
    for (uint64_t at = 0; at < size; at += CACHE_LINE_BYTES)
        __builtin_prefetch(bytes + at);
}

/* One run of consecutive rows that exist. */
static int read_run(const struct reader *reader, uint64_t first, uint64_t count, float *x,
                    int32_t *y, struct error *error)
{
    if (reader->x_cache) {
        copy_cached(reader, first, count, x, y);
        return ONWARD_OK;
    }
    int code = read_y(reader, first, count, y, error);
    for (uint64_t done = 0; done < count && code == ONWARD_OK; done += reader->piece_rows) {
        uint64_t rows = count - done < reader->piece_rows ? count - done : reader->piece_rows;
        code = read_x(reader, first + done, rows, reader->piece, error);
        if (code == ONWARD_OK)
            convert(reader, reader->piece, rows, x + done * reader->features);
    }
    return code;
}

int reader_rows_range(struct reader *reader, uint64_t first, uint64_t count, float *x, int32_t *y,
                      struct error *error)
{
    H5_QUIET;
    if (first > reader->rows || count > reader->rows - first)
        return error_set(error, ONWARD_ERR_ARGUMENT,
                         "%s: rows %" PRIu64 " + %" PRIu64 ", expected at most %" PRIu64,
                         reader->where, first, count, reader->rows);
    return count > 0 ? read_run(reader, first, count, x, y, error) : ONWARD_OK;
}

int reader_rows_at(struct reader *reader, const uint64_t *indices, uint64_t count, float *x,
                   int32_t *y, struct error *error)
{
    H5_QUIET;
    for (uint64_t i = 0; i < count; i++)
        if (indices[i] >= reader->rows)
            return error_set(error, ONWARD_ERR_ARGUMENT,
                             "%s: row %" PRIu64 ", expected 0 to %" PRIu64, reader->where,
                             indices[i], reader->rows - 1);
    for (uint64_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && indices[end] == indices[end - 1] + 1; end++)
            ;
        if (reader->x_cache && begin + PREFETCH_ROWS < count)
            prefetch_row(reader, indices[begin + PREFETCH_ROWS]);
        int code = read_run(reader, indices[begin], end - begin, x + begin * reader->features,
                            y + begin, error);
        if (code != ONWARD_OK)
            return code;
    }
    return ONWARD_OK;
}
