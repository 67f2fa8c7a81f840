/* checkpoint.h - the shared level: committed checkpoints in the run directory.
 *
 *     RUN/ckpt/step-00000120.h5                    master: virtual datasets over the shards
 *     RUN/ckpt/step-00000120.shards/r003-of-004.i0002.e0007.h5
 *                                                  what worker 3 of 4 wrote in epoch 7 of
 *                                                  incarnation 2
 *     RUN/ckpt/step-00000120.failed                it failed to be restored: passed over from now
 *                                                  on (checkpoint_mark.c)
 *
 * Of a replicated array worker `rank` of `size` writes rows [first, first+count) of dimension 0,
 * split by the rule of lineup_split, in 64 bits (checkpoint_rows); of a sharded one the hyperslabs
 * that it owns, each a dense dataset NAME/0, NAME/1, ... Commit order: shards to temporary names,
 * synced, renamed (by their workers); then the master to a temporary name, synced, renamed. A
 * checkpoint is there when its master is there; it is complete when every shard is there with the
 * size that the master names, and whole when all checksums fit as well, which only reading tells: a
 * shard is an HDF5 file with a checksum for each block behind it (summed_file.h), and the master
 * names the checksum of these. The master's attributes are
 * format_version, task, epoch, incarnation, step, time, onward_version; shard_names, shard_bytes,
 * shard_xxh128 (one element a shard, in order of rank); where a metric says which is the best,
 * metric and metric_value; array_count, array_names, and array_shapes (ten numbers an array: enum
 * onward_type, number of dimensions, eight extents); with sharded arrays also slab_table (34
 * numbers a hyperslab: array, shard, then eight of each of start, stride, count, block). A dataset
 * may have DIMENSION_LABELS and units. The master's own length and checksum are in its first 512
 * bytes, a user block that HDF5 readers skip. Shard paths in the master are relative, so that a run
 * directory can be moved. Serial HDF5 only. */
#ifndef STORE_CHECKPOINT_H
#define STORE_CHECKPOINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "fence.h"
#include "onward.h"

enum {
    CHECKPOINT_MAX_DIMS = 8,      /* as ONWARD_MAX_DIMS */
    CHECKPOINT_NAME_BYTES = 64,   /* of an array, with NUL */
    CHECKPOINT_LABELS_BYTES = 64, /* of its dimensions' names, comma separated, with NUL */
    CHECKPOINT_UNIT_BYTES = 24,
    CHECKPOINT_MAX_ARRAYS = 1024,
    CHECKPOINT_MAX_SHARDS = 65536,
    CHECKPOINT_MAX_SLABS = ONWARD_MAX_ALL_SLABS, /* of all shards */
    CHECKPOINT_SHARD_BYTES = 64,                 /* of a shard's file name, with NUL */
    CHECKPOINT_SUM_BYTES = 33,                   /* as SUMMED_SUM_BYTES */
    CHECKPOINT_METRIC_BYTES = 32                 /* of a metric's name, with NUL */
};

struct checkpoint_array {
    char name[CHECKPOINT_NAME_BYTES];
    int type; /* enum onward_type */
    int ndims;
    uint64_t dims[CHECKPOINT_MAX_DIMS];
    void *data; /* in memory: the whole array, or (sharded) one slab behind the other; NULL where
                   only the description matters */
    bool sharded;
    uint32_t slab_count; /* sharded: what data holds; normalised, see slab.h */
    const struct onward_slab *slabs;
    char labels[CHECKPOINT_LABELS_BYTES]; /* of the dimensions; "": none */
    char unit[CHECKPOINT_UNIT_BYTES];
};

/* One hyperslab of the sharded array with that index, as the shard with that index holds it. */
struct checkpoint_slab {
    uint32_t array, shard;
    struct onward_slab slab;
};

struct checkpoint_id {
    char task[64];
    int64_t incarnation, epoch, step;
};

/* Of the program at the step of a checkpoint, by which the best one is known. */
struct checkpoint_metric {
    char name[CHECKPOINT_METRIC_BYTES]; /* "": none */
    double value;
};

struct checkpoint_shard {
    char file[CHECKPOINT_SHARD_BYTES];
    uint64_t bytes;
    char sum[CHECKPOINT_SUM_BYTES];
};

struct checkpoint_entry {
    struct checkpoint_id id;
    char time[40];
    struct checkpoint_metric metric;
    uint32_t shard_count;
    uint64_t bytes; /* of all shards */
    bool readable;  /* the master itself could be read; if not, `problem` says why */
    bool complete;  /* every shard is there with its size; none was read (checkpoint_verify does) */
    bool failed;    /* it is marked: it failed to be restored before; `problem` says why */
    bool foreign;   /* readable, and of another task than was asked for */
    bool unsure;    /* a file of it could not be got at, or its master is of another format version,
                       which says nothing of what it holds */
    bool usable;    /* complete, not marked, and not foreign */
    char problem[256];
};

/* The rows of dimension 0 that worker `rank` of `size` writes: contiguous, in order of rank,
 * balanced to within one row, the larger ranges first. */
void checkpoint_rows(uint64_t rows, uint32_t size, uint32_t rank, uint64_t *first, uint64_t *count);

/* Writes, syncs and renames this worker's shard. Collective over nobody: any worker, any time. */
int checkpoint_write_shard(const char *run, const struct checkpoint_id *id,
                           const struct checkpoint_array *arrays, uint32_t array_count,
                           uint32_t rank, uint32_t size, struct checkpoint_shard *shard,
                           struct error *error);

/* The same in two parts, so that the program need not wait for the shared file system: what the
 * shard holds is copied to a file without a name in `directory` (node-local; NULL: in memory), and
 * saved from there while the arrays change. Saving calls no HDF5, so any thread may do it; it is
 * given up soon after *stop became true, and until then it makes pauses for who works meanwhile;
 * stop NULL: nobody does. ONWARD_ERR_NO_SPACE when there is no room for the copy. */
struct checkpoint_staged;
int checkpoint_stage_shard(const char *directory, const struct checkpoint_id *id,
                           const struct checkpoint_array *arrays, uint32_t array_count,
                           uint32_t rank, uint32_t size, struct checkpoint_staged **staged,
                           struct error *error);
uint64_t checkpoint_staged_bytes(const struct checkpoint_staged *staged);
bool checkpoint_staged_has_slots(const struct checkpoint_staged *staged); /* see image.h */
int checkpoint_save_staged(struct checkpoint_staged *staged, const char *run,
                           const atomic_bool *stop, struct checkpoint_shard *shard,
                           struct error *error);
void checkpoint_free_staged(struct checkpoint_staged *staged); /* NULL is allowed */

/* Writes the master over `size` shards (in order of rank); the checkpoint is committed when this
 * returns ONWARD_OK. A master of the same step is replaced atomically. */
int checkpoint_commit(const char *run, const struct checkpoint_id *id,
                      const struct checkpoint_array *arrays, uint32_t array_count,
                      const struct checkpoint_shard *shards, uint32_t size, struct error *error);

/* The same where some arrays are sharded: slabs are those of all shards, in order of shard and
 * array and, within these, as they were written. ONWARD_ERR_INPUT when they do not cover an array
 * once. */
int checkpoint_commit_slabs(const char *run, const struct checkpoint_id *id,
                            const struct checkpoint_array *arrays, uint32_t array_count,
                            const struct checkpoint_shard *shards, uint32_t size,
                            const struct checkpoint_slab *slabs, uint32_t slab_count,
                            struct error *error);

/* The same, with a metric (NULL: none) that goes into the master, and a fence (NULL: none) that is
 * asked once the master is written and synced, right before it is put in place. */
int checkpoint_commit_with_metric(const char *run, const struct checkpoint_id *id,
                                  const struct checkpoint_metric *metric,
                                  const struct checkpoint_array *arrays, uint32_t array_count,
                                  const struct checkpoint_shard *shards, uint32_t size,
                                  const struct checkpoint_slab *slabs, uint32_t slab_count,
                                  const struct fence *fence, struct error *error);

/* Whether a thread may call what is declared here while others use HDF5: how HDF5 was built. */
bool checkpoint_may_thread(void);

/* Masters in the run directory, newest step first, those that are not of the task (NULL: any) among
 * them; *entries is the caller's to free(). */
int checkpoint_list(const char *run, const char *task, struct checkpoint_entry **entries,
                    size_t *count, struct error *error);

/* Reads everything: OK, or ONWARD_ERR_CORRUPT / NOT_FOUND / OTHER_TASK, or INPUT for a master of
 * another format version, with the file in the text. task NULL: of any task. */
int checkpoint_verify(const char *run, int64_t step, const char *task, struct error *error);

/* The newest step whose checkpoint verifies and is not marked; -1: none. For each newer one that
 * is passed over, `warn` (may be NULL) is called with the reason. */
int checkpoint_newest(const char *run, const char *task, int64_t *step,
                      void (*warn)(void *context, const char *text), void *context,
                      struct error *error);

/* Which checkpoints are looked for, and who is told of those that are passed over. */
struct checkpoint_wanted {
    const char *task;
    int64_t below; /* steps; INT64_MAX: any */
    void (*warn)(void *context, const char *text);
    void *context;
    void (*wait)(void *context); /* before one that could not be got at is tried once more; NULL: it
                                    is passed over at once */
};

/* As checkpoint_newest, but it does not read the blocks of the arrays, since the workers are to
 * read all of them anyway, and marks those that are found damaged, so that they are not tried at
 * each start. *passed_over: how many there are that cannot be used, all that are not below `below`
 * counted. Where there is none newest->step is -1. For the owner of the task. */
int checkpoint_find(const char *run, const struct checkpoint_wanted *wanted,
                    struct checkpoint_id *newest, uint32_t *passed_over, struct error *error);

/* Marks the checkpoint of this step as one that failed to be restored, with the reason. It holds
 * until another one is committed for the step, or the mark is cleared. */
int checkpoint_mark_failed(const char *run, int64_t step, const char *text, struct error *error);
/* Before a restore from it begins; its end is told by checkpoint_mark_failed or
 * checkpoint_clear_mark. The third one in a row that has none leaves the checkpoint marked. */
int checkpoint_mark_tried(const char *run, int64_t step, struct error *error);
/* text (may hold text_bytes): why. */
bool checkpoint_is_marked(const char *run, int64_t step, char *text, size_t text_bytes);
/* None is no error. */
int checkpoint_clear_mark(const char *run, int64_t step, struct error *error);

/* What arrays it holds (data NULL); *arrays is the caller's to free(). */
int checkpoint_describe(const char *run, int64_t step, struct checkpoint_array **arrays,
                        uint32_t *array_count, struct error *error);

/* Reads whole arrays, or (sharded) the slabs that arrays[i] names, into arrays[i].data, from those
 * shards that hold them. What is read is verified as it is read, and nothing else of the shards is.
 * The names, types and shapes must be those of the checkpoint (ONWARD_ERR_INPUT names the array and
 * both shapes); nothing is written to data unless they are. On any other failure data holds
 * anything. */
int checkpoint_read(const char *run, int64_t step, const struct checkpoint_array *arrays,
                    uint32_t array_count, struct error *error);

/* Rows [first, first+count) of dimension 0 of one array into data. */
int checkpoint_read_rows(const char *run, int64_t step, const struct checkpoint_array *array,
                         uint64_t first, uint64_t count, void *data, struct error *error);

/* One xxHash128 for each array's bytes, in the order of names, then one over all of them, whose
 * name is NULL: an array may have any. */
int checkpoint_sum(const char *run, int64_t step,
                   void (*line)(void *context, const char *sum, const char *name), void *context,
                   struct error *error);

/* Whether an export may go to `path`. place (PATH_MAX) is where it then is, with all links
 * resolved. ONWARD_ERR_INPUT for what is no name of a file or lies in a run directory, and for what
 * is there, unless it is a plain file that is to be replaced. */
int checkpoint_export_place(char *place, const char *path, bool replace, struct error *error);

/* Writes the whole of one checkpoint to one plain HDF5 file, atomically, if
 * checkpoint_export_place allows it. Needs no memory for the arrays. */
int checkpoint_export(const char *run, int64_t step, const char *path, bool replace,
                      struct error *error);

/* ONWARD_ERR_INPUT where what has the names of a checkpoint's files cannot be those. */
int checkpoint_check_removal(const char *run, int64_t step, struct error *error);
/* Removes one checkpoint: the master first, then its mark and its shards. */
int checkpoint_remove(const char *run, int64_t step, struct error *error);

/* Which checkpoint is the best. */
struct checkpoint_best {
    char metric[CHECKPOINT_METRIC_BYTES]; /* "": none is */
    bool highest;                         /* else the lowest value */
};
/* From NAME:min or NAME:max; false when it is neither. */
bool checkpoint_parse_best(const char *text, struct checkpoint_best *best);

/* What is known of the masters of a run directory, so that a removal of old checkpoints need not
 * read each of them again: a master that goes bad on the disk without being written counts on, as a
 * shard does whose size fits. What was committed last stays whatever that one says. */
struct checkpoint_listing;
void checkpoint_listing_free(struct checkpoint_listing *listing);
/* Adds the one that was committed right now, of these shards, to *known (which may be NULL before);
 * where that fails it is read like any other. */
void checkpoint_listing_add(struct checkpoint_listing **known, const char *run,
                            const struct checkpoint_id *id, const struct checkpoint_metric *metric,
                            const struct checkpoint_shard *shards, uint32_t shard_count);

/* Which usable checkpoints stay: each that one of these rules names. */
struct checkpoint_keep {
    uint32_t newest; /* so many, at least 1 */
    int64_t every;   /* steps that are a multiple of it; 0: no such rule */
    struct checkpoint_best best;
    const struct fence *fence; /* asked before each removal; NULL: none */
    /* NULL, or where the listing stays for the next call, which reads the masters that are new
     * alone; the caller begins with NULL there, and frees what is there in the end. */
    struct checkpoint_listing **known;
};
/* Removes the others, once `committed` was: of its task, and older than it. That one, and what is
 * newer, stays whatever it looks like; so does each that is of another task or format version, or
 * that could not be got at; and one that is not usable stays as long as fewer than keep->newest
 * usable ones are newer. Sweeps shards of steps up to the committed one that no master needs, and
 * temporary files and marks below it. */
int checkpoint_retain(const char *run, const struct checkpoint_id *committed,
                      const struct checkpoint_keep *keep, struct error *error);

/* What the controller does with a checkpoint whose shards are written. */
struct checkpoint_commit {
    const char *run;
    const struct checkpoint_id *id;
    const struct checkpoint_metric *metric; /* name "": none */
    const struct checkpoint_array *arrays;
    const struct checkpoint_shard *shards;
    const struct checkpoint_slab *slabs;
    uint32_t array_count, shard_count, slab_count;
    const struct checkpoint_keep *keep; /* its fence is asked for the master, too */
    atomic_bool *is_written; /* becomes true once it is committed, before anything goes; NULL: who
                                calls waits for all of it */
};
/* Commits it, adds it to what is known, and removes old ones. Returns how the commit ended: with
 * ONWARD_OK it is there, whatever *keep_code says of the removal. */
int checkpoint_commit_and_retain(const struct checkpoint_commit *commit, struct error *error,
                                 int *keep_code, struct error *keep_error);

/* Removes what attempts of this incarnation and those before left: shards without a master, of any
 * step above `above`. For the owner of the task, while no checkpoint is under way; beside a removal
 * of old ones, above what was committed. */
int checkpoint_sweep(const char *run, int64_t incarnation, int64_t above, struct error *error);

#endif
