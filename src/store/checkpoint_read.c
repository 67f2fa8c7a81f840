/* checkpoint_read.c - verifying a checkpoint, reading whole arrays or some rows, and its sum.
 *
 * What is read comes from the shards directly, not through the master's virtual datasets, since
 * HDF5 gives fill values in silence where a shard cannot be read. The master vouches for a shard's
 * table of checksums, the table for each block that is read. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "checkpoint_internal.h"
#include "h5.h"
#include "hash.h"
#include "image.h"
#include "slab.h"

enum { SUM_PIECE_BYTES = 1 << 26 };

/* A shard that is not there is damage to the checkpoint. */
static int tell_missing(int code, const char *path, struct error *error)
{
    return code == ONWARD_ERR_NOT_FOUND
               ? error_set(error, ONWARD_ERR_CORRUPT, "%s: the shard is missing", path)
               : code;
}

/* Length and table of checksums, and where asked every block. */
static int verify_shard(const char *run, const struct checkpoint_master *master, uint32_t rank,
                        bool every_block, struct error *error)
{
    const struct checkpoint_shard *shard = &master->shards[rank];
    char path[PATH_MAX];
    struct summed_file summed;
    int code = checkpoint_shard_path(path, run, master->id.step, shard->file, error);
    if (code == ONWARD_OK)
        code = summed_file_open(&summed, path, &shard->bytes, shard->sum, error);
    if (code != ONWARD_OK)
        return tell_missing(code, path, error);
    if (every_block)
        code = summed_file_check(&summed, error);
    summed_file_close(&summed);
    return code;
}

static int open_shard(struct checkpoint_source *source, const char *run,
                      const struct checkpoint_master *master, uint32_t rank, struct error *error)
{
    const struct checkpoint_shard *shard = &master->shards[rank];
    char path[PATH_MAX];
    int code = checkpoint_shard_path(path, run, master->id.step, shard->file, error);
    if (code == ONWARD_OK)
        code = tell_missing(checkpoint_source_open(source, path, shard, error), path, error);
    return code;
}

/* Every shard must have the parts of each array that fall to it. */
static int verify_parts(const char *run, const struct checkpoint_master *master, uint32_t rank,
                        struct error *error)
{
    struct checkpoint_source shard = {.file = -1};
    struct checkpoint_part part;
    uint64_t offset = 0;
    int code = open_shard(&shard, run, master, rank, error);
    if (code != ONWARD_OK)
        return code;
    for (uint32_t i = 0; i < master->array_count && code == ONWARD_OK; i++)
        for (uint32_t k = 0; code == ONWARD_OK && checkpoint_part_of(master, i, rank, k, &part);
             k++)
            code = checkpoint_source_locate(&shard, &master->arrays[i], &part, &offset, error);
    checkpoint_source_close(&shard);
    return code;
}

static int verify(const char *run, const struct checkpoint_master *master, bool every_block,
                  struct error *error)
{
    int code = ONWARD_OK;
    for (uint32_t rank = 0; rank < master->shard_count && code == ONWARD_OK; rank++) {
        code = verify_shard(run, master, rank, every_block, error);
        if (code == ONWARD_OK)
            code = verify_parts(run, master, rank, error);
    }
    return code;
}

int checkpoint_look(const char *run, int64_t step, const char *task, bool every_block,
                    struct checkpoint_id *id, struct error *error)
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
        code = verify(run, &master, every_block, error);
    *id = master.id;
    checkpoint_master_clear(&master);
    return code;
}

int checkpoint_verify(const char *run, int64_t step, const char *task, struct error *error)
{
    struct checkpoint_id id;
    return checkpoint_look(run, step, task, true, &id, error);
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

/* *index: which of the master's arrays it is. */
static int check_fits(const struct checkpoint_master *master, const struct checkpoint_array *array,
                      uint32_t *index, struct error *error)
{
    char where[64];
    const struct checkpoint_array *found = NULL;
    for (uint32_t i = 0; i < master->array_count && !found; i++)
        if (strncmp(master->arrays[i].name, array->name, CHECKPOINT_NAME_BYTES) == 0)
            found = &master->arrays[i];
    if (!found)
        return error_set(error, ONWARD_ERR_INPUT,
                         "checkpoint of step %" PRId64 ": has no array %.63s", master->id.step,
                         array->name);
    *index = (uint32_t)(found - master->arrays);
    snprintf(where, sizeof where, "checkpoint of step %" PRId64, master->id.step);
    return checkpoint_check_shape(where, found, array, error);
}

/* The slabs of an array that are wanted: its own, or the whole of it. */
struct wanted {
    const struct checkpoint_array *array; /* of the caller */
    uint32_t index;                       /* in the master */
    uint32_t slab_count;
    const struct onward_slab *slabs;
    struct onward_slab whole; /* what slabs are where the array is not sharded */
    uint64_t elements, found;
};

static int want(const struct checkpoint_master *master, const struct checkpoint_array *array,
                struct wanted *wanted, struct error *error)
{
    *wanted = (struct wanted){.array = array, .slab_count = 1, .slabs = &wanted->whole};
    int code = check_fits(master, array, &wanted->index, error);
    if (code != ONWARD_OK)
        return code;
    wanted->whole = slab_whole(array->ndims, array->dims);
    if (array->sharded) {
        wanted->slab_count = array->slab_count;
        wanted->slabs = array->slabs;
    } else if (checkpoint_row_bytes(array) == 0) {
        wanted->slab_count = 0;
    }
    for (uint32_t i = 0; i < wanted->slab_count; i++)
        wanted->elements += slab_elements(&wanted->slabs[i], array->ndims, array->dims);
    if (wanted->elements > 0 && !array->data)
        return error_set(error, ONWARD_ERR_ARGUMENT, "array %s: has no room to be read into",
                         array->name);
    return ONWARD_OK;
}

static int want_all(const struct checkpoint_master *master, const struct checkpoint_array *arrays,
                    uint32_t array_count, struct wanted *wanted, struct error *error)
{
    int code = checkpoint_check_arrays(arrays, array_count, error);
    for (uint32_t i = 0; i < array_count && code == ONWARD_OK; i++)
        code = want(master, &arrays[i], &wanted[i], error);
    if (code == ONWARD_OK && array_count != master->array_count)
        code =
            error_set(error, ONWARD_ERR_INPUT,
                      "checkpoint of step %" PRId64 ": has %" PRIu32 " arrays, expected %" PRIu32,
                      master->id.step, master->array_count, array_count);
    return code;
}

/* A shard, opened when something of it is needed. */
struct shard {
    const char *run;
    const struct checkpoint_master *master;
    uint32_t rank;
    bool is_open;
    struct checkpoint_source source;
};

static int need_shard(struct shard *shard, struct error *error)
{
    if (shard->is_open)
        return ONWARD_OK;
    int code = open_shard(&shard->source, shard->run, shard->master, shard->rank, error);
    shard->is_open = code == ONWARD_OK;
    return code;
}

static int shares(const struct onward_slab *a, const struct onward_slab *b,
                  const struct checkpoint_array *array, bool *result, struct error *error)
{
    struct slab_overlap overlap;
    int code = slab_meet(a, b, array->ndims, array->dims, &overlap, error);
    *result = code == ONWARD_OK && overlap.elements > 0;
    slab_overlap_clear(&overlap);
    return code;
}

/* What this shard has of the slabs that are wanted. */
static int read_wanted(struct shard *shard, struct wanted *wanted, struct error *error)
{
    const struct checkpoint_array *array = wanted->array;
    const struct checkpoint_array *stored = &shard->master->arrays[wanted->index];
    struct checkpoint_part part;
    bool is_shared = false;
    int code = ONWARD_OK;
    for (uint32_t k = 0; code == ONWARD_OK &&
                         checkpoint_part_of(shard->master, wanted->index, shard->rank, k, &part);
         k++) {
        char *data = array->data;
        for (uint32_t i = 0; i < wanted->slab_count && code == ONWARD_OK; i++) {
            const struct onward_slab *slab = &wanted->slabs[i];
            code = shares(&part.slab, slab, array, &is_shared, error);
            if (code == ONWARD_OK && is_shared)
                code = need_shard(shard, error);
            if (code == ONWARD_OK && is_shared)
                code = checkpoint_source_read(&shard->source, stored, &part, slab, data,
                                              &wanted->found, error);
            data += slab_elements(slab, array->ndims, array->dims) * h5_type_bytes(array->type);
        }
    }
    return code;
}

static int read_shard(struct shard *shard, struct wanted *wanted, uint32_t count,
                      struct error *error)
{
    int code = ONWARD_OK;
    for (uint32_t i = 0; i < count && code == ONWARD_OK; i++)
        code = read_wanted(shard, &wanted[i], error);
    if (shard->is_open)
        checkpoint_source_close(&shard->source);
    return code;
}

/* From every shard that has some of what is wanted; all of it has to be found. */
static int read_shards(const char *run, const struct checkpoint_master *master,
                       struct wanted *wanted, uint32_t count, struct error *error)
{
    int code = ONWARD_OK;
    for (uint32_t rank = 0; rank < master->shard_count && code == ONWARD_OK; rank++) {
        struct shard shard = {.run = run, .master = master, .rank = rank};
        code = read_shard(&shard, wanted, count, error);
    }
    for (uint32_t i = 0; i < count && code == ONWARD_OK; i++)
        if (wanted[i].found != wanted[i].elements)
            code = error_set(error, ONWARD_ERR_CORRUPT,
                             "checkpoint of step %" PRId64 ": array %s: %" PRIu64 " of %" PRIu64
                             " elements are in the shards",
                             master->id.step, wanted[i].array->name, wanted[i].found,
                             wanted[i].elements);
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
    struct wanted *wanted = calloc((size_t)array_count + 1, sizeof *wanted);
    if (!wanted)
        code = error_set(error, ONWARD_ERR_MEMORY, "out of memory to read a checkpoint");
    if (code == ONWARD_OK)
        code = want_all(&master, arrays, array_count, wanted, error);
    if (code == ONWARD_OK)
        code = read_shards(run, &master, wanted, array_count, error);
    free(wanted);
    checkpoint_master_clear(&master);
    return code;
}

int checkpoint_read_rows(const char *run, int64_t step, const struct checkpoint_array *array,
                         uint64_t first, uint64_t count, void *data, struct error *error)
{
    H5_QUIET;
    struct checkpoint_master master;
    struct checkpoint_array rows = *array;
    int code = checkpoint_check_arrays(array, 1, error);
    if (code == ONWARD_OK && (first > array->dims[0] || count > array->dims[0] - first))
        code = error_set(error, ONWARD_ERR_ARGUMENT,
                         "array %s: rows %" PRIu64 " + %" PRIu64 ", expected at most %" PRIu64,
                         array->name, first, count, array->dims[0]);
    if (code == ONWARD_OK)
        code = checkpoint_master_load(run, step, &master, error);
    if (code != ONWARD_OK)
        return code;
    struct onward_slab slab = slab_rows(array->ndims, array->dims, first, count);
    slab_normalise(&slab, array->ndims, array->dims);
    struct wanted wanted;
    rows.sharded = true; /* as the caller sees it */
    rows.slab_count = 1;
    rows.slabs = &slab;
    rows.data = data;
    code = want(&master, &rows, &wanted, error);
    if (code == ONWARD_OK)
        code = read_shards(run, &master, &wanted, 1, error);
    checkpoint_master_clear(&master);
    return code;
}

/* How an array is gone through in the order of its bytes with little memory: `outer` blocks, each
 * of which has `rows` rows, in pieces of `piece_rows`. A row of the first dimension may be as large
 * as the array, so the first dimension whose rows are small enough is cut. */
struct pieces {
    int dimension;
    uint64_t outer, rows, row_bytes, piece_rows;
};

static struct pieces cut(const struct checkpoint_array *array)
{
    struct pieces cut = {.outer = 1, .row_bytes = checkpoint_row_bytes(array)};
    while (cut.row_bytes > SUM_PIECE_BYTES && cut.dimension + 1 < array->ndims) {
        cut.outer *= array->dims[cut.dimension++];
        cut.row_bytes /= array->dims[cut.dimension];
    }
    cut.rows = array->dims[cut.dimension];
    cut.piece_rows = cut.row_bytes > 0 ? SUM_PIECE_BYTES / cut.row_bytes : 0;
    cut.piece_rows = cut.piece_rows > 0 ? cut.piece_rows : 1;
    cut.piece_rows = cut.piece_rows < cut.rows ? cut.piece_rows : cut.rows;
    return cut;
}

static struct onward_slab piece_slab(const struct checkpoint_array *array, const struct pieces *cut,
                                     uint64_t outer, uint64_t first, uint64_t count)
{
    struct onward_slab slab = slab_rows(array->ndims, array->dims, 0, array->dims[0]);
    for (int d = cut->dimension; d-- > 0; outer /= array->dims[d]) {
        slab.start[d] = outer % array->dims[d];
        slab.stride[d] = slab.block[d] = slab.count[d] = 1;
    }
    slab.start[cut->dimension] = first;
    slab.stride[cut->dimension] = slab.block[cut->dimension] = count;
    return slab;
}

static int hash_piece(const char *run, const struct checkpoint_master *master, uint32_t index,
                      const struct onward_slab *slab, void *data, XXH3_state_t *hash,
                      struct error *error)
{
    struct checkpoint_array array = master->arrays[index];
    struct wanted wanted = {.array = &array, .index = index, .slab_count = 1, .slabs = slab};
    array.data = data;
    wanted.elements = slab_elements(slab, array.ndims, array.dims);
    int code = read_shards(run, master, &wanted, 1, error);
    if (code == ONWARD_OK)
        XXH3_128bits_update(hash, data, wanted.elements * h5_type_bytes(array.type));
    return code;
}

/* Hashes the bytes of the whole array in their order. */
static int hash_array(const char *run, const struct checkpoint_master *master, uint32_t index,
                      XXH3_state_t *hash, char *sum, struct error *error)
{
    const struct checkpoint_array *array = &master->arrays[index];
    struct pieces pieces = cut(array);
    XXH3_128bits_reset(hash);
    void *data = malloc(pieces.piece_rows * pieces.row_bytes + 1);
    int code =
        data ? ONWARD_OK : error_set(error, ONWARD_ERR_MEMORY, "out of memory to sum a checkpoint");
    for (uint64_t outer = 0; pieces.row_bytes > 0 && outer < pieces.outer; outer++)
        for (uint64_t first = 0; first < pieces.rows && code == ONWARD_OK;
             first += pieces.piece_rows) {
            uint64_t left = pieces.rows - first;
            struct onward_slab slab = piece_slab(
                array, &pieces, outer, first, left < pieces.piece_rows ? left : pieces.piece_rows);
            code = hash_piece(run, master, index, &slab, data, hash, error);
        }
    free(data);
    image_sum_text(hash, sum);
    return code;
}

/* The sum over all covers, for each array in the order of names, its name and its sum, both with
 * their NUL. */
static int hash_all(const char *run, const struct checkpoint_master *master,
                    XXH3_state_t *const hashes[2],
                    void (*line)(void *context, const char *sum, const char *name), void *context,
                    struct error *error)
{
    char sum[IMAGE_SUM_BYTES];
    XXH3_128bits_reset(hashes[1]);
    for (uint32_t i = 0; i < master->array_count; i++) {
        const struct checkpoint_array *array = &master->arrays[i];
        int code = hash_array(run, master, i, hashes[0], sum, error);
        if (code != ONWARD_OK)
            return code;
        XXH3_128bits_update(hashes[1], array->name, strlen(array->name) + 1);
        XXH3_128bits_update(hashes[1], sum, sizeof sum);
        line(context, sum, array->name);
    }
    image_sum_text(hashes[1], sum);
    line(context, sum, NULL);
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
    if (!hashes[0] || !hashes[1])
        code = error_set(error, ONWARD_ERR_MEMORY, "out of memory to sum a checkpoint");
    if (code == ONWARD_OK)
        code = verify(run, &master, true, error);
    if (code == ONWARD_OK)
        code = hash_all(run, &master, hashes, line, context, error);
    XXH3_freeState(hashes[0]);
    XXH3_freeState(hashes[1]);
    checkpoint_master_clear(&master);
    return code;
}
