/* checkpoint_internal.h - what the parts of checkpoint share: names of files, and the master as it
 * is read back. */
#ifndef STORE_CHECKPOINT_INTERNAL_H
#define STORE_CHECKPOINT_INTERNAL_H

#include <sys/stat.h>

#include "checkpoint.h"
#include "summed_file.h"

/* One element of the attribute array_shapes: type, number of dimensions, extents (0 beyond). */
enum {
    CHECKPOINT_FORMAT_VERSION = 2,
    CHECKPOINT_SHAPE_NUMBERS = 2 + CHECKPOINT_MAX_DIMS,
    CHECKPOINT_SLAB_NUMBERS = 2 + 4 * CHECKPOINT_MAX_DIMS
};

/* RUN/ckpt, RUN/ckpt/step-N.h5, RUN/ckpt/step-N.failed, RUN/ckpt/step-N.shards and
 * RUN/ckpt/step-N.shards/FILE; paths have room for PATH_MAX bytes. */
int checkpoint_directory(char *path, const char *run, struct error *error);
int checkpoint_master_path(char *path, const char *run, int64_t step, struct error *error);
int checkpoint_mark_path(char *path, const char *run, int64_t step, struct error *error);
int checkpoint_shards_path(char *path, const char *run, int64_t step, struct error *error);
int checkpoint_shard_path(char *path, const char *run, int64_t step, const char *file,
                          struct error *error);

/* Whether a mark that is there surely means no checkpoint: what cannot be read may. */
bool checkpoint_mark_is_void(const char *run, int64_t step);

struct step_list {
    int64_t *steps; /* newest first */
    size_t count, capacity;
};
/* Steps of the entries of RUN/ckpt with this ending; none when there is no such directory.
 * list->steps is the caller's to free. */
int checkpoint_scan(const char *run, const char *ending, struct step_list *list,
                    struct error *error);
/* As checkpoint_list, with what the master of each entry says of its shards. */
struct checkpoint_listing {
    struct checkpoint_entry *entries;
    struct checkpoint_shard **shards; /* of each entry shard_count; NULL: it cannot be read */
    struct stat *masters;             /* the file of each entry, as it was when it was read */
    size_t count;
};
/* known: of the same run, made before; a master that is the same file still is not read again, and
 * what it says is taken out of there. NULL: none is known. *listing is the caller's to free. */
int checkpoint_listing_make(const char *run, const char *task, struct checkpoint_listing *known,
                            struct checkpoint_listing **listing, struct error *error);
/* Whether name is "step-N" + ending, as it would be written here; ending NULL: any. */
bool checkpoint_parse_name(const char *name, const char *ending, int64_t *step);

/* ONWARD_ERR_ARGUMENT when arrays cannot be those of one checkpoint, or the task or numbers of an
 * ID are out of range. */
int checkpoint_check_arrays(const struct checkpoint_array *arrays, uint32_t array_count,
                            struct error *error);
int checkpoint_check_id(const struct checkpoint_id *id, struct error *error);

/* As checkpoint_verify; *id: whose it is. Without every_block the blocks of the arrays are left to
 * who reads them, and the time depends on the number of shards, not on their size. */
int checkpoint_look(const char *run, int64_t step, const char *task, bool every_block,
                    struct checkpoint_id *id, struct error *error);

/* Puts this worker's parts into an image, with what they are. */
struct image;
int checkpoint_fill_shard(struct image *image, const struct checkpoint_id *id,
                          const struct checkpoint_array *arrays, uint32_t array_count,
                          uint32_t rank, uint32_t size, struct error *error);

/* "784 x 256" */
void checkpoint_shape_text(char *text, size_t text_bytes, const struct checkpoint_array *array);

/* ONWARD_ERR_INPUT, with `where` and both shapes, when an array that is stored has not the type and
 * shape that are asked for. */
int checkpoint_check_shape(const char *where, const struct checkpoint_array *stored,
                           const struct checkpoint_array *asked, struct error *error);

/* Attributes of a hyperslab's dataset in a shard: what it is of the whole, whose extents are in one
 * more, whole_shape. */
enum { CHECKPOINT_SLAB_LISTS = 4 };
struct checkpoint_slab_list {
    const char *name;
    const uint64_t *values; /* one a dimension */
};
void checkpoint_slab_lists(const struct onward_slab *slab,
                           struct checkpoint_slab_list lists[CHECKPOINT_SLAB_LISTS]);

/* Bytes of one row of dimension 0; 0 when there are none. */
uint64_t checkpoint_row_bytes(const struct checkpoint_array *array);

/* A master, read and checked. */
struct checkpoint_master {
    struct checkpoint_id id;
    char time[40];
    struct checkpoint_metric metric;
    uint32_t shard_count;
    struct checkpoint_shard *shards; /* in order of rank */
    uint32_t array_count;
    struct checkpoint_array *arrays; /* in order of names, data NULL */
    uint32_t slab_count;
    struct checkpoint_slab *slabs; /* in order of array, shard, and within them as written */
};

/* A part of an array that one shard holds as a dense dataset. */
struct checkpoint_part {
    uint32_t index; /* sharded: of its dataset */
    struct onward_slab slab;
};

/* Part number `index` (from 0) of the array that this shard holds; false: there is none. */
bool checkpoint_part_of(const struct checkpoint_master *master, uint32_t array, uint32_t shard,
                        uint32_t index, struct checkpoint_part *part);
/* Name of its dataset in the shard, CHECKPOINT_NAME_BYTES + 16. */
void checkpoint_part_name(char *name, const struct checkpoint_array *array, uint32_t index);

/* A shard that is open for reading; every byte that comes from it was verified. */
struct checkpoint_source {
    char path[4096];
    struct summed_file summed;
    bool is_alone;            /* no master says what it holds: its own attributes do */
    int64_t file;             /* hid_t */
    struct error block_error; /* of a block that HDF5 asked for */
};
/* expected: what the master says of the file; NULL: there is none. On failure there is nothing to
 * close. */
int checkpoint_source_open(struct checkpoint_source *source, const char *path,
                           const struct checkpoint_shard *expected, struct error *error);
void checkpoint_source_close(struct checkpoint_source *source);
/* Of a shard without a master, which was found by its name: ONWARD_ERR_CORRUPT when it is the shard
 * of another state, or another one of this. */
int checkpoint_source_check_id(struct checkpoint_source *source, const struct checkpoint_id *id,
                               uint32_t rank, uint32_t size, struct error *error);
/* ONWARD_ERR_INPUT when a shard without a master is of another number of arrays. */
int checkpoint_source_check_count(struct checkpoint_source *source, uint32_t array_count,
                                  struct error *error);
/* Where in the file a part lies; the dataset must have the part's shape. ONWARD_ERR_INPUT when a
 * shard without a master holds no such array, or another part of it. */
int checkpoint_source_locate(struct checkpoint_source *source, const struct checkpoint_array *array,
                             const struct checkpoint_part *part, uint64_t *offset,
                             struct error *error);
/* What the part shares with `wanted`, to its place in data, which is the dense part `wanted`.
 * *elements grows by how many those are. */
int checkpoint_source_read(struct checkpoint_source *source, const struct checkpoint_array *array,
                           const struct checkpoint_part *part, const struct onward_slab *wanted,
                           void *data, uint64_t *elements, struct error *error);

/* Checks the seal before HDF5 sees the file. ONWARD_ERR_INPUT: it is of another format version. On
 * failure there is nothing to clear. */
int checkpoint_master_load(const char *run, int64_t step, struct checkpoint_master *master,
                           struct error *error);
void checkpoint_master_clear(struct checkpoint_master *master);

#endif
