/* launch_options.h - the options that run, train and resume share. */
#ifndef LAUNCH_LAUNCH_OPTIONS_H
#define LAUNCH_LAUNCH_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct display;

enum { LAUNCH_MAX_WORKERS = 4096, LAUNCH_MAX_MPIRUN_ARGUMENTS = 256 };

/* What was given on the command line; 0, NULL or -1 where nothing was. */
struct launch_options {
    const char *task, *directory;
    uint32_t workers, min_workers, max_workers;
    int64_t spares;     /* -1: not given */
    int64_t step_count; /* -1: not given */
    const char *checkpoint;
    uint32_t checkpoint_keep;
    int64_t checkpoint_keep_every;    /* -1: not given */
    const char *checkpoint_keep_best; /* NAME:min or NAME:max */
    double end_time_s;                /* seconds since 1970; 0: not given */
    int max_restarts;
    double detect_s;
    char *host_list;          /* what --hosts or --hostfile came to: NAME[:SLOTS],... */
    char *hostfile;           /* its absolute path; NULL: none was given */
    const char *hosts_option; /* which of the two was given; NULL: none */
    const char *agent, *local_directory, *replace;
    double wait_s; /* -1: not given */
    double hang_s; /* 0: never; -1: not given */
    const char *inject;
    const char *mpirun; /* NULL: $ONWARD_MPIRUN, or the one that was there at build time */
    const char *mpirun_arguments[LAUNCH_MAX_MPIRUN_ARGUMENTS + 1];
    uint32_t mpirun_argument_count;
    bool requeue;   /* a job of Slurm goes back into the queue when it was stopped */
    bool give_back; /* hosts that are drained go back to Slurm */
    bool by_cpus;   /* slots by the CPUs that a job of Slurm has, not by its tasks */
    bool quiet, json;
    /* Puts what the task needs into its run directory before it starts; NULL: nothing. */
    int (*prepare)(void *context, const char *run, struct error *error);
    void *prepare_context;
    /* Called all the time while the task runs; NULL: nothing. */
    void (*look)(void *context, struct display *display);
    void *look_context;
    /* Called when the task has ended, before the line that says so, with the exit status; returns
     * the one to take. NULL: nothing. */
    int (*conclude)(void *context, int exit_code);
    void *conclude_context;
};

void launch_options_init(struct launch_options *options);
void launch_options_clear(struct launch_options *options);

/* A child parser for them; its input is a struct launch_options. */
extern const struct argp launch_argp;

/* The command of --agent, or a refusal. */
const char *launch_check_agent(const char *text);

/* Is it auto, a number of steps, or a number of seconds with an s behind? */
bool launch_is_checkpoint(const char *text);

#endif
