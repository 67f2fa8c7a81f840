/* copy.h - copies of shards in the node-local directory: the levels local and partner.
 *
 *     LOCALDIR/onward-UID/TASK.RUN/step-00000120.r003-of-004.i0002.e0007.h5            its worker's
 *     LOCALDIR/onward-UID/TASK.RUN/step-00000120.r003-of-004.i0002.e0007.partner.h5    of another
 *                                                                                      host's
 *
 * A copy is the same file as the shard of the shared level, but for the names: it is there when it
 * has its name, and whole when its checksums fit (summed_file.h). Written without a sync, since
 * what it has to outlive are processes; after the loss of power the checksums say whether it came
 * through. Any process of this user on the host reads and removes the copies of all others.
 * Functions return enum onward_error; thread-safe but for what calls HDF5, which says so. */
#ifndef STORE_COPY_H
#define STORE_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "checkpoint.h"

enum { COPY_PATH_BYTES = 4096, COPY_NAME_BYTES = 128 };

struct copy_place {
    const char *directory; /* node-local */
    const char *task;
    uint64_t run; /* number of the run directory */
};

/* Which shard of which state. */
struct copy_id {
    int64_t incarnation, epoch, step;
    uint32_t shard, shard_count;
    uint32_t is_partner; /* 1: sent here by a worker of another host; wide, to leave no hole */
    uint32_t is_unread;  /* 1, in what a member lists: it could not get at the file */
};

/* Whether it is of an epoch before that one, or of an incarnation before. */
bool copy_is_before(const struct copy_id *id, int64_t incarnation, int64_t epoch);

/* The name of its file, COPY_NAME_BYTES; and back: false when it is no such name. */
void copy_name(char *name, const struct copy_id *id);
bool copy_parse_name(const char *name, struct copy_id *id);
/* The directory, made where it is missing; and a copy's path, COPY_PATH_BYTES. */
int copy_directory(const struct copy_place *place, char *path, struct error *error);
int copy_path(const struct copy_place *place, const struct copy_id *id, char *path,
              struct error *error);

/* Whether so many bytes more find room there, as far as the file system says. */
bool copy_has_room(const struct copy_place *place, uint64_t bytes);
/* Writes this worker's shard. Calls HDF5. *bytes: of the file. */
int copy_write(const struct copy_place *place, const struct copy_id *id,
               const struct checkpoint_array *arrays, uint32_t array_count, uint64_t *bytes,
               struct error *error);

/* All copies of the task on this host, whoever wrote them; *list is the caller's to free.
 * ONWARD_ERR_IO where the directory cannot be read. */
int copy_list(const struct copy_place *place, struct copy_id **list, uint32_t *count,
              struct error *error);
/* Do all checksums of a file fit? */
int copy_check(const char *path);
/* This and copy_open take the shard from whichever host it is; is_partner does not matter. */
void copy_remove(const struct copy_place *place, const struct copy_id *id);
/* Those for which `is_old` is true; and all. Both with the temporary files of whoever died. */
void copy_sweep(const struct copy_place *place,
                bool (*is_old)(void *context, const struct copy_id *), void *context);
void copy_remove_all(const struct copy_place *place);

/* A copy that is open for reading; what is read of it is verified then. Calls HDF5. Of both:
 * ONWARD_ERR_CORRUPT says that the file is damaged, or not what its name says; ONWARD_ERR_INPUT
 * that it is whole and of another program: of another number of arrays, of an array of another
 * name, type or shape, or of another layout. */
struct copy_source;
int copy_open(const struct copy_place *place, const struct copy_id *id, uint32_t array_count,
              struct copy_source **source, struct error *error);
void copy_close(struct copy_source *source); /* NULL is allowed */
/* Of the dataset number `index` of the array, which is the part `part` (a slab), what it shares
 * with `wanted`, to its place in data. *elements grows by how many those are. */
int copy_read(struct copy_source *source, const struct checkpoint_array *array, uint32_t index,
              const struct onward_slab *part, const struct onward_slab *wanted, void *data,
              uint64_t *elements, struct error *error);

#endif
