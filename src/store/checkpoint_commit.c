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

/* Maps rows first .. first+count-1 of the whole array onto the whole of a shard's dataset. */
static int map_part(hid_t creation, hid_t whole, const struct checkpoint_array *array,
                    const struct checkpoint_id *id, const char *file, uint64_t first,
                    uint64_t count)
{
    char source[CHECKPOINT_SHARD_BYTES + 64];
    hsize_t start[CHECKPOINT_MAX_DIMS] = {first}, extents[CHECKPOINT_MAX_DIMS];
    for (int i = 0; i < array->ndims; i++)
        extents[i] = array->dims[i];
    extents[0] = count;
    /* Relative to the master's directory, so that the run directory can be moved. */
    snprintf(source, sizeof source, "step-%08" PRId64 ".shards/%s", id->step, file);
    H5_AUTO hid_t part = H5Screate_simple(array->ndims, extents, NULL);
    if (part < 0 || H5Sselect_hyperslab(whole, H5S_SELECT_SET, start, NULL, extents, NULL) < 0 ||
        H5Pset_virtual(creation, whole, source, array->name, part) < 0)
        return -1;
    return 0;
}

static int map_array(hid_t creation, hid_t whole, const struct checkpoint_array *array,
                     const struct checkpoint_id *id, const struct checkpoint_shard *shards,
                     uint32_t size)
{
    for (uint32_t rank = 0; rank < size; rank++) {
        uint64_t first = 0, count = 0;
        checkpoint_rows(array->dims[0], size, rank, &first, &count);
        if (count > 0 && map_part(creation, whole, array, id, shards[rank].file, first, count) != 0)
            return -1;
    }
    return 0;
}

static int add_virtual(struct image *image, const struct checkpoint_array *array,
                       const struct checkpoint_id *id, const struct checkpoint_shard *shards,
                       uint32_t size, struct error *error)
{
    hsize_t extents[CHECKPOINT_MAX_DIMS];
    for (int i = 0; i < array->ndims; i++)
        extents[i] = array->dims[i];
    H5_AUTO hid_t whole = H5Screate_simple(array->ndims, extents, NULL);
    H5_AUTO hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5_AUTO hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    if (whole < 0 || links < 0 || creation < 0 || H5Pset_create_intermediate_group(links, 1) < 0 ||
        H5Pset_char_encoding(links, H5T_CSET_UTF8) < 0 ||
        map_array(creation, whole, array, id, shards, size) != 0 || H5Sselect_all(whole) < 0)
        return h5_fail(error, ONWARD_ERR_IO, "cannot map array %s", array->name);
    H5_AUTO hid_t dataset = H5Dcreate2(image->file, array->name, h5_type(array->type), whole, links,
                                       creation, H5P_DEFAULT);
    if (dataset < 0)
        return h5_fail(error, ONWARD_ERR_IO, "cannot lay out array %s", array->name);
    return ONWARD_OK;
}

/* An array without elements has no part in any shard and nothing to map. */
static int add_array(struct image *image, const struct checkpoint_array *array,
                     const struct checkpoint_id *id, const struct checkpoint_shard *shards,
                     uint32_t size, struct error *error)
{
    if (checkpoint_row_bytes(array) > 0)
        return add_virtual(image, array, id, shards, size, error);
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

static int fill_master(struct image *image, const struct checkpoint_id *id,
                       const struct checkpoint_array *arrays, uint32_t array_count,
                       const struct checkpoint_shard *shards, uint32_t size, struct error *error)
{
    int code = put_id(image->file, id, error);
    if (code == ONWARD_OK)
        code = put_shards(image->file, shards, size, error);
    if (code == ONWARD_OK)
        code = put_arrays(image->file, arrays, array_count, error);
    for (uint32_t i = 0; i < array_count && code == ONWARD_OK; i++)
        code = add_array(image, &arrays[i], id, shards, size, error);
    return code;
}

int checkpoint_commit(const char *run, const struct checkpoint_id *id,
                      const struct checkpoint_array *arrays, uint32_t array_count,
                      const struct checkpoint_shard *shards, uint32_t size, struct error *error)
{
    H5_QUIET;
    char path[PATH_MAX];
    struct image image;
    int code = checkpoint_check_id(id, error);
    if (code == ONWARD_OK)
        code = checkpoint_check_arrays(arrays, array_count, error);
    if (code == ONWARD_OK)
        code = check_shards(run, id, shards, size, error);
    if (code == ONWARD_OK)
        code = checkpoint_master_path(path, run, id->step, error);
    if (code == ONWARD_OK)
        code = image_open(&image, true, error);
    if (code != ONWARD_OK)
        return code;
    code = fill_master(&image, id, arrays, array_count, shards, size, error);
    if (code == ONWARD_OK)
        code = image_save(&image, path, NULL, NULL, error);
    image_close(&image);
    return code;
}
