/* supervise.h - the parent of mpirun: watches the task, starts mpirun again when it went down, and
 * ends for certain. */
#ifndef LAUNCH_SUPERVISE_H
#define LAUNCH_SUPERVISE_H

#include "allot.h"
#include "display.h"
#include "rundir.h"

struct plain_settings;

struct supervise_settings {
    struct allotment *allotment;
    struct rundir *rundir; /* claimed */
    int64_t incarnation;   /* that the claim started */
    int max_restarts;
    double detect_s;         /* a member or host that is silent for longer is taken for dead */
    double hang_s;           /* a worker that hangs in its step for longer too; see beats.h */
    double wait_s;           /* for hosts, when there are too few */
    double start_s;          /* the program has so long to open its task */
    double stop_s;           /* a task that was asked to stop has so long to begin with it */
    double settle_s;         /* mpirun has so long to end once the task ended */
    double end_time_s;       /* of the job, in seconds since 1970; 0: not known */
    const char *hostfile;    /* to be watched for hosts that come and go; NULL: none */
    const char *hosts_where; /* where the hosts were named: --hosts, or the file's name */
    const char *begins; /* a line to be said once it is sure that there is a start; NULL: none */
    bool respawns;      /* members are to come in the place of lost ones */
    bool has_commands;  /* a new start ends commands, whose work is lost: never unasked */
    bool give_back;     /* hosts that are drained go back to Slurm */
    const struct plain_settings
        *plain; /* of a program that does not use libonward; NULL: it does */
    struct display *display;
    /* Called in every turn of the loop; NULL: nothing is. */
    void (*look)(void *context, struct display *display);
    void *look_context;
};

struct supervise_result {
    int exit_code;
    char state[16];           /* complete stopped failed */
    char text[512];           /* why, when it is not complete */
    struct run_status status; /* the newest */
    int64_t incarnation;      /* the newest */
    int signal;               /* that asked it to stop; 0: none */
    bool was_asked_to_stop;   /* by an operator's request */
    double seconds;           /* since the first start */
    int restarts;
};

/* Fills in the limits. */
void supervise_defaults(struct supervise_settings *settings);

/* Runs until the task ended one way or another. An error only where nothing could be started. */
int supervise(const struct supervise_settings *settings, struct supervise_result *result,
              struct error *error);

#endif
