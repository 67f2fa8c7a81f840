/* local_internal.h - the layout of a file of the local level; see local.h. Not for others.
 *
 *     0      struct local_header     fixed when the file is made
 *     4096   struct local_control    the two commit records, and `begun`
 *     8192   slots: for each array two of its size, each at a multiple of 4096 bytes */
#ifndef STORE_LOCAL_INTERNAL_H
#define STORE_LOCAL_INTERNAL_H

#include <limits.h>

#include "local.h"

enum {
    LOCAL_FORMAT = 1,
    LOCAL_PAGE_BYTES = 4096,
    LOCAL_BOOT_BYTES = 40,
    LOCAL_WORDS = ONWARD_MAX_ARRAYS / 64
};

#define LOCAL_MAGIC "onwardL"
#define LOCAL_SUFFIX ".state"
#define TRACE_SUFFIX ".trace"

struct local_header {
    char magic[8];
    uint32_t format, array_count;
    uint64_t run, signature, file_bytes;
    int64_t incarnation;
    char boot[LOCAL_BOOT_BYTES]; /* /proc/sys/kernel/random/boot_id */
    char task[LOCAL_TASK_BYTES];
    uint64_t bytes[ONWARD_MAX_ARRAYS];
    uint64_t sum; /* xxHash64 of what is before */
};

/* Bit i of `second`: the second slot of array i is current. */
struct local_record {
    uint64_t sequence; /* from 1; the commit with this number is in record sequence % 2 */
    int64_t epoch, step;
    uint64_t second[LOCAL_WORDS];
    uint64_t sum; /* xxHash64 of what is before */
};

struct local_control {
    struct local_record records[2];
    uint64_t begun, not_begun; /* the second is the complement of the first */
};

_Static_assert(sizeof(struct local_header) <= LOCAL_PAGE_BYTES, "the header fits its page");

/* What the header of a file of this task, incarnation and boot has to be, bit for bit.
 * ONWARD_ERR_ARGUMENT when the sizes are out of range. */
int local_expect(const struct local_id *id, int64_t incarnation, struct local_header *header,
                 struct error *error);
uint64_t local_offset(const uint64_t *bytes, uint32_t array, bool second);
bool local_bit(const uint64_t *words, uint32_t array);
uint64_t local_header_sum(const struct local_header *header);
uint64_t local_record_sum(const struct local_record *record);
/* The newest record that can be used; NULL: nothing was committed, or (*damaged) it is not whole.
 */
const struct local_record *local_newest(const struct local_control *control, bool *damaged);

/* LOCALDIR/onward-UID and then /TASK.RUN. make: makes what is missing below LOCALDIR. An
 * onward-UID that others could write to is refused. */
int local_directory(const struct local_id *id, bool make, char *path, size_t path_bytes,
                    struct error *error);

/* Removes the traces (trace.h) of earlier incarnations. */
void local_remove_traces(const struct local_id *id);
/* Removes the two directories that a file of the task was in, where they are empty. */
void local_remove_empty(const char *path);

#endif
