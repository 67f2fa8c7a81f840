/* rundir_internal.h - what the parts of rundir share: the handle, and bounded reading and atomic
 * writing of its files by name. Not for others. */
#ifndef STORE_RUNDIR_INTERNAL_H
#define STORE_RUNDIR_INTERNAL_H

#include <limits.h>

#include "file.h"
#include "rundir.h"

enum { RUNDIR_FILE_LIMIT_BYTES = 1 << 23 }; /* more than any file of ours ever needs */

struct rundir {
    char path[PATH_MAX]; /* absolute, of DIR/TASK */
    char task[RUNDIR_TASK_BYTES];
    int lock_fd;          /* -1: not the owner */
    int events_fd;        /* -1: not open yet */
    int64_t incarnation;  /* 0: neither claimed nor joined */
    int64_t start;        /* of mpirun, which the next claim is for; 0: whichever */
    char *kept;           /* lines for events.jsonl, with a newline before them */
    size_t kept_bytes;    /* 0: none waits */
    uint32_t dropped;     /* lines that were too many to keep */
    bool made, made_base; /* this opening made DIR/TASK, and DIR */
};

/* A run directory that this user may not write is bad input, and that is said. Returns the code. */
int rundir_judge_access(int code, struct error *error);

/* The whole file with a NUL behind it; *bytes is the caller's to free(). ONWARD_ERR_NOT_FOUND when
 * it is not there, ONWARD_ERR_CORRUPT when it is no file or larger than the limit. */
int rundir_read_bytes(const char *path, char **bytes, size_t *size, struct error *error);

/* A file of the run directory that holds one JSON object; *root is the caller's to json_decref. */
int rundir_read_json(const struct rundir *rundir, const char *name, json_t **root,
                     struct error *error);

/* Replaces a file of the run directory by root (stolen; NULL counts as out of memory), if the fence
 * (NULL: none) allows it once all is written. */
int rundir_write_json(const struct rundir *rundir, const char *name, json_t *root,
                      const struct fence *fence, struct error *error);

/* The same without sync, for what serves readers of the living task: the controller, which answers
 * failures within milliseconds, must not wait for a disk. */
int rundir_write_unsynced(const struct rundir *rundir, const char *name, json_t *root,
                          const struct fence *fence, struct error *error);
/* task.yaml: reads it, or creates it. */
int rundir_load_task(const char *path, struct task_record *record, struct error *error);
int rundir_save_task(const char *path, const struct task_record *record, struct error *error);

#endif
