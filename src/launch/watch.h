/* watch.h - how the task stands, by what its controller writes into the run directory. */
#ifndef LAUNCH_WATCH_H
#define LAUNCH_WATCH_H

#include "rundir.h"

struct watch {
    struct rundir *rundir;
    int64_t incarnation;      /* what others wrote does not count */
    bool seen;                /* a status of this incarnation was there */
    struct run_status status; /* the newest */
    double changed_s;         /* when the status last changed, or the watch began */
    double stepped_at_s;      /* when it first told of its newest step, since 1970; 0: of none */
    bool complete;
    struct run_completion completion;
    int events_fd; /* -1: not there yet */
    int64_t events_offset;
};

/* From now on: events that are there already are passed over. */
void watch_start(struct watch *watch, struct rundir *rundir, int64_t incarnation);

/* Looks again. For each new event `event` is called with it. */
void watch_look(struct watch *watch, void (*event)(void *context, const json_t *event),
                void *context);

void watch_end(struct watch *watch);

#endif
