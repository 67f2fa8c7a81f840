/* checkpoint_read.c - verifying a checkpoint, reading whole arrays or some rows, and its sum.
 *
 * What is read comes from the shards directly, not through the master's virtual datasets, since
 * HDF5 gives fill values in silence where a shard cannot be read. The bytes of a shard are hashed
 * before HDF5 parses them; a shard's datasets are contiguous, so once HDF5 has said where one
 * begins, its rows are read by plain reads, straight to where they belong. */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_internal.h"
#include "file.h"
#include "h5.h"
#include "hash.h"
#include "image.h"

enum { SUM_PIECE_BYTES = 1 << 18 };

/* Size first: it is cheap, and bounds what is hashed. */
static int verify_shard(const char *run, const struct checkpoint_master *master, uint32_t rank,
                        struct error *error)
{
    const struct checkpoint_shard *shard = &master->shards[rank];
    char path[PATH_MAX], sum[IMAGE_SUM_BYTES];
    struct stat status;
    uint64_t bytes = 0;
    int code = checkpoint_shard_path(path, run, master->id.step, shard->file, error);
    if (code != ONWARD_OK)
        return code;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return error_set(error, ONWARD_ERR_CORRUPT, "%s: the shard is missing", path);
    if ((uint64_t)status.st_size != shard->bytes)
        return error_set(error, ONWARD_ERR_CORRUPT, "%s: has %lld bytes, expected %" PRIu64, path,
                         (long long)status.st_size, shard->bytes);
    code = image_sum_file(path, &bytes, sum, error);
    if (code == ONWARD_OK && (bytes != shard->bytes || strcmp(sum, shard->sum) != 0))
        code = error_set(error, ONWARD_ERR_CORRUPT, "%s: is damaged: checksum %s, expected %s",
                         path, sum, shard->sum);
    return code;
}

/* A shard that is open for reading. */
struct shard {
    char path[PATH_MAX];
    hid_t file;
    int fd;
};

static int shard_open(struct shard *shard, const char *run, const struct checkpoint_master *master,
                      uint32_t rank, struct error *error)
{
    int code =
        checkpoint_shard_path(shard->path, run, master->id.step, master->shards[rank].file, error);
    if (code == ONWARD_OK)
        code = file_open(shard->path, &shard->fd, error);
    if (code != ONWARD_OK)
        return code;
    shard->file = h5_open_file(shard->path);
    if (shard->file >= 0)
        return ONWARD_OK;
    close(shard->fd);
    return h5_fail(error, ONWARD_ERR_CORRUPT, "%s: cannot open it", shard->path);
}

static void shard_close(struct shard *shard)
{
    h5_close(&shard->file);
    close(shard->fd);
}

/* Where in the file the `count` rows begin that this shard has of the array. */
static int shard_locate(const struct shard *shard, const struct checkpoint_array *array,
                        uint64_t count, uint64_t *offset, struct error *error)
{
    hsize_t extents[H5S_MAX_RANK] = {0};
    H5_AUTO hid_t dataset = H5Dopen2(shard->file, array->name, H5P_DEFAULT);
    if (dataset < 0)
        return h5_fail(error, ONWARD_ERR_CORRUPT, "%s: no array %s", shard->path, array->name);
    H5_AUTO hid_t space = H5Dget_space(dataset);
    H5_AUTO hid_t type = H5Dget_type(dataset);
    bool fits = space >= 0 && type >= 0 && h5_type_of(type) == array->type &&
                H5Sget_simple_extent_dims(space, extents, NULL) == array->ndims &&
                extents[0] == count;
    for (int i = 1; i < array->ndims; i++)
        fits = fits && extents[i] == array->dims[i];
    haddr_t place = fits ? H5Dget_offset(dataset) : HADDR_UNDEF;
    if (place == HADDR_UNDEF)
        return error_set(error, ONWARD_ERR_CORRUPT, "%s: array %s has another shape than its part",
                         shard->path, array->name);
    *offset = place;
    return ONWARD_OK;
}

/* Of rows [first, first+count) those that the shard of `rank` has, to their place in data. */
static int shard_read(const struct shard *shard, const struct checkpoint_array *array,
                      uint32_t rank, uint32_t size, uint64_t first, uint64_t count, char *data,
                      struct error *error)
{
    uint64_t own_first = 0, own_count = 0, offset = 0;
    uint64_t row_bytes = checkpoint_row_bytes(array);
    checkpoint_rows(array->dims[0], size, rank, &own_first, &own_count);
    uint64_t begin = first > own_first ? first : own_first;
    uint64_t end = first + count < own_first + own_count ? first + count : own_first + own_count;
    if (row_bytes == 0 || begin >= end)
        return ONWARD_OK;
    int code = shard_locate(shard, array, own_count, &offset, error);
    if (code != ONWARD_OK)
        return code;
    return file_read_at(shard->fd, data + (begin - first) * row_bytes, (end - begin) * row_bytes,
                        offset + (begin - own_first) * row_bytes, shard->path, error);
}

/* Every shard must have the part of each array that falls to it. */
static int verify_parts(const char *run, const struct checkpoint_master *master, uint32_t rank,
                        struct error *error)
{
    struct shard shard;
    int code = shard_open(&shard, run, master, rank, error);
    if (code != ONWARD_OK)
        return code;
    for (uint32_t i = 0; i < master->array_count && code == ONWARD_OK; i++) {
        const struct checkpoint_array *array = &master->arrays[i];
        uint64_t first = 0, count = 0, offset = 0;
        checkpoint_rows(array->dims[0], master->shard_count, rank, &first, &count);
        if (count > 0 && checkpoint_row_bytes(array) > 0)
            code = shard_locate(&shard, array, count, &offset, error);
    }
    shard_close(&shard);
    return code;
}

static int verify(const char *run, const struct checkpoint_master *master, struct error *error)
{
    int code = ONWARD_OK;
    for (uint32_t rank = 0; rank < master->shard_count && code == ONWARD_OK; rank++) {
        code = verify_shard(run, master, rank, error);
        if (code == ONWARD_OK)
            code = verify_parts(run, master, rank, error);
    }
    return code;
}

int checkpoint_verify(const char *run, int64_t step, const char *task, struct error *error)
{
    H5_QUIET;
    char path[PATH_MAX];
    struct checkpoint_master master;
    int code = checkpoint_master_load(run, step, &master, error);
    if (code != ONWARD_OK)
        return code;
    if (task && strcmp(task, master.id.task) != 0 &&
        (code = checkpoint_master_path(path, run, step, error)) == ONWARD_OK)
        code = error_set(error, ONWARD_ERR_OTHER_TASK, "%s: is of task %s, expected %s", path,
                         master.id.task, task);
    if (code == ONWARD_OK)
        code = verify(run, &master, error);
    checkpoint_master_clear(&master);
    return code;
}

int checkpoint_describe(const char *run, int64_t step, struct checkpoint_array **arrays,
                        uint32_t *array_count, struct error *error)
{
    H5_QUIET;
    struct checkpoint_master master;
    int code = checkpoint_master_load(run, step, &master, error);
    if (code != ONWARD_OK)
        return code;
    *arrays = master.arrays;
    *array_count = master.array_count;
    master.arrays = NULL;
    checkpoint_master_clear(&master);
    return ONWARD_OK;
}

static int check_fits(const struct checkpoint_master *master, const struct checkpoint_array *array,
                      struct error *error)
{
    char asked[160], stored[160];
    const struct checkpoint_array *found = NULL;
    for (uint32_t i = 0; i < master->array_count && !found; i++)
        if (strncmp(master->arrays[i].name, array->name, CHECKPOINT_NAME_BYTES) == 0)
            found = &master->arrays[i];
    if (!found)
        return error_set(error, ONWARD_ERR_INPUT,
                         "checkpoint of step %" PRId64 ": has no array %.63s", master->id.step,
                         array->name);
    bool fits = found->type == array->type && found->ndims == array->ndims;
    for (int i = 0; i < found->ndims && fits; i++)
        fits = found->dims[i] == array->dims[i];
    if (fits)
        return ONWARD_OK;
    checkpoint_shape_text(asked, sizeof asked, array);
    checkpoint_shape_text(stored, sizeof stored, found);
    return error_set(error, ONWARD_ERR_INPUT,
                     "checkpoint of step %" PRId64 ": array %s is %s, expected %s", master->id.step,
                     found->name, stored, asked);
}

static int check_all_fit(const struct checkpoint_master *master,
                         const struct checkpoint_array *arrays, uint32_t array_count,
                         struct error *error)
{
    int code = checkpoint_check_arrays(arrays, array_count, error);
    for (uint32_t i = 0; i < array_count && code == ONWARD_OK; i++) {
        code = check_fits(master, &arrays[i], error);
        if (code == ONWARD_OK && !arrays[i].data && checkpoint_row_bytes(&arrays[i]) > 0)
            code = error_set(error, ONWARD_ERR_ARGUMENT, "array %s: has no room to be read into",
                             arrays[i].name);
    }
    if (code == ONWARD_OK && array_count != master->array_count)
        code =
            error_set(error, ONWARD_ERR_INPUT,
                      "checkpoint of step %" PRId64 ": has %" PRIu32 " arrays, expected %" PRIu32,
                      master->id.step, master->array_count, array_count);
    return code;
}

static int read_arrays(const char *run, const struct checkpoint_master *master,
                       const struct checkpoint_array *arrays, uint32_t array_count,
                       struct error *error)
{
    int code = ONWARD_OK;
    for (uint32_t rank = 0; rank < master->shard_count && code == ONWARD_OK; rank++) {
        struct shard shard;
        code = shard_open(&shard, run, master, rank, error);
        if (code != ONWARD_OK)
            return code;
        for (uint32_t i = 0; i < array_count && code == ONWARD_OK; i++)
            code = shard_read(&shard, &arrays[i], rank, master->shard_count, 0, arrays[i].dims[0],
                              arrays[i].data, error);
        shard_close(&shard);
    }
    return code;
}

int checkpoint_read(const char *run, int64_t step, const struct checkpoint_array *arrays,
                    uint32_t array_count, struct error *error)
{
    H5_QUIET;
    struct checkpoint_master master;
    int code = checkpoint_master_load(run, step, &master, error);
    if (code != ONWARD_OK)
        return code;
    code = check_all_fit(&master, arrays, array_count, error);
    if (code == ONWARD_OK)
        code = verify(run, &master, error);
    if (code == ONWARD_OK)
        code = read_arrays(run, &master, arrays, array_count, error);
    checkpoint_master_clear(&master);
    return code;
}

/* Rows [first, first+count) from the shards that have them, each verified before it is read. */
static int read_rows(const char *run, const struct checkpoint_master *master,
                     const struct checkpoint_array *array, uint64_t first, uint64_t count,
                     void *data, struct error *error)
{
    int code = ONWARD_OK;
    for (uint32_t rank = 0; rank < master->shard_count && code == ONWARD_OK; rank++) {
        struct shard shard;
        uint64_t own_first = 0, own_count = 0;
        checkpoint_rows(array->dims[0], master->shard_count, rank, &own_first, &own_count);
        if (own_first >= first + count || own_first + own_count <= first)
            continue;
        code = verify_shard(run, master, rank, error);
        if (code == ONWARD_OK)
            code = shard_open(&shard, run, master, rank, error);
        if (code != ONWARD_OK)
            return code;
        code = shard_read(&shard, array, rank, master->shard_count, first, count, data, error);
        shard_close(&shard);
    }
    return code;
}

int checkpoint_read_rows(const char *run, int64_t step, const struct checkpoint_array *array,
                         uint64_t first, uint64_t count, void *data, struct error *error)
{
    H5_QUIET;
    struct checkpoint_master master;
    int code = checkpoint_check_arrays(array, 1, error);
    if (code == ONWARD_OK && (first > array->dims[0] || count > array->dims[0] - first))
        code = error_set(error, ONWARD_ERR_ARGUMENT,
                         "array %s: rows %" PRIu64 " + %" PRIu64 ", expected at most %" PRIu64,
                         array->name, first, count, array->dims[0]);
    if (code == ONWARD_OK)
        code = checkpoint_master_load(run, step, &master, error);
    if (code != ONWARD_OK)
        return code;
    code = check_fits(&master, array, error);
    if (code == ONWARD_OK)
        code = read_rows(run, &master, array, first, count, data, error);
    checkpoint_master_clear(&master);
    return code;
}

/* Hashes the part of an array that one shard has, in pieces. */
static int hash_part(const struct shard *shard, const struct checkpoint_array *array,
                     uint64_t count, XXH3_state_t *hash, void *buffer, struct error *error)
{
    uint64_t offset = 0, bytes = count * checkpoint_row_bytes(array);
    int code = bytes > 0 ? shard_locate(shard, array, count, &offset, error) : ONWARD_OK;
    for (uint64_t done = 0; done < bytes && code == ONWARD_OK; done += SUM_PIECE_BYTES) {
        size_t piece = bytes - done < SUM_PIECE_BYTES ? (size_t)(bytes - done) : SUM_PIECE_BYTES;
        code = file_read_at(shard->fd, buffer, piece, offset + done, shard->path, error);
        if (code == ONWARD_OK)
            XXH3_128bits_update(hash, buffer, piece);
    }
    return code;
}

static int hash_array(const char *run, const struct checkpoint_master *master,
                      const struct checkpoint_array *array, XXH3_state_t *hash, void *buffer,
                      char *sum, struct error *error)
{
    XXH3_128bits_reset(hash);
    for (uint32_t rank = 0; rank < master->shard_count; rank++) {
        struct shard shard;
        uint64_t first = 0, count = 0;
        checkpoint_rows(array->dims[0], master->shard_count, rank, &first, &count);
        if (count == 0)
            break; /* the ranks behind have none either */
        int code = shard_open(&shard, run, master, rank, error);
        if (code != ONWARD_OK)
            return code;
        code = hash_part(&shard, array, count, hash, buffer, error);
        shard_close(&shard);
        if (code != ONWARD_OK)
            return code;
    }
    image_sum_text(hash, sum);
    return ONWARD_OK;
}

/* The sum over all covers, for each array in the order of names, its name and its sum, both with
 * their NUL. */
static int hash_all(const char *run, const struct checkpoint_master *master,
                    XXH3_state_t *const hashes[2], void *buffer,
                    void (*line)(void *context, const char *sum, const char *name), void *context,
                    struct error *error)
{
    char sum[IMAGE_SUM_BYTES];
    XXH3_128bits_reset(hashes[1]);
    for (uint32_t i = 0; i < master->array_count; i++) {
        const struct checkpoint_array *array = &master->arrays[i];
        int code = hash_array(run, master, array, hashes[0], buffer, sum, error);
        if (code != ONWARD_OK)
            return code;
        XXH3_128bits_update(hashes[1], array->name, strlen(array->name) + 1);
        XXH3_128bits_update(hashes[1], sum, sizeof sum);
        line(context, sum, array->name);
    }
    image_sum_text(hashes[1], sum);
    line(context, sum, "all");
    return ONWARD_OK;
}

int checkpoint_sum(const char *run, int64_t step,
                   void (*line)(void *context, const char *sum, const char *name), void *context,
                   struct error *error)
{
    H5_QUIET;
    struct checkpoint_master master;
    int code = checkpoint_master_load(run, step, &master, error);
    if (code != ONWARD_OK)
        return code;
    XXH3_state_t *const hashes[2] = {XXH3_createState(), XXH3_createState()};
    void *buffer = malloc(SUM_PIECE_BYTES);
    if (!hashes[0] || !hashes[1] || !buffer)
        code = error_set(error, ONWARD_ERR_MEMORY, "out of memory to sum a checkpoint");
    if (code == ONWARD_OK)
        code = verify(run, &master, error);
    if (code == ONWARD_OK)
        code = hash_all(run, &master, hashes, buffer, line, context, error);
    free(buffer);
    XXH3_freeState(hashes[0]);
    XXH3_freeState(hashes[1]);
    checkpoint_master_clear(&master);
    return code;
}
