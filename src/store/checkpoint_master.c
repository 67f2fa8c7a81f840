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

static int load_id(hid_t file, const char *path, struct checkpoint_master *master,
                   struct error *error)
{
    int64_t version = 0;
    struct checkpoint_id *id = &master->id;
    int code = h5_get_int(file, "format_version", path, &version, error);
    if (code == ONWARD_OK && version != CHECKPOINT_FORMAT_VERSION)
        code = error_set(error, ONWARD_ERR_CORRUPT, "%s: format version %" PRId64 ", expected %d",
                         path, version, CHECKPOINT_FORMAT_VERSION);
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
    return code;
}

static int load_texts(hid_t file, const char *name, const char *path, size_t text_bytes,
                      uint32_t count, void *texts, struct error *error)
{
    H5_AUTO hid_t type = H5Tcopy(H5T_C_S1);
    if (type < 0 || H5Tset_size(type, text_bytes) < 0)
        return h5_fail(error, ONWARD_ERR_CORRUPT, "%s: cannot read attribute %s", path, name);
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

/* What the walk over the objects of a master carries along. */
struct walk {
    struct checkpoint_master *master;
    const char *path;
    struct error *error;
    int code;
};

static int describe(hid_t file, const char *name, const char *path, struct checkpoint_array *array,
                    struct error *error)
{
    hsize_t extents[H5S_MAX_RANK];
    H5_AUTO hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    H5_AUTO hid_t space = dataset < 0 ? H5I_INVALID_HID : H5Dget_space(dataset);
    H5_AUTO hid_t type = dataset < 0 ? H5I_INVALID_HID : H5Dget_type(dataset);
    if (space < 0 || type < 0)
        return h5_fail(error, ONWARD_ERR_CORRUPT, "%s: cannot read array %s", path, name);
    *array = (struct checkpoint_array){.type = h5_type_of(type),
                                       .ndims = H5Sget_simple_extent_ndims(space)};
    if (strlen(name) >= sizeof array->name || array->ndims < 1 ||
        array->ndims > CHECKPOINT_MAX_DIMS || array->type == 0)
        return error_set(error, ONWARD_ERR_CORRUPT, "%s: %.200s is no array of a checkpoint", path,
                         name);
    memcpy(array->name, name, strlen(name) + 1);
    H5Sget_simple_extent_dims(space, extents, NULL);
    for (int i = 0; i < array->ndims; i++)
        array->dims[i] = extents[i];
    return ONWARD_OK;
}

static herr_t visit(hid_t file, const char *name, const H5O_info2_t *info, void *context)
{
    struct walk *walk = context;
    struct checkpoint_master *master = walk->master;
    if (info->type != H5O_TYPE_DATASET)
        return 0;
    if (master->array_count == CHECKPOINT_MAX_ARRAYS)
        walk->code = error_set(walk->error, ONWARD_ERR_CORRUPT, "%s: has more than %d arrays",
                               walk->path, CHECKPOINT_MAX_ARRAYS);
    else
        walk->code =
            describe(file, name, walk->path, &master->arrays[master->array_count], walk->error);
    if (walk->code == ONWARD_OK)
        master->array_count++;
    return walk->code == ONWARD_OK ? 0 : -1;
}

static int compare_names(const void *left, const void *right)
{
    const struct checkpoint_array *a = left, *b = right;
    return strcmp(a->name, b->name);
}

static int load_arrays(hid_t file, const char *path, struct checkpoint_master *master,
                       struct error *error)
{
    struct walk walk = {master, path, error, ONWARD_OK};
    master->arrays = calloc(CHECKPOINT_MAX_ARRAYS, sizeof *master->arrays);
    if (!master->arrays)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it", path);
    herr_t status = H5Ovisit3(file, H5_INDEX_NAME, H5_ITER_INC, visit, &walk, H5O_INFO_BASIC);
    if (walk.code != ONWARD_OK)
        return walk.code;
    if (status < 0)
        return h5_fail(error, ONWARD_ERR_CORRUPT, "%s: cannot list its arrays", path);
    qsort(master->arrays, master->array_count, sizeof *master->arrays, compare_names);
    int code = checkpoint_check_arrays(master->arrays, master->array_count, error);
    return code == ONWARD_ERR_ARGUMENT
               ? error_set(error, ONWARD_ERR_CORRUPT, "%s: has arrays that cannot be", path)
               : code;
}

static int load(const char *path, int64_t step, struct checkpoint_master *master,
                struct error *error)
{
    H5_AUTO hid_t file = h5_open_file(path);
    if (file < 0)
        return h5_fail(error, ONWARD_ERR_CORRUPT, "%s: cannot open it", path);
    int code = load_id(file, path, master, error);
    if (code == ONWARD_OK && master->id.step != step)
        code = error_set(error, ONWARD_ERR_CORRUPT, "%s: is of step %" PRId64 ", expected %" PRId64,
                         path, master->id.step, step);
    if (code == ONWARD_OK)
        code = load_shards(file, path, master, error);
    if (code == ONWARD_OK)
        code = load_arrays(file, path, master, error);
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
    *master = (struct checkpoint_master){0};
}
