/* answer.h - what came of a request for another lineup, gathered from the event log, in one line.
 * Events in, text out; who waits for them is verb_lineup.c. */
#ifndef LAUNCH_ANSWER_H
#define LAUNCH_ANSWER_H

#include "rundir.h"

enum { ANSWER_LIST_MAX = 16, ANSWER_TEXT_BYTES = 768 };

/* The first few are kept by number, all are counted. */
struct member_list {
    uint32_t count;
    uint32_t member[ANSWER_LIST_MAX];
};

struct answer {
    struct run_request request; /* as it was put */
    bool taken;                 /* the controller took it */
    bool accepted, changes;     /* changes: a new epoch answers it */
    bool done;                  /* nothing more is to come */
    bool ended;                 /* the task ended first; only `done' says that it is for good */
    bool restarted;             /* mpirun was started again meanwhile */
    char reason[160];           /* why it was refused, or how the task ended */
    char obstacle[256];         /* why a host that was named is not used so far; "": not said */
    int64_t asked_epoch;        /* when it was taken */
    int64_t expected;           /* so many workers are on their way; 0: not said */
    int64_t epoch, step, workers, steps_lost;
    double stall_s;
    struct member_list joined, drained;
};

void answer_start(struct answer *answer, const struct run_request *request);
/* One event of the log, in order. A task that stops may do so to be started again at once: while
 * the launcher lives, that is no end. */
void answer_event(struct answer *answer, const json_t *event);

/* The launcher has left, too. */
void answer_end(struct answer *answer);

/* "drain n3": what was asked for. */
void answer_request_text(const struct run_request *request, char *text, size_t text_bytes);
/* "drain n3: members 4 and 5 left the lineup at step 120, 3 workers go on". status: the newest, for
 * a request that changes nothing. Returns the exit status that goes with it. */
int answer_text(const struct answer *answer, const struct run_status *status, char *text,
                size_t text_bytes);
/* For --json: without what is not known. */
json_t *answer_json(const struct answer *answer, const char *task, const char *text);

#endif
