/* checkpoint_commit.c - the master of a checkpoint: virtual datasets that show whole arrays over
 * the shards, and the attributes by which a checkpoint is found whole. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoint.h"
#include "checkpoint_internal.h"
#include "file.h"
#include "h5.h"
#include "image.h"
#include "slab.h"

/* What the master is made of. */
struct contents {
    const struct checkpoint_id *id;
    const struct checkpoint_array *arrays;
    uint32_t array_count;
    const struct checkpoint_shard *shards;
    uint32_t size;
    const struct checkpoint_slab *slabs;
    uint32_t slab_count;
};

/* A virtual dataset while it is laid out. */
struct mapping {
    const struct contents *contents;
    const struct checkpoint_array *array;
    hid_t creation, whole;
    uint64_t elements; /* that are mapped */
    uint64_t weight;   /* of them; see slab.h */
};

/* A box of a shard's dense dataset `part`, onto a hyperslab without cut blocks. */
static int map_piece(struct mapping *mapping, const struct onward_slab *piece, hid_t part,
                     const uint64_t *start, const char *source, const char *name)
{
    int ndims = mapping->array->ndims;
    hsize_t begin[CHECKPOINT_MAX_DIMS], extents[CHECKPOINT_MAX_DIMS],
        numbers[4][CHECKPOINT_MAX_DIMS];
    for (int d = 0; d < ndims; d++) {
        begin[d] = start[d];
        extents[d] = piece->count[d] * piece->block[d];
        numbers[0][d] = piece->start[d];
        numbers[1][d] = piece->stride[d];
        numbers[2][d] = piece->count[d];
        numbers[3][d] = piece->block[d];
    }
    if (H5Sselect_hyperslab(mapping->whole, H5S_SELECT_SET, numbers[0], numbers[1], numbers[2],
                            numbers[3]) < 0 ||
        H5Sselect_hyperslab(part, H5S_SELECT_SET, begin, NULL, extents, NULL) < 0 ||
        H5Pset_virtual(mapping->creation, mapping->whole, source, name, part) < 0)
        return -1;
    return 0;
}

/* Maps the part of the whole array that a shard's dataset holds. */
static int map_part(struct mapping *mapping, uint32_t shard, const struct checkpoint_part *part)
{
    const struct checkpoint_array *array = mapping->array;
    const struct contents *contents = mapping->contents;
    char source[CHECKPOINT_SHARD_BYTES + 64], name[CHECKPOINT_NAME_BYTES + 16];
    struct onward_slab pieces[SLAB_MAX_PIECES];
    uint64_t starts[SLAB_MAX_PIECES][ONWARD_MAX_DIMS];
    hsize_t extents[CHECKPOINT_MAX_DIMS];
    for (int d = 0; d < array->ndims; d++)
        extents[d] = slab_extent(&part->slab, d, array->dims);
    /* Relative to the master's directory, so that the run directory can be moved. */
    snprintf(source, sizeof source, "step-%08" PRId64 ".shards/%s", contents->id->step,
             contents->shards[shard].file);
    checkpoint_part_name(name, array, part->index);
    int count = slab_split(&part->slab, array->ndims, array->dims, pieces, starts);
    H5_AUTO hid_t space = H5Screate_simple(array->ndims, extents, NULL);
    for (int i = 0; i < count; i++)
        if (space < 0 || map_piece(mapping, &pieces[i], space, starts[i], source, name) != 0)
            return -1;
    mapping->elements += slab_elements(&part->slab, array->ndims, array->dims);
    mapping->weight =
        slab_weight_sum(mapping->weight, slab_weight(&part->slab, array->ndims, array->dims));
    return 0;
}

static int map_rows(struct mapping *mapping)
{
    const struct checkpoint_array *array = mapping->array;
    uint32_t size = mapping->contents->size;
    for (uint32_t shard = 0; shard < size; shard++) {
        uint64_t first = 0, count = 0;
        checkpoint_rows(array->dims[0], size, shard, &first, &count);
        struct checkpoint_part part = {0, slab_rows(array->ndims, array->dims, first, count)};
        if (count > 0 && map_part(mapping, shard, &part) != 0)
            return -1;
    }
    return 0;
}

static int map_slabs(struct mapping *mapping)
{
    const struct contents *contents = mapping->contents;
    uint32_t index = (uint32_t)(mapping->array - contents->arrays), number = 0, last = UINT32_MAX;
    for (uint32_t i = 0; i < contents->slab_count; i++) {
        const struct checkpoint_slab *slab = &contents->slabs[i];
        if (slab->array != index)
            continue;
        number = slab->shard == last ? number + 1 : 0;
        last = slab->shard;
        struct checkpoint_part part = {number, slab->slab};
        if (map_part(mapping, slab->shard, &part) != 0)
            return -1;
    }
    return 0;
}

/* What other programs show beside the numbers: the names are as H5DSset_label writes them. */
static int put_description(hid_t dataset, const struct checkpoint_array *array, struct error *error)
{
    char labels[CHECKPOINT_LABELS_BYTES], *rest = labels;
    const char *names[CHECKPOINT_MAX_DIMS];
    memcpy(labels, array->labels, sizeof labels);
    for (int d = 0; d < array->ndims; d++) {
        char *name = rest ? strsep(&rest, ",") : NULL;
        names[d] = name ? name : "";
    }
    H5_AUTO hid_t type = H5Tcopy(H5T_C_S1);
    if (array->labels[0] && H5Tset_size(type, H5T_VARIABLE) < 0)
        return h5_fail(error, ONWARD_ERR_IO, "cannot name dimensions of array %s", array->name);
    int code = array->labels[0] ? h5_put_list(dataset, "DIMENSION_LABELS", type,
                                              (uint64_t)array->ndims, names, error)
                                : ONWARD_OK;
    return code == ONWARD_OK && array->unit[0] ? h5_put_text(dataset, "units", array->unit, error)
                                               : code;
}

/* Each element has to be in one part. */
static int check_cover(const struct mapping *mapping, struct error *error)
{
    const struct checkpoint_array *array = mapping->array;
    const struct onward_slab all = slab_whole(array->ndims, array->dims);
    uint64_t elements = slab_elements(&all, array->ndims, array->dims);
    if (mapping->elements != elements)
        return error_set(error, ONWARD_ERR_INPUT,
                         "array %s: the parts of the workers have %" PRIu64
                         " elements, expected each of the %" PRIu64 " once",
                         array->name, mapping->elements, elements);
    if (mapping->weight != slab_weight(&all, array->ndims, array->dims))
        return error_set(error, ONWARD_ERR_INPUT,
                         "array %s: the parts of the workers share elements and leave out as many, "
                         "expected each of the %" PRIu64 " once",
                         array->name, elements);
    return ONWARD_OK;
}

static int add_virtual(struct image *image, const struct contents *contents,
                       const struct checkpoint_array *array, struct error *error)
{
    hsize_t extents[CHECKPOINT_MAX_DIMS];
    for (int i = 0; i < array->ndims; i++)
        extents[i] = array->dims[i];
    H5_AUTO hid_t whole = H5Screate_simple(array->ndims, extents, NULL);
    H5_AUTO hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    struct mapping mapping = {contents, array, creation, whole, 0, 0};
    if (whole < 0 || creation < 0 ||
        (array->sharded ? map_slabs(&mapping) : map_rows(&mapping)) != 0 ||
        H5Sselect_all(whole) < 0)
        return h5_fail(error, ONWARD_ERR_IO, "cannot map array %s", array->name);
    int code = check_cover(&mapping, error);
    if (code != ONWARD_OK)
        return code;
    H5_AUTO hid_t dataset =
        h5_create_dataset(image->file, array->name, h5_type(array->type), whole, creation);
    if (dataset < 0)
        return h5_fail(error, ONWARD_ERR_IO, "cannot lay out array %s", array->name);
    return put_description(dataset, array, error);
}

/* An array without elements has no part in any shard and nothing to map. */
static int add_array(struct image *image, const struct contents *contents,
                     const struct checkpoint_array *array, struct error *error)
{
    if (checkpoint_row_bytes(array) > 0)
        return add_virtual(image, contents, array, error);
    return image_array(image, array->name, array->type, array->ndims, array->dims, NULL, NULL, NULL,
                       error);
}

/* The shard table as three attributes of `size` elements each. */
static int put_shards(hid_t file, const struct checkpoint_shard *shards, uint32_t size,
                      struct error *error)
{
    H5_AUTO hid_t name_type = H5Tcopy(H5T_C_S1);
    H5_AUTO hid_t sum_type = H5Tcopy(H5T_C_S1);
    char(*names)[CHECKPOINT_SHARD_BYTES] = calloc(size, sizeof *names);
    char(*sums)[CHECKPOINT_SUM_BYTES] = calloc(size, sizeof *sums);
    uint64_t *bytes = calloc(size, sizeof *bytes);
    int code = ONWARD_OK;
    if (!names || !sums || !bytes)
        code = error_set(error, ONWARD_ERR_MEMORY, "out of memory for %" PRIu32 " shards", size);
    for (uint32_t i = 0; i < size && code == ONWARD_OK; i++) {
        snprintf(names[i], sizeof *names, "%s", shards[i].file);
        snprintf(sums[i], sizeof *sums, "%s", shards[i].sum);
        bytes[i] = shards[i].bytes;
    }
    if (code == ONWARD_OK && (H5Tset_size(name_type, CHECKPOINT_SHARD_BYTES) < 0 ||
                              H5Tset_size(sum_type, CHECKPOINT_SUM_BYTES) < 0))
        code = h5_fail(error, ONWARD_ERR_IO, "cannot write the table of shards");
    if (code == ONWARD_OK)
        code = h5_put_list(file, "shard_names", name_type, size, names, error);
    if (code == ONWARD_OK)
        code = h5_put_list(file, "shard_bytes", H5T_NATIVE_UINT64, size, bytes, error);
    if (code == ONWARD_OK)
        code = h5_put_list(file, "shard_xxh128", sum_type, size, sums, error);
    free(names);
    free(sums);
    free(bytes);
    return code;
}

/* Names and shapes of the arrays, for our own reading: a mapping of a virtual dataset is one of the
 * few things in an HDF5 file that carry no checksum, and costs time where there are many shards. */
static int put_arrays(hid_t file, const struct checkpoint_array *arrays, uint32_t array_count,
                      struct error *error)
{
    H5_AUTO hid_t name_type = H5Tcopy(H5T_C_S1);
    char(*names)[CHECKPOINT_NAME_BYTES] = calloc(array_count + 1, sizeof *names);
    uint64_t(*shapes)[CHECKPOINT_SHAPE_NUMBERS] = calloc(array_count + 1, sizeof *shapes);
    int code = h5_put_int(file, "array_count", array_count, error);
    if (!names || !shapes)
        code = error_set(error, ONWARD_ERR_MEMORY, "out of memory for %" PRIu32 " arrays",
                         array_count);
    for (uint32_t i = 0; i < array_count && code == ONWARD_OK; i++) {
        snprintf(names[i], sizeof *names, "%s", arrays[i].name);
        shapes[i][0] = (uint64_t)arrays[i].type;
        shapes[i][1] = (uint64_t)arrays[i].ndims;
        for (int k = 0; k < arrays[i].ndims; k++)
            shapes[i][2 + k] = arrays[i].dims[k];
    }
    if (code == ONWARD_OK && H5Tset_size(name_type, CHECKPOINT_NAME_BYTES) < 0)
        code = h5_fail(error, ONWARD_ERR_IO, "cannot write the table of arrays");
    if (code == ONWARD_OK && array_count > 0)
        code = h5_put_list(file, "array_names", name_type, array_count, names, error);
    if (code == ONWARD_OK && array_count > 0)
        code = h5_put_list(file, "array_shapes", H5T_NATIVE_UINT64,
                           (uint64_t)array_count * CHECKPOINT_SHAPE_NUMBERS, shapes, error);
    free(names);
    free(shapes);
    return code;
}

/* Where the parts of sharded arrays are, for our own reading. */
static int put_slabs(hid_t file, const struct checkpoint_slab *slabs, uint32_t slab_count,
                     struct error *error)
{
    uint64_t(*numbers)[CHECKPOINT_SLAB_NUMBERS] = calloc(slab_count, sizeof *numbers);
    if (!numbers)
        return error_set(error, ONWARD_ERR_MEMORY, "out of memory for %" PRIu32 " hyperslabs",
                         slab_count);
    for (uint32_t i = 0; i < slab_count; i++) {
        numbers[i][0] = slabs[i].array;
        numbers[i][1] = slabs[i].shard;
        memcpy(&numbers[i][2], &slabs[i].slab, sizeof slabs[i].slab);
    }
    int code = h5_put_list(file, "slab_table", H5T_NATIVE_UINT64,
                           (uint64_t)slab_count * CHECKPOINT_SLAB_NUMBERS, numbers, error);
    free(numbers);
    return code;
}

static int put_id(hid_t file, const struct checkpoint_id *id, struct error *error)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"format_version", CHECKPOINT_FORMAT_VERSION},
                   {"step", id->step},
                   {"epoch", id->epoch},
                   {"incarnation", id->incarnation}};
    char now[40];
    time_text(now, sizeof now);
    int code = h5_put_text(file, "task", id->task, error);
    if (code == ONWARD_OK)
        code = h5_put_text(file, "time", now, error);
    if (code == ONWARD_OK)
        code = h5_put_text(file, "onward_version", PACKAGE_VERSION, error);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && code == ONWARD_OK; i++)
        code = h5_put_int(file, numbers[i].name, numbers[i].value, error);
    return code;
}

static int put_metric(hid_t file, const struct checkpoint_metric *metric, struct error *error)
{
    if (!metric || !metric->name[0])
        return ONWARD_OK;
    int code = h5_put_text(file, "metric", metric->name, error);
    return code == ONWARD_OK ? h5_put_double(file, "metric_value", metric->value, error) : code;
}

/* Each shard must be there, with its size, and be named once. */
static int check_shards(const char *run, const struct checkpoint_id *id,
                        const struct checkpoint_shard *shards, uint32_t size, struct error *error)
{
    if (size == 0 || size > CHECKPOINT_MAX_SHARDS)
        return error_set(error, ONWARD_ERR_ARGUMENT, "%" PRIu32 " shards: expected 1 to %d", size,
                         CHECKPOINT_MAX_SHARDS);
    for (uint32_t i = 0; i < size; i++) {
        char path[PATH_MAX];
        struct stat status;
        if (strnlen(shards[i].file, CHECKPOINT_SHARD_BYTES) == CHECKPOINT_SHARD_BYTES ||
            strnlen(shards[i].sum, CHECKPOINT_SUM_BYTES) != CHECKPOINT_SUM_BYTES - 1)
            return error_set(error, ONWARD_ERR_ARGUMENT, "shard %" PRIu32 " has no name or sum", i);
        int code = checkpoint_shard_path(path, run, id->step, shards[i].file, error);
        if (code != ONWARD_OK)
            return code;
        if (stat(path, &status) != 0)
            return error_set_errno(error, ONWARD_ERR_NOT_FOUND, errno, "%s: no such shard", path);
        if ((uint64_t)status.st_size != shards[i].bytes)
            return error_set(error, ONWARD_ERR_CORRUPT, "%s: has %lld bytes, expected %" PRIu64,
                             path, (long long)status.st_size, shards[i].bytes);
    }
    return ONWARD_OK;
}

static int check_slabs(const struct contents *contents, struct error *error)
{
    const struct checkpoint_slab *before = NULL;
    if (contents->slab_count > CHECKPOINT_MAX_SLABS)
        return error_set(error, ONWARD_ERR_LIMIT, "%" PRIu32 " hyperslabs: expected at most %d",
                         contents->slab_count, CHECKPOINT_MAX_SLABS);
    for (uint32_t i = 0; i < contents->slab_count; i++) {
        const struct checkpoint_slab *slab = &contents->slabs[i];
        bool fits = slab->array < contents->array_count && slab->shard < contents->size &&
                    contents->arrays[slab->array].sharded;
        bool is_ordered = !before || before->shard < slab->shard ||
                          (before->shard == slab->shard && before->array <= slab->array);
        if (!fits || !is_ordered)
            return error_set(error, ONWARD_ERR_ARGUMENT,
                             "hyperslab %" PRIu32 ": is of no sharded array, or out of order", i);
        before = slab;
    }
    return ONWARD_OK;
}

static int fill_master(struct image *image, const struct contents *contents, struct error *error)
{
    int code = put_id(image->file, contents->id, error);
    if (code == ONWARD_OK)
        code = put_shards(image->file, contents->shards, contents->size, error);
    if (code == ONWARD_OK)
        code = put_arrays(image->file, contents->arrays, contents->array_count, error);
    if (code == ONWARD_OK && contents->slab_count > 0)
        code = put_slabs(image->file, contents->slabs, contents->slab_count, error);
    for (uint32_t i = 0; i < contents->array_count && code == ONWARD_OK; i++)
        code = add_array(image, contents, &contents->arrays[i], error);
    return code;
}

int checkpoint_commit_with_metric(const char *run, const struct checkpoint_id *id,
                                  const struct checkpoint_metric *metric,
                                  const struct checkpoint_array *arrays, uint32_t array_count,
                                  const struct checkpoint_shard *shards, uint32_t size,
                                  const struct checkpoint_slab *slabs, uint32_t slab_count,
                                  const struct fence *fence, struct error *error)
{
    H5_QUIET;
    char path[PATH_MAX];
    struct image image;
    struct contents contents = {id, arrays, array_count, shards, size, slabs, slab_count};
    int code = checkpoint_check_id(id, error);
    if (code == ONWARD_OK)
        code = checkpoint_check_arrays(arrays, array_count, error);
    if (code == ONWARD_OK)
        code = check_shards(run, id, shards, size, error);
    if (code == ONWARD_OK)
        code = check_slabs(&contents, error);
    if (code == ONWARD_OK)
        code = checkpoint_master_path(path, run, id->step, error);
    if (code == ONWARD_OK)
        code = image_open(&image, IMAGE_SEALED, error);
    if (code != ONWARD_OK)
        return code;
    image.fence = fence;
    code = fill_master(&image, &contents, error);
    if (code == ONWARD_OK)
        code = put_metric(image.file, metric, error);
    if (code == ONWARD_OK)
        code = image_save(&image, path, NULL, NULL, error);
    image_close(&image);
    return code;
}

int checkpoint_commit_slabs(const char *run, const struct checkpoint_id *id,
                            const struct checkpoint_array *arrays, uint32_t array_count,
                            const struct checkpoint_shard *shards, uint32_t size,
                            const struct checkpoint_slab *slabs, uint32_t slab_count,
                            struct error *error)
{
    return checkpoint_commit_with_metric(run, id, NULL, arrays, array_count, shards, size, slabs,
                                         slab_count, NULL, error);
}

int checkpoint_commit(const char *run, const struct checkpoint_id *id,
                      const struct checkpoint_array *arrays, uint32_t array_count,
                      const struct checkpoint_shard *shards, uint32_t size, struct error *error)
{
    return checkpoint_commit_slabs(run, id, arrays, array_count, shards, size, NULL, 0, error);
}

bool checkpoint_may_thread(void)
{
    hbool_t is_safe = false;
    return H5is_library_threadsafe(&is_safe) >= 0 && is_safe;
}
