/* checkpoint_internal.h - what the parts of checkpoint share: names of files, and the master as it
 * is read back. */
#ifndef STORE_CHECKPOINT_INTERNAL_H
#define STORE_CHECKPOINT_INTERNAL_H

#include "checkpoint.h"

/* One element of the attribute array_shapes: type, number of dimensions, extents (0 beyond). */
enum { CHECKPOINT_FORMAT_VERSION = 1, CHECKPOINT_SHAPE_NUMBERS = 2 + CHECKPOINT_MAX_DIMS };

/* RUN/ckpt, RUN/ckpt/step-N.h5, RUN/ckpt/step-N.shards and RUN/ckpt/step-N.shards/FILE; paths have
 * room for PATH_MAX bytes. */
int checkpoint_directory(char *path, const char *run, struct error *error);
int checkpoint_master_path(char *path, const char *run, int64_t step, struct error *error);
int checkpoint_shards_path(char *path, const char *run, int64_t step, struct error *error);
int checkpoint_shard_path(char *path, const char *run, int64_t step, const char *file,
                          struct error *error);

/* ONWARD_ERR_ARGUMENT when arrays cannot be those of one checkpoint, or the task or numbers of an
 * ID are out of range. */
int checkpoint_check_arrays(const struct checkpoint_array *arrays, uint32_t array_count,
                            struct error *error);
int checkpoint_check_id(const struct checkpoint_id *id, struct error *error);

/* "784 x 256" */
void checkpoint_shape_text(char *text, size_t text_bytes, const struct checkpoint_array *array);

/* Bytes of one row of dimension 0; 0 when there are none. */
uint64_t checkpoint_row_bytes(const struct checkpoint_array *array);

/* A master, read and checked. */
struct checkpoint_master {
    struct checkpoint_id id;
    char time[40];
    uint32_t shard_count;
    struct checkpoint_shard *shards; /* in order of rank */
    uint32_t array_count;
    struct checkpoint_array *arrays; /* in order of names, data NULL */
};

/* Checks the seal before HDF5 sees the file. On failure there is nothing to clear. */
int checkpoint_master_load(const char *run, int64_t step, struct checkpoint_master *master,
                           struct error *error);
void checkpoint_master_clear(struct checkpoint_master *master);

#endif
