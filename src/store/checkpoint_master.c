/* checkpoint_master.c - reading a master back: its seal first, then what it says about the
 * checkpoint, with a bound on every size. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "checkpoint_internal.h"
#include "h5.h"
#include "image.h"
#include "slab.h"

/* A master of another version is whole, and no damage: that version can use it. */
static int check_version(hid_t file, const char *path, struct error *error)
{
    int64_t version = 0;
    int code = h5_get_int(file, "format_version", path, &version, error);
    if (code == ONWARD_OK && version != CHECKPOINT_FORMAT_VERSION)
        code = error_set(error, ONWARD_ERR_INPUT,
                         "%s: format %" PRId64 ", expected %d: another version of onward wrote it",
                         path, version, CHECKPOINT_FORMAT_VERSION);
    return code;
}

static int load_id(hid_t file, const char *path, struct checkpoint_master *master,
                   struct error *error)
{
    struct checkpoint_id *id = &master->id;
    int code = check_version(file, path, error);
    if (code == ONWARD_OK)
        code = h5_get_text(file, "task", path, id->task, sizeof id->task, error);
    if (code == ONWARD_OK)
        code = h5_get_text(file, "time", path, master->time, sizeof master->time, error);
    if (code == ONWARD_OK)
        code = h5_get_int(file, "step", path, &id->step, error);
    if (code == ONWARD_OK)
        code = h5_get_int(file, "epoch", path, &id->epoch, error);
    if (code == ONWARD_OK)
        code = h5_get_int(file, "incarnation", path, &id->incarnation, error);
    struct checkpoint_metric *metric = &master->metric;
    if (code == ONWARD_OK && H5Aexists(file, "metric") > 0)
        code = h5_get_text(file, "metric", path, metric->name, sizeof metric->name, error);
    if (code == ONWARD_OK && metric->name[0])
        code = h5_get_double(file, "metric_value", path, &metric->value, error);
    return code;
}

static int load_texts(hid_t file, const char *name, const char *path, size_t text_bytes,
                      uint32_t count, void *texts, struct error *error)
{
    H5_AUTO hid_t type = H5Tcopy(H5T_C_S1);
    if (type < 0 || H5Tset_size(type, text_bytes) < 0)
        return h5_fail_reading(error, "%s: cannot read attribute %s", path, name);
    return h5_get_list(file, name, path, type, count, texts, error);
}

/* The three attributes of the table, into shards; the buffers have room for count elements. */
static int load_table(hid_t file, const char *path, struct checkpoint_master *master,
                      char (*names)[CHECKPOINT_SHARD_BYTES], char (*sums)[CHECKPOINT_SUM_BYTES],
                      uint64_t *bytes, struct error *error)
{
    uint32_t count = master->shard_count;
    int code = load_texts(file, "shard_names", path, CHECKPOINT_SHARD_BYTES, count, names, error);
    if (code == ONWARD_OK)
        code = load_texts(file, "shard_xxh128", path, CHECKPOINT_SUM_BYTES, count, sums, error);
    if (code == ONWARD_OK)
        code = h5_get_list(file, "shard_bytes", path, H5T_NATIVE_UINT64, count, bytes, error);
    for (uint32_t i = 0; i < count && code == ONWARD_OK; i++) {
        struct checkpoint_shard *shard = &master->shards[i];
        memcpy(shard->file, names[i], sizeof shard->file);
        memcpy(shard->sum, sums[i], sizeof shard->sum);
        shard->bytes = bytes[i];
        shard->sum[sizeof shard->sum - 1] = '\0';
        shard->file[sizeof shard->file - 1] = '\0';
        if (shard->file[0] == '\0' || shard->file[0] == '.' || strchr(shard->file, '/'))
            code = error_set(error, ONWARD_ERR_CORRUPT, "%s: shard %" PRIu32 " has no usable name",
                             path, i);
    }
    return code;
}

static int load_shards(hid_t file, const char *path, struct checkpoint_master *master,
                       struct error *error)
{
    uint64_t count = 0;
    int code = h5_get_length(file, "shard_bytes", path, &count, error);
    if (code == ONWARD_OK && (count == 0 || count > CHECKPOINT_MAX_SHARDS))
        code = error_set(error, ONWARD_ERR_CORRUPT, "%s: %" PRIu64 " shards, expected 1 to %d",
                         path, count, CHECKPOINT_MAX_SHARDS);
    if (code != ONWARD_OK)
        return code;
    master->shard_count = (uint32_t)count;
    master->shards = calloc(count, sizeof *master->shards);
    char(*names)[CHECKPOINT_SHARD_BYTES] = calloc(count, sizeof *names);
    char(*sums)[CHECKPOINT_SUM_BYTES] = calloc(count, sizeof *sums);
    uint64_t *bytes = calloc(count, sizeof *bytes);
    if (master->shards && names && sums && bytes)
        code = load_table(file, path, master, names, sums, bytes, error);
    else
        code = error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it", path);
    free(names);
    free(sums);
    free(bytes);
    return code;
}

/* The two attributes of the table, into arrays; the buffers have room for all of them. */
static int load_array_table(hid_t file, const char *path, struct checkpoint_master *master,
                            char (*names)[CHECKPOINT_NAME_BYTES],
                            uint64_t (*shapes)[CHECKPOINT_SHAPE_NUMBERS], struct error *error)
{
    uint32_t count = master->array_count;
    int code = load_texts(file, "array_names", path, CHECKPOINT_NAME_BYTES, count, names, error);
    if (code == ONWARD_OK)
        code = h5_get_list(file, "array_shapes", path, H5T_NATIVE_UINT64,
                           (uint64_t)count * CHECKPOINT_SHAPE_NUMBERS, shapes, error);
    for (uint32_t i = 0; i < count && code == ONWARD_OK; i++) {
        struct checkpoint_array *array = &master->arrays[i];
        memcpy(array->name, names[i], sizeof array->name);
        /* Beyond their range they become 0, which checkpoint_check_arrays refuses. */
        array->type = shapes[i][0] <= ONWARD_BYTE ? (int)shapes[i][0] : 0;
        array->ndims = shapes[i][1] <= CHECKPOINT_MAX_DIMS ? (int)shapes[i][1] : 0;
        memcpy(array->dims, &shapes[i][2], sizeof array->dims);
    }
    return code;
}

/* Row `row` of slab_table. False: it cannot be. */
static bool take_slab(const struct checkpoint_master *master, const uint64_t *numbers,
                      struct checkpoint_slab *slab)
{
    if (numbers[0] >= master->array_count || numbers[1] >= master->shard_count)
        return false;
    const struct checkpoint_array *array = &master->arrays[numbers[0]];
    slab->array = (uint32_t)numbers[0];
    slab->shard = (uint32_t)numbers[1];
    memcpy(&slab->slab, &numbers[2], sizeof slab->slab);
    struct onward_slab same = slab->slab;
    return slab_normalise(&same, array->ndims, array->dims) &&
           memcmp(&same, &slab->slab, sizeof same) == 0 &&
           slab_elements(&same, array->ndims, array->dims) > 0;
}

/* The hyperslabs of one array, behind those of the arrays before; each element has to be in one. */
static bool take_slabs_of(struct checkpoint_master *master, uint32_t index, uint64_t count,
                          uint64_t (*numbers)[CHECKPOINT_SLAB_NUMBERS])
{
    struct checkpoint_array *array = &master->arrays[index];
    uint64_t elements = 0, bytes = 0, shard = 0;
    h5_array_bytes(array->type, array->ndims, array->dims, &bytes);
    for (uint64_t i = 0; i < count; i++) {
        struct checkpoint_slab *slab = &master->slabs[master->slab_count];
        if (numbers[i][0] != index)
            continue;
        if (!take_slab(master, numbers[i], slab) || slab->shard < shard)
            return false;
        shard = slab->shard;
        elements += slab_elements(&slab->slab, array->ndims, array->dims);
        if (elements > bytes / h5_type_bytes(array->type))
            return false;
        array->sharded = true;
        master->slab_count++;
    }
    return !array->sharded || elements == bytes / h5_type_bytes(array->type);
}

static int load_slabs(hid_t file, const char *path, struct checkpoint_master *master,
                      const uint32_t *places, struct error *error)
{
    uint64_t length = 0;
    if (H5Aexists(file, "slab_table") <= 0)
        return ONWARD_OK;
    int code = h5_get_length(file, "slab_table", path, &length, error);
    uint64_t count = length / CHECKPOINT_SLAB_NUMBERS;
    if (code == ONWARD_OK && (count == 0 || count > CHECKPOINT_MAX_SLABS))
        code = error_set(error, ONWARD_ERR_CORRUPT, "%s: %" PRIu64 " hyperslabs, expected 1 to %d",
                         path, count, CHECKPOINT_MAX_SLABS);
    if (code != ONWARD_OK)
        return code;
    uint64_t(*numbers)[CHECKPOINT_SLAB_NUMBERS] = calloc(count, sizeof *numbers);
    master->slabs = calloc(count + 1, sizeof *master->slabs);
    if (!numbers || !master->slabs)
        code = error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it", path);
    if (code == ONWARD_OK)
        code = h5_get_list(file, "slab_table", path, H5T_NATIVE_UINT64,
                           count * CHECKPOINT_SLAB_NUMBERS, numbers, error);
    for (uint64_t i = 0; i < count && code == ONWARD_OK; i++)
        numbers[i][0] =
            numbers[i][0] < master->array_count ? places[numbers[i][0]] : master->array_count;
    bool fits = true;
    for (uint32_t i = 0; i < master->array_count && code == ONWARD_OK && fits; i++)
        fits = take_slabs_of(master, i, count, numbers);
    if (code == ONWARD_OK && (!fits || master->slab_count != count))
        code = error_set(error, ONWARD_ERR_CORRUPT, "%s: has hyperslabs that cannot be", path);
    free(numbers);
    return code;
}

/* Where each array comes once they are in the order of names. */
static void find_places(const struct checkpoint_master *master, uint32_t *places)
{
    for (uint32_t i = 0; i < master->array_count; i++) {
        places[i] = 0;
        for (uint32_t k = 0; k < master->array_count; k++)
            places[i] += strcmp(master->arrays[k].name, master->arrays[i].name) < 0;
    }
}

static int compare_names(const void *left, const void *right)
{
    const struct checkpoint_array *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* places: room for CHECKPOINT_MAX_ARRAYS. */
static int load_arrays(hid_t file, const char *path, struct checkpoint_master *master,
                       uint32_t *places, struct error *error)
{
    int64_t count = 0;
    int code = h5_get_int(file, "array_count", path, &count, error);
    if (code == ONWARD_OK && (count < 0 || count > CHECKPOINT_MAX_ARRAYS))
        code = error_set(error, ONWARD_ERR_CORRUPT, "%s: %" PRId64 " arrays, expected at most %d",
                         path, count, CHECKPOINT_MAX_ARRAYS);
    if (code != ONWARD_OK)
        return code;
    master->array_count = (uint32_t)count;
    master->arrays = calloc((size_t)count + 1, sizeof *master->arrays);
    char(*names)[CHECKPOINT_NAME_BYTES] = calloc((size_t)count + 1, sizeof *names);
    uint64_t(*shapes)[CHECKPOINT_SHAPE_NUMBERS] = calloc((size_t)count + 1, sizeof *shapes);
    if (!master->arrays || !names || !shapes)
        code = error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it", path);
    else if (count > 0)
        code = load_array_table(file, path, master, names, shapes, error);
    free(names);
    free(shapes);
    if (code != ONWARD_OK || count == 0)
        return code;
    code = checkpoint_check_arrays(master->arrays, master->array_count, error);
    if (code != ONWARD_OK)
        return error_set(error, ONWARD_ERR_CORRUPT, "%s: has arrays that cannot be", path);
    find_places(master, places);
    qsort(master->arrays, master->array_count, sizeof *master->arrays, compare_names);
    return ONWARD_OK;
}

static int load(const char *path, int64_t step, struct checkpoint_master *master,
                struct error *error)
{
    uint32_t places[CHECKPOINT_MAX_ARRAYS];
    H5_AUTO hid_t file = h5_open_file(path);
    if (file < 0)
        return h5_fail_reading(error, "%s: cannot open it", path);
    int code = load_id(file, path, master, error);
    if (code == ONWARD_OK && master->id.step != step)
        code = error_set(error, ONWARD_ERR_CORRUPT, "%s: is of step %" PRId64 ", expected %" PRId64,
                         path, master->id.step, step);
    if (code == ONWARD_OK)
        code = load_shards(file, path, master, error);
    if (code == ONWARD_OK)
        code = load_arrays(file, path, master, places, error);
    if (code == ONWARD_OK)
        code = load_slabs(file, path, master, places, error);
    return code;
}

int checkpoint_master_load(const char *run, int64_t step, struct checkpoint_master *master,
                           struct error *error)
{
    char path[PATH_MAX];
    *master = (struct checkpoint_master){0};
    int code = checkpoint_master_path(path, run, step, error);
    if (code == ONWARD_OK)
        code = image_check_seal(path, error);
    if (code != ONWARD_OK)
        return code;
    code = load(path, step, master, error);
    if (code != ONWARD_OK)
        checkpoint_master_clear(master);
    return code;
}

void checkpoint_master_clear(struct checkpoint_master *master)
{
    free(master->shards);
    free(master->arrays);
    free(master->slabs);
    *master = (struct checkpoint_master){0};
}
