/* local.h - the local level: the state after the newest complete step, in memory that outlives the
 * process. No HDF5, no MPI.
 *
 *     LOCALDIR/onward-UID/TASK.RUN/iINCARNATION.XXXXXX.state      one file a member
 *
 * RUN is the number of the run directory in hexadecimal, so that two tasks of one name do not meet.
 * The directories are for their owner alone (0700). A file has a header, two commit records, and
 * two slots for each array. A step reads the current slots and writes the others; local_commit
 * makes these current by writing the older of the two records. Nothing is copied, and a SIGKILL at
 * any instant leaves the newest committed step whole:
 *   - in the middle of a step: the newest record names slots that the step does not touch;
 *   - in the middle of a commit: the record that is being written does not fit its checksum, and
 *     the other one still names whole slots, since the next step has not begun.
 * `begun` is the number of the newest commit after which slots were written again: a record that is
 * older names slots that may be overwritten, and is never used. So a damaged record is not
 * mistaken for one that was cut.
 *
 * The header says which boot of the host the file is of; one of an earlier boot is not trusted. The
 * owner holds a lock (flock) on its file as long as it lives. The bits of the slots have no
 * checksum, which would be one more pass over the state at each step: they are as good as the
 * memory they are in. But mostly several members have the same step, and what two of them have is
 * right. On a disk they may have left the memory, and the disk may not have taken them: so a file
 * there is synced before it is loaded, which is when the kernel says that it lost some; it is never
 * loaded then. Functions return enum onward_error; one thread a handle. */
#ifndef STORE_LOCAL_H
#define STORE_LOCAL_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

enum { LOCAL_TASK_BYTES = 64 };

struct local;      /* the slots of this member */
struct local_copy; /* a file that was found, with those of other members that have its step */

struct local_id {
    const char *directory; /* node-local: memory, or a disk of this host; NULL: no file */
    const char *task;
    uint64_t run;        /* number of the run directory */
    uint64_t signature;  /* of names, types and shapes of the arrays */
    int64_t incarnation; /* the present one, from 1 */
    uint32_t array_count;
    const uint64_t *bytes; /* of each array */
};

/* Makes the slots, filled with zeros, with all room taken at once: a full disk is ERR_NO_SPACE
 * here, never a signal later. With id->directory NULL they are in memory that ends with the
 * process. On failure *local is NULL and nothing is left behind. */
int local_create(const struct local_id *id, struct local **local, struct error *error);
/* Frees the handle; the file stays. NULL is allowed. */
void local_close(struct local *local);

/* A file with the state after `step`, for an incarnation that follows: data[i] is the whole of
 * array i, and there is room for one slot of each. The handle holds its lock, and is for
 * local_close or local_remove alone. On failure *local is NULL and nothing is left behind. */
int local_leave(const struct local_id *id, const void *const *data, int64_t epoch, int64_t step,
                struct local **local, struct error *error);
void local_remove(struct local *local); /* the file and the handle; NULL is allowed */

/* The slot that is current, at a multiple of 4096 bytes. Valid until the next commit. */
void *local_current(const struct local *local, uint32_t array);
/* The other slot, which becomes current with the next commit; until then it holds anything. */
void *local_next(struct local *local, uint32_t array);
bool local_is_written(const struct local *local, uint32_t array); /* local_next since the commit */
/* The state after `step` complete steps is whole: what local_next gave is current from now on. */
void local_commit(struct local *local, int64_t epoch, int64_t step);
/* Forgets what was written since the last commit. */
void local_discard(struct local *local);

/* The newest whole state of an earlier incarnation of this task on this host: the one of the newest
 * incarnation, then step, then epoch; *copy is NULL where there is none. Files that are damaged are
 * skipped, with what is wrong to `warn` (may be NULL). So are those that hold a state of other
 * arrays (ONWARD_ERR_INPUT), and those that cannot be read (ONWARD_ERR_IO), which says nothing of
 * what they hold. */
int local_find(const struct local_id *id, void (*warn)(void *context, const struct error *problem),
               void *context, struct local_copy **copy, struct error *error);
int64_t local_copy_incarnation(const struct local_copy *copy);
int64_t local_copy_step(const struct local_copy *copy);
int64_t local_copy_epoch(const struct local_copy *copy);
const char *local_copy_path(const struct local_copy *copy); /* of the first file */
uint32_t local_copy_count(const struct local_copy *copy);   /* 3 at most */

/* What the copies of a step say of some bits, each of them that can be read: that it has the same,
 * or others. */
enum local_verdict { LOCAL_ALONE = 0, LOCAL_EQUAL = 1, LOCAL_DIFFERS = 2 };

/* Reads each array to data[i]; *verdict, of enum local_verdict, is what the other files say of it.
 * With LOCAL_DIFFERS alone no two of them are the same. ERR_CORRUPT where the file changed
 * meanwhile: its owner lives; ERR_IO where a disk did not take all of it, or does not give it. */
int local_load(const struct local_copy *copy, void *const *data, unsigned *verdict,
               struct error *error);
/* What they say of data; none is asked once one has the same. */
unsigned local_compare(const struct local_copy *copy, void *const *data);
void local_forget(struct local_copy *copy); /* frees the handle; NULL is allowed */

/* Removes the files of earlier incarnations, and of members of this one that died. */
void local_remove_older(const struct local_id *id);
/* Removes every file of the task on this host, and the directories that are empty then. */
void local_remove_all(const struct local_id *id);

#endif
