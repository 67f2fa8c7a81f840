/* trace.h - where a worker is, in memory that outlives it: who dies leaves behind which subtask of
 * which step it was in.
 *
 *     LOCALDIR/onward-UID/TASK.RUN/iINCARNATION.PID.trace
 *
 * One small file a worker, mapped; a mark is a store into memory. Functions return enum
 * onward_error; one thread a handle. */
#ifndef STORE_TRACE_H
#define STORE_TRACE_H

#include "local.h"

enum { TRACE_NO_SUBTASK = -1 };

struct trace;

struct trace_point {
    int64_t step;
    int64_t subtask; /* TRACE_NO_SUBTASK: in none, or it is not known */
};

/* Makes the file of this process, and removes those of earlier incarnations. Of id the directory,
 * task, run and incarnation count. On failure *trace is NULL. */
int trace_open(const struct local_id *id, struct trace **trace, struct error *error);
/* Removes the file, and the directories that are empty then. NULL is allowed. */
void trace_close(struct trace *trace);

/* This process has begun that step, and is in no subtask yet; and: it is in that one. NULL is
 * allowed. */
void trace_step(struct trace *trace, int64_t step);
void trace_subtask(struct trace *trace, int64_t subtask);

/* Where the process with this number on this host is, or was; ONWARD_ERR_NOT_FOUND. */
int trace_read(const struct local_id *id, int32_t pid, struct trace_point *point);

#endif
