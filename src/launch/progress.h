/* progress.h - the words of progress: a status as one line, an event as one calm line, the end as
 * one line. Text in, text out; where it is shown is display.h's. */
#ifndef LAUNCH_PROGRESS_H
#define LAUNCH_PROGRESS_H

#include "rundir.h"

enum { PROGRESS_LINE_BYTES = 512 };

/* "0.02 s", "41 s", "3 min 5 s", "2 h 4 min" */
void progress_duration(double seconds, char *text, size_t text_bytes);

/* "step 300/600  loss 0.4123  accuracy 0.871  3 workers  epoch 2  51234 samples/s  12 s left" */
void progress_status(const struct run_status *status, char *text, size_t text_bytes);

/* Losses are told together with the epoch that answers them. */
struct progress_events {
    char losses[PROGRESS_LINE_BYTES / 2]; /* "worker 2 (member 4, host n1)", ... */
    bool in_seconds;                      /* the steps of this task are seconds */
    double restart_s;    /* what a relaunch took, to be told with its first epoch; 0: none */
    int64_t step_before; /* that the incarnations before had reached */
};

/* True with a line in text when the event is worth one. */
bool progress_event(struct progress_events *events, const json_t *event, char *text,
                    size_t text_bytes);

/* "task t complete after 600 steps, 41 s, 1 member lost: /runs/t/result.h5" */
struct progress_end {
    const char *task;
    const char *state; /* complete, stopped, failed */
    const char *text;  /* why; not for complete */
    int64_t step, step_count;
    double seconds;
    uint32_t losses;
    int restarts;
    const char *place; /* for complete: the result, or the run directory */
};
void progress_end_line(const struct progress_end *end, char *text, size_t text_bytes);

#endif
