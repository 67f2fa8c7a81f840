/* checkpoint.c - names of checkpoint files, what arrays can be checkpointed, and the shard that one
 * worker writes. */
#include "checkpoint.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_internal.h"
#include "file.h"
#include "h5.h"
#include "image.h"
#include "slab.h"

int checkpoint_directory(char *path, const char *run, struct error *error)
{
    return file_join(path, PATH_MAX, run, "ckpt", error);
}

static int step_path(char *path, const char *run, int64_t step, const char *ending,
                     struct error *error)
{
    char name[64];
    snprintf(name, sizeof name, "ckpt/step-%08" PRId64 "%s", step, ending);
    return file_join(path, PATH_MAX, run, name, error);
}

int checkpoint_master_path(char *path, const char *run, int64_t step, struct error *error)
{
    return step_path(path, run, step, ".h5", error);
}

int checkpoint_mark_path(char *path, const char *run, int64_t step, struct error *error)
{
    return step_path(path, run, step, ".failed", error);
}

int checkpoint_shards_path(char *path, const char *run, int64_t step, struct error *error)
{
    return step_path(path, run, step, ".shards", error);
}

int checkpoint_shard_path(char *path, const char *run, int64_t step, const char *file,
                          struct error *error)
{
    char directory[PATH_MAX];
    int code = checkpoint_shards_path(directory, run, step, error);
    return code != ONWARD_OK ? code : file_join(path, PATH_MAX, directory, file, error);
}

void checkpoint_rows(uint64_t rows, uint32_t size, uint32_t rank, uint64_t *first, uint64_t *count)
{
    uint64_t each = rows / size;
    uint64_t larger = rows % size; /* so many workers have one row more */
    *first = rank * each + (rank < larger ? rank : larger);
    *count = each + (rank < larger ? 1 : 0);
}

void checkpoint_shape_text(char *text, size_t text_bytes, const struct checkpoint_array *array)
{
    size_t used = (size_t)snprintf(text, text_bytes, "%s", h5_type_name(array->type));
    for (int i = 0; i < array->ndims && used < text_bytes; i++)
        used += (size_t)snprintf(text + used, text_bytes - used, "%s%" PRIu64, i ? " x " : " ",
                                 array->dims[i]);
}

int checkpoint_check_shape(const char *where, const struct checkpoint_array *stored,
                           const struct checkpoint_array *asked, struct error *error)
{
    char asked_text[160], stored_text[160];
    bool fits = stored->type == asked->type && stored->ndims == asked->ndims;
    for (int i = 0; i < asked->ndims && fits; i++)
        fits = stored->dims[i] == asked->dims[i];
    if (fits)
        return ONWARD_OK;
    checkpoint_shape_text(asked_text, sizeof asked_text, asked);
    checkpoint_shape_text(stored_text, sizeof stored_text, stored);
    return error_set(error, ONWARD_ERR_INPUT, "%.400s: array %s is %s, expected %s", where,
                     asked->name, stored_text, asked_text);
}

uint64_t checkpoint_row_bytes(const struct checkpoint_array *array)
{
    uint64_t bytes = 0;
    h5_array_bytes(array->type, array->ndims, array->dims, &bytes);
    return bytes > 0 ? bytes / array->dims[0] : 0;
}

/* A name is a path of groups and a dataset: parts between single slashes, none of them "." or "..",
 * no control characters. '%' means something to virtual datasets. */
static bool is_array_name(const char *name)
{
    size_t length = strnlen(name, CHECKPOINT_NAME_BYTES);
    if (length == 0 || length == CHECKPOINT_NAME_BYTES)
        return false;
    for (const char *part = name;;) {
        size_t part_length = strcspn(part, "/");
        if (part_length == 0 || (part_length == 1 && part[0] == '.') ||
            (part_length == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        for (size_t i = 0; i < part_length; i++)
            if ((unsigned char)part[i] < ' ' || part[i] == 127 || part[i] == '%')
                return false;
        if (part[part_length] == '\0')
            return true;
        part += part_length + 1;
    }
}

/* "a" cannot be a dataset and, for "a/b", a group. */
static bool names_collide(const char *a, const char *b)
{
    size_t length = strlen(a);
    return strncmp(a, b, length) == 0 && (b[length] == '\0' || b[length] == '/');
}

int checkpoint_check_arrays(const struct checkpoint_array *arrays, uint32_t array_count,
                            struct error *error)
{
    if (array_count > CHECKPOINT_MAX_ARRAYS)
        return error_set(error, ONWARD_ERR_ARGUMENT, "%" PRIu32 " arrays: expected at most %d",
                         array_count, CHECKPOINT_MAX_ARRAYS);
    for (uint32_t i = 0; i < array_count; i++) {
        uint64_t bytes = 0;
        if (!is_array_name(arrays[i].name))
            return error_set(error, ONWARD_ERR_ARGUMENT,
                             "array %.63s: expected a name of 1 to %d bytes without %% and control "
                             "characters, with groups like group/name",
                             arrays[i].name, CHECKPOINT_NAME_BYTES - 1);
        if (arrays[i].ndims > CHECKPOINT_MAX_DIMS ||
            !h5_array_bytes(arrays[i].type, arrays[i].ndims, arrays[i].dims, &bytes))
            return error_set(error, ONWARD_ERR_ARGUMENT,
                             "array %s: type or shape is out of range (1 to %d dimensions)",
                             arrays[i].name, CHECKPOINT_MAX_DIMS);
        for (uint32_t k = 0; k < array_count; k++)
            if (k != i && names_collide(arrays[k].name, arrays[i].name))
                return error_set(error, ONWARD_ERR_ARGUMENT, "arrays %s and %s: one is in the way",
                                 arrays[k].name, arrays[i].name);
    }
    return ONWARD_OK;
}

int checkpoint_check_id(const struct checkpoint_id *id, struct error *error)
{
    size_t length = strnlen(id->task, sizeof id->task);
    if (length == 0 || length == sizeof id->task)
        return error_set(error, ONWARD_ERR_ARGUMENT,
                         "task ID of a checkpoint: expected 1 to %zu bytes", sizeof id->task - 1);
    if (id->step < 0 || id->epoch < 0 || id->incarnation < 0)
        return error_set(error, ONWARD_ERR_ARGUMENT,
                         "step, epoch and incarnation of a checkpoint: expected 0 or more");
    return ONWARD_OK;
}

void checkpoint_slab_lists(const struct onward_slab *slab,
                           struct checkpoint_slab_list lists[CHECKPOINT_SLAB_LISTS])
{
    lists[0] = (struct checkpoint_slab_list){"start", slab->start};
    lists[1] = (struct checkpoint_slab_list){"stride", slab->stride};
    lists[2] = (struct checkpoint_slab_list){"count", slab->count};
    lists[3] = (struct checkpoint_slab_list){"block", slab->block};
}

/* One hyperslab of a sharded array, with what it is of the whole. */
static int add_slab(struct image *image, const struct checkpoint_array *array, uint32_t index,
                    const char *data, struct error *error)
{
    const struct onward_slab *slab = &array->slabs[index];
    char name[CHECKPOINT_NAME_BYTES + 16];
    uint64_t dims[CHECKPOINT_MAX_DIMS];
    uint64_t ndims = (uint64_t)array->ndims;
    for (int d = 0; d < array->ndims; d++)
        dims[d] = slab_extent(slab, d, array->dims);
    checkpoint_part_name(name, array, index);
    H5_AUTO hid_t dataset = H5I_INVALID_HID;
    int code =
        image_array(image, name, array->type, array->ndims, dims, data, NULL, &dataset, error);
    struct checkpoint_slab_list lists[CHECKPOINT_SLAB_LISTS];
    checkpoint_slab_lists(slab, lists);
    for (int i = 0; i < CHECKPOINT_SLAB_LISTS && code == ONWARD_OK; i++)
        code =
            h5_put_list(dataset, lists[i].name, H5T_NATIVE_UINT64, ndims, lists[i].values, error);
    if (code == ONWARD_OK)
        code = h5_put_list(dataset, "whole_shape", H5T_NATIVE_UINT64, ndims, array->dims, error);
    return code;
}

static int add_slabs(struct image *image, const struct checkpoint_array *array, struct error *error)
{
    const char *data = array->data;
    int code = ONWARD_OK;
    for (uint32_t i = 0; i < array->slab_count && code == ONWARD_OK; i++) {
        uint64_t elements = slab_elements(&array->slabs[i], array->ndims, array->dims);
        if (elements == 0 || !data)
            return error_set(error, ONWARD_ERR_ARGUMENT, "array %s: has an empty hyperslab",
                             array->name);
        code = add_slab(image, array, i, data, error);
        data += elements * h5_type_bytes(array->type);
    }
    return code;
}

/* The part of one array that this worker writes, and which part of the whole it is. */
static int add_part(struct image *image, const struct checkpoint_array *array, uint32_t rank,
                    uint32_t size, struct error *error)
{
    uint64_t first = 0, count = 0, dims[CHECKPOINT_MAX_DIMS];
    uint64_t row_bytes = checkpoint_row_bytes(array);
    if (array->sharded)
        return add_slabs(image, array, error);
    checkpoint_rows(array->dims[0], size, rank, &first, &count);
    if (count == 0 || row_bytes == 0)
        return ONWARD_OK;
    if (!array->data)
        return error_set(error, ONWARD_ERR_ARGUMENT, "array %s: has no data", array->name);
    memcpy(dims, array->dims, sizeof dims);
    dims[0] = count;
    H5_AUTO hid_t dataset = H5I_INVALID_HID;
    int code = image_array(image, array->name, array->type, array->ndims, dims,
                           (const char *)array->data + first * row_bytes, NULL, &dataset, error);
    if (code == ONWARD_OK)
        code = h5_put_int(dataset, "first_row", (int64_t)first, error);
    if (code == ONWARD_OK)
        code = h5_put_list(dataset, "whole_shape", H5T_NATIVE_UINT64, (uint64_t)array->ndims,
                           array->dims, error);
    return code;
}

int checkpoint_fill_shard(struct image *image, const struct checkpoint_id *id,
                          const struct checkpoint_array *arrays, uint32_t array_count,
                          uint32_t rank, uint32_t size, struct error *error)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"format_version", CHECKPOINT_FORMAT_VERSION},
                   {"step", id->step},
                   {"epoch", id->epoch},
                   {"incarnation", id->incarnation},
                   {"rank", rank},
                   {"size", size},
                   {"array_count", array_count}};
    int code = h5_put_text(image->file, "task", id->task, error);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && code == ONWARD_OK; i++)
        code = h5_put_int(image->file, numbers[i].name, numbers[i].value, error);
    for (uint32_t i = 0; i < array_count && code == ONWARD_OK; i++)
        code = add_part(image, &arrays[i], rank, size, error);
    return code;
}

struct checkpoint_staged {
    struct image image;
    struct checkpoint_id id;
    struct checkpoint_shard shard;
};

/* What both ways of writing a shard begin with. On failure there is nothing to close. */
static int lay_out_shard(struct checkpoint_staged *staged, const char *directory,
                         const struct checkpoint_id *id, const struct checkpoint_array *arrays,
                         uint32_t array_count, uint32_t rank, uint32_t size, struct error *error)
{
    if (size == 0 || size > CHECKPOINT_MAX_SHARDS || rank >= size)
        return error_set(error, ONWARD_ERR_ARGUMENT,
                         "shard %" PRIu32 " of %" PRIu32 ": expected 0 <= rank < size <= %d", rank,
                         size, CHECKPOINT_MAX_SHARDS);
    int code = checkpoint_check_id(id, error);
    if (code == ONWARD_OK)
        code = checkpoint_check_arrays(arrays, array_count, error);
    if (code == ONWARD_OK)
        code = image_open_in(&staged->image, IMAGE_BLOCKS, directory, error);
    if (code != ONWARD_OK)
        return code;
    staged->id = *id;
    snprintf(staged->shard.file, sizeof staged->shard.file,
             "r%03" PRIu32 "-of-%03" PRIu32 ".i%04" PRId64 ".e%04" PRId64 ".h5", rank, size,
             id->incarnation, id->epoch);
    code = checkpoint_fill_shard(&staged->image, id, arrays, array_count, rank, size, error);
    if (code != ONWARD_OK)
        image_close(&staged->image);
    return code;
}

int checkpoint_save_staged(struct checkpoint_staged *staged, const char *run,
                           const atomic_bool *stop, struct checkpoint_shard *shard,
                           struct error *error)
{
    char directory[PATH_MAX], path[PATH_MAX];
    staged->image.stop = stop;
    staged->image.is_behind = stop != NULL;
    image_await_slot(&staged->image);
    int code = checkpoint_shards_path(directory, run, staged->id.step, error);
    if (code == ONWARD_OK)
        code = file_join(path, sizeof path, directory, staged->shard.file, error);
    if (code == ONWARD_OK)
        code = file_make_directories(directory, error);
    if (code == ONWARD_OK)
        code = image_save(&staged->image, path, &staged->shard.bytes, staged->shard.sum, error);
    if (code == ONWARD_OK)
        *shard = staged->shard;
    return code;
}

int checkpoint_write_shard(const char *run, const struct checkpoint_id *id,
                           const struct checkpoint_array *arrays, uint32_t array_count,
                           uint32_t rank, uint32_t size, struct checkpoint_shard *shard,
                           struct error *error)
{
    H5_QUIET;
    struct checkpoint_staged staged;
    int code = lay_out_shard(&staged, NULL, id, arrays, array_count, rank, size, error);
    if (code != ONWARD_OK)
        return code;
    code = checkpoint_save_staged(&staged, run, NULL, shard, error);
    image_close(&staged.image);
    return code;
}

int checkpoint_stage_shard(const char *directory, const struct checkpoint_id *id,
                           const struct checkpoint_array *arrays, uint32_t array_count,
                           uint32_t rank, uint32_t size, struct checkpoint_staged **result,
                           struct error *error)
{
    H5_QUIET;
    struct checkpoint_staged *staged = calloc(1, sizeof *staged);
    *result = NULL;
    if (!staged)
        return error_set(error, ONWARD_ERR_MEMORY, "out of memory to copy a shard");
    int code = lay_out_shard(staged, directory, id, arrays, array_count, rank, size, error);
    if (code != ONWARD_OK) {
        free(staged);
        return code;
    }
    code = image_take_in(&staged->image, error);
    if (code == ONWARD_OK)
        *result = staged;
    else
        checkpoint_free_staged(staged);
    return code;
}

uint64_t checkpoint_staged_bytes(const struct checkpoint_staged *staged)
{
    return staged->image.taken_bytes;
}

bool checkpoint_staged_has_slots(const struct checkpoint_staged *staged)
{
    return image_has_slots(&staged->image);
}

void checkpoint_free_staged(struct checkpoint_staged *staged)
{
    if (staged)
        image_close(&staged->image);
    free(staged);
}
