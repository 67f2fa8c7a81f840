/* checkpoint_part.c - the parts of arrays that a shard holds, and reading what is wanted of them.
 *
 * A part is a dense, contiguous dataset, so once HDF5 has said where it begins, its elements are
 * read without it, straight to where they belong. Whatever is read, by HDF5 or here, comes from
 * blocks that fit their checksum (summed_file.h).
 *
 * Which part it is says the master; of a shard without one, a copy on a host, who reads it says
 * what he takes it for, and the attributes of the file whether it is that. Where it is not, the
 * program is another one than wrote it: the file is whole, and stays for that one. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint.h"
#include "checkpoint_internal.h"
#include "h5.h"
#include "slab.h"
#include "summed_driver.h"

/* The first slab of the array and shard, or of what comes behind them. */
static uint32_t first_slab(const struct checkpoint_master *master, uint32_t array, uint32_t shard)
{
    uint32_t low = 0, high = master->slab_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct checkpoint_slab *slab = &master->slabs[middle];
        if (slab->array < array || (slab->array == array && slab->shard < shard))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool checkpoint_part_of(const struct checkpoint_master *master, uint32_t array, uint32_t shard,
                        uint32_t index, struct checkpoint_part *part)
{
    const struct checkpoint_array *whole = &master->arrays[array];
    part->index = index;
    if (whole->sharded) {
        uint64_t at = (uint64_t)first_slab(master, array, shard) + index;
        if (at >= master->slab_count || master->slabs[at].array != array ||
            master->slabs[at].shard != shard)
            return false;
        part->slab = master->slabs[at].slab;
        return true;
    }
    uint64_t first = 0, count = 0;
    checkpoint_rows(whole->dims[0], master->shard_count, shard, &first, &count);
    if (index > 0 || count == 0 || checkpoint_row_bytes(whole) == 0)
        return false;
    part->slab = slab_rows(whole->ndims, whole->dims, first, count);
    return true;
}

void checkpoint_part_name(char *name, const struct checkpoint_array *array, uint32_t index)
{
    if (array->sharded)
        snprintf(name, CHECKPOINT_NAME_BYTES + 16, "%s/%" PRIu32, array->name, index);
    else
        snprintf(name, CHECKPOINT_NAME_BYTES + 16, "%s", array->name);
}

/* What HDF5 came to: a block that it asked for says more than it does. */
static int prefer_block_error(const struct checkpoint_source *source, int code, struct error *error)
{
    const struct error *cause = &source->block_error;
    return code == ONWARD_OK || cause->code == ONWARD_OK
               ? code
               : error_set(error, cause->code, "%s", cause->text);
}

static int fail_reading(const struct checkpoint_source *source, const char *what,
                        struct error *error)
{
    int code = h5_fail_reading(error, "%s: cannot open %s", source->path, what);
    return prefer_block_error(source, code, error);
}

int checkpoint_source_open(struct checkpoint_source *source, const char *path,
                           const struct checkpoint_shard *expected, struct error *error)
{
    int length = snprintf(source->path, sizeof source->path, "%s", path);
    source->block_error = (struct error){0};
    source->is_alone = !expected;
    if (length < 0 || (size_t)length >= sizeof source->path)
        return error_set(error, ONWARD_ERR_ARGUMENT, "%.400s: the path is too long", path);
    int code = summed_file_open(&source->summed, source->path, expected ? &expected->bytes : NULL,
                                expected ? expected->sum : NULL, error);
    if (code != ONWARD_OK)
        return code;
    source->file = summed_driver_open(&source->summed, &source->block_error);
    if (source->file >= 0)
        return ONWARD_OK;
    summed_file_close(&source->summed);
    return fail_reading(source, "it", error);
}

void checkpoint_source_close(struct checkpoint_source *source)
{
    hid_t file = source->file;
    h5_close(&file);
    summed_file_close(&source->summed);
}

/* Every byte that HDF5 saw fits its checksum: what it did not find in them was never there. */
static int judge_description(const struct checkpoint_source *source,
                             const struct checkpoint_array *array, int code, struct error *error)
{
    if (!source->is_alone)
        return code;
    code = prefer_block_error(source, code, error);
    if (code != ONWARD_ERR_CORRUPT || source->block_error.code != ONWARD_OK)
        return code;
    return error_set(error, ONWARD_ERR_INPUT, "%s: holds no array %s as the program protects it",
                     source->path, array->name);
}

int checkpoint_source_check_id(struct checkpoint_source *source, const struct checkpoint_id *id,
                               uint32_t rank, uint32_t size, struct error *error)
{
    const struct {
        const char *name;
        int64_t expected;
    } numbers[] = {{"step", id->step},
                   {"epoch", id->epoch},
                   {"incarnation", id->incarnation},
                   {"rank", rank},
                   {"size", size}};
    char task[sizeof id->task];
    int64_t found = 0;
    source->block_error.code = ONWARD_OK;
    int code = h5_get_text(source->file, "task", source->path, task, sizeof task, error);
    if (code == ONWARD_OK && strcmp(task, id->task) != 0)
        code = error_set(error, ONWARD_ERR_CORRUPT, "%s: is of task %s, expected %s", source->path,
                         task, id->task);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && code == ONWARD_OK; i++) {
        code = h5_get_int(source->file, numbers[i].name, source->path, &found, error);
        if (code == ONWARD_OK && found != numbers[i].expected)
            code =
                error_set(error, ONWARD_ERR_CORRUPT, "%s: is of %s %" PRId64 ", expected %" PRId64,
                          source->path, numbers[i].name, found, numbers[i].expected);
    }
    return prefer_block_error(source, code, error);
}

int checkpoint_source_check_count(struct checkpoint_source *source, uint32_t array_count,
                                  struct error *error)
{
    int64_t count = 0;
    source->block_error.code = ONWARD_OK;
    if (H5Aexists(source->file, "array_count") == 0)
        return ONWARD_OK; /* shards did not always say it */
    int code = h5_get_int(source->file, "array_count", source->path, &count, error);
    if (code == ONWARD_OK && count != array_count)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: holds %" PRId64 " arrays, the program protects %" PRIu32,
                         source->path, count, array_count);
    return prefer_block_error(source, code, error);
}

static int check_whole(const struct checkpoint_source *source, hid_t dataset,
                       const struct checkpoint_array *array, struct error *error)
{
    struct checkpoint_array stored = {.type = 0};
    uint64_t ndims = 0;
    H5_AUTO hid_t type = H5Dget_type(dataset);
    if (type < 0)
        return fail_reading(source, array->name, error);
    int code = h5_get_length(dataset, "whole_shape", source->path, &ndims, error);
    if (code != ONWARD_OK || ndims > CHECKPOINT_MAX_DIMS)
        return code == ONWARD_OK ? ONWARD_ERR_CORRUPT : code;
    code = h5_get_list(dataset, "whole_shape", source->path, H5T_NATIVE_UINT64, ndims, stored.dims,
                       error);
    stored.type = h5_type_of(type);
    stored.ndims = (int)ndims;
    return code == ONWARD_OK ? checkpoint_check_shape(source->path, &stored, array, error) : code;
}

/* *is_same: whether the dataset says that it is this part. */
static int compare_place(const struct checkpoint_source *source, hid_t dataset,
                         const struct checkpoint_array *array, const struct onward_slab *slab,
                         bool *is_same, struct error *error)
{
    struct checkpoint_slab_list lists[CHECKPOINT_SLAB_LISTS];
    uint64_t ndims = (uint64_t)array->ndims, values[CHECKPOINT_MAX_DIMS];
    int64_t first_row = 0;
    int code = ONWARD_OK;
    checkpoint_slab_lists(slab, lists);
    *is_same = true;
    for (int i = 0; array->sharded && i < CHECKPOINT_SLAB_LISTS && code == ONWARD_OK; i++) {
        code = h5_get_list(dataset, lists[i].name, source->path, H5T_NATIVE_UINT64, ndims, values,
                           error);
        *is_same = *is_same && code == ONWARD_OK &&
                   memcmp(values, lists[i].values, ndims * sizeof *values) == 0;
    }
    if (!array->sharded) {
        code = h5_get_int(dataset, "first_row", source->path, &first_row, error);
        *is_same = code == ONWARD_OK && (uint64_t)first_row == slab->start[0];
    }
    return code;
}

/* Parts of other layouts may have the same extents. */
static int check_description(const struct checkpoint_source *source, hid_t dataset,
                             const struct checkpoint_array *array,
                             const struct checkpoint_part *part, struct error *error)
{
    bool is_same = false;
    int code = check_whole(source, dataset, array, error);
    if (code == ONWARD_OK)
        code = compare_place(source, dataset, array, &part->slab, &is_same, error);
    if (code == ONWARD_OK && !is_same)
        code = error_set(error, ONWARD_ERR_INPUT,
                         "%s: holds another layout of array %s than the program describes",
                         source->path, array->name);
    return judge_description(source, array, code, error);
}

int checkpoint_source_locate(struct checkpoint_source *source, const struct checkpoint_array *array,
                             const struct checkpoint_part *part, uint64_t *offset,
                             struct error *error)
{
    char name[CHECKPOINT_NAME_BYTES + 16];
    hsize_t extents[H5S_MAX_RANK] = {0};
    source->block_error.code = ONWARD_OK;
    checkpoint_part_name(name, array, part->index);
    H5_AUTO hid_t dataset = H5Dopen2(source->file, name, H5P_DEFAULT);
    if (dataset < 0)
        return judge_description(source, array, fail_reading(source, name, error), error);
    int code =
        source->is_alone ? check_description(source, dataset, array, part, error) : ONWARD_OK;
    if (code != ONWARD_OK)
        return code;
    H5_AUTO hid_t space = H5Dget_space(dataset);
    H5_AUTO hid_t type = H5Dget_type(dataset);
    if (space < 0 || type < 0)
        return fail_reading(source, name, error);
    bool fits = h5_type_of(type) == array->type &&
                H5Sget_simple_extent_dims(space, extents, NULL) == array->ndims;
    for (int d = 0; d < array->ndims; d++)
        fits = fits && extents[d] == slab_extent(&part->slab, d, array->dims);
    haddr_t place = fits ? H5Dget_offset(dataset) : HADDR_UNDEF;
    if (place == HADDR_UNDEF)
        return error_set(error, ONWARD_ERR_CORRUPT, "%s: array %s has another shape than its part",
                         source->path, name);
    *offset = place;
    return ONWARD_OK;
}

/* One reading of a part. */
struct reading {
    struct summed_file *summed;
    uint64_t offset, type_bytes; /* of the part in the file */
    char *data;
    struct error *error;
};

static int read_piece(void *context, uint64_t from, uint64_t to, uint64_t length)
{
    struct reading *reading = context;
    uint64_t bytes = reading->type_bytes;
    return summed_file_read(reading->summed, reading->data + to * bytes, length * bytes,
                            reading->offset + from * bytes, reading->error);
}

int checkpoint_source_read(struct checkpoint_source *source, const struct checkpoint_array *array,
                           const struct checkpoint_part *part, const struct onward_slab *wanted,
                           void *data, uint64_t *elements, struct error *error)
{
    struct slab_overlap overlap;
    struct reading reading = {.summed = &source->summed, .data = data, .error = error};
    int code = slab_meet(&part->slab, wanted, array->ndims, array->dims, &overlap, error);
    if (code == ONWARD_OK && overlap.elements > 0) {
        reading.type_bytes = h5_type_bytes(array->type);
        code = checkpoint_source_locate(source, array, part, &reading.offset, error);
        if (code == ONWARD_OK)
            code = slab_walk(&overlap, read_piece, &reading);
        *elements += overlap.elements;
    }
    slab_overlap_clear(&overlap);
    return code;
}
