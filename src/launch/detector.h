/* detector.h - the failure detector: hears the members' heartbeats (listen.h), finds who is silent
 * or hangs (beats.h), and kills it, so that its death reaches the others through MPI and they go on
 * without it. What cannot be killed, a whole host that is silent, and workers of which nobody knows
 * which one hangs are a reason to take mpirun down and start it again. */
#ifndef LAUNCH_DETECTOR_H
#define LAUNCH_DETECTOR_H

#include "beats.h"
#include "listen.h"
#include "rundir.h"

struct detector_settings {
    double detect_s, hang_s; /* as in struct beats_settings */
    struct rundir *rundir;
    bool hears_nobody; /* the program does not use libonward */
    /* Kills a process on another host, in bounded time (everything waits for it); false when that
     * could not be done. NULL: there is no means to. */
    bool (*kill_on_host)(void *context, const char *host, int32_t pid);
    void *context;
};

struct detector {
    struct detector_settings settings;
    struct listener listener;
    struct beats *beats;
    double heard_s;   /* when it last listened; 0: not yet in this incarnation */
    double unheard_s; /* when to see which hosts were never heard; 0: no epoch is to be seen */
    int64_t incarnation;
    json_t *unheard; /* {HOST: true} of those that a warning named in this incarnation */
};

/* Hands down to the members where heartbeats go and how often. Without it (zeroed, with the
 * listener's fd at -1) detector_close may be called. */
int detector_open(struct detector *detector, const struct detector_settings *settings,
                  struct error *error);
void detector_begin(struct detector *detector, int64_t incarnation);

/* Hears, judges and kills. True when mpirun has to be taken down: *cause says why. status: where
 * the task stands, for the event log. */
bool detector_look(struct detector *detector, const struct run_status *status, char *cause,
                   size_t cause_bytes);

/* Was that host, as its members tell, alive within half of detect_s before then? */
bool detector_heard(const struct detector *detector, const char *host, double then_s);
/* A line of the event log. */
void detector_event(struct detector *detector, const json_t *event);

void detector_close(struct detector *detector);

#endif
