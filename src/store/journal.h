/* journal.h - what became of each subtask of a farm: a file of the run directory to which the
 * controller appends, and of which a kill at any instant loses nothing that was flushed.
 *
 * The file is records of 64 bytes, each with a checksum; the first says whose it is. A record that
 * does not fit its checksum (torn by a kill, or by a full disk) is passed over, and the next one
 * begins at the next multiple of 64. Numbers are as they are in memory: the file belongs to one
 * kind of machine. Subtasks are numbered from 0 here. */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

enum journal_kind {
    JOURNAL_HEAD = 1,    /* subtask: how many there are */
    JOURNAL_INCARNATION, /* begins: what is below is of this one (start_us) */
    JOURNAL_HOST,        /* host: a number, name: its name */
    JOURNAL_DONE,        /* final */
    JOURNAL_TRIED,       /* an attempt failed, and there will be another */
    JOURNAL_FAILED,      /* final: the last attempt failed */
    JOURNAL_LOST,        /* a worker that had the subtask alone was lost */
    JOURNAL_POISON       /* final: that happened too often */
};

enum { JOURNAL_HOST_BYTES = 48 };

struct journal_record {
    uint32_t check, subtask;
    uint8_t kind;        /* enum journal_kind */
    uint8_t exit_status; /* of the attempt; 0 when a signal ended it */
    uint8_t signal;      /* that ended it; 0: none */
    uint8_t timed_out;
    uint32_t host;
    union {
        struct {
            int64_t start_us;              /* since 1970 */
            int64_t run_us;                /* how long it took */
            uint64_t out_bytes, err_bytes; /* of its standard output and error output */
            uint32_t attempt, member;      /* attempt: from 1 */
            uint64_t reserved;
        };
        char name[JOURNAL_HOST_BYTES];
    };
};

struct journal;

/* One record, in the order of the file. */
typedef void journal_visit(void *context, const struct journal_record *record);

/* Reads the journal at path, if there is one, and hands each good record but the first to visit.
 * *damaged (may be NULL) counts those that were passed over. ERR_OTHER_TASK when it is of another
 * number of subtasks. A missing file is an empty journal. */
int journal_read(const char *path, uint32_t subtask_count, journal_visit *visit, void *context,
                 uint32_t *damaged, struct error *error);

/* The same for what has come since an earlier call: *offset is 0 at first. A record that is not
 * whole yet is left for the next call. */
int journal_follow(const char *path, uint32_t subtask_count, uint64_t *offset, journal_visit *visit,
                   void *context, struct error *error);

/* Opens it for appending; makes it where there is none. */
int journal_open(const char *path, uint32_t subtask_count, struct journal **journal,
                 struct error *error);
void journal_close(struct journal *journal); /* what was not flushed is dropped; NULL is allowed */

/* Appends to memory. ERR_LIMIT when as much waits to be flushed as there is room for. */
int journal_add(struct journal *journal, const struct journal_record *record);
/* All that was added is in the file when this returns OK: the process may die. */
int journal_flush(struct journal *journal, struct error *error);
/* All that was flushed is on the disk when this returns OK: the host may die. */
int journal_sync(struct journal *journal, struct error *error);

#endif
