/* keeper.h - a small process beside a worker that runs commands for it, one after the other, and
 * sees to it that nothing of them outlives their end, or the worker.
 *
 * It is forked before MPI starts, so that it is small, and is the only parent of the commands. Each
 * runs in a process group of its own and dies with the keeper (PR_SET_PDEATHSIG); what a command
 * leaves behind becomes the keeper's child (PR_SET_CHILD_SUBREAPER) and is killed when the command
 * ends. Worker and keeper talk over a socket. When the worker dies the socket says so, and the
 * keeper kills all it runs and ends.
 *
 * A command's standard input is /dev/null, its outputs go to files. One that is to end gets
 * SIGTERM, and after a time of grace SIGKILL, with its whole process group. */
#ifndef FARM_KEEPER_H
#define FARM_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum {
    KEEPER_MAX_ORDERS = 1024, /* without a result */
    KEEPER_ORDERS_AT_ONCE = 64,
    KEEPER_MAX_ORDER_BYTES = 1024,
    KEEPER_RESULTS_AT_ONCE = 64,
    KEEPER_PATH_BYTES = 4096
};

/* What every order begins with, and what its result comes back with. */
struct keeper_name {
    uint32_t id, attempt;
};

/* What to run for an order; all of it belongs to whoever filled it in. */
struct keeper_launch {
    char *const *arguments;
    char *const *environment;
    const char *output, *error_output; /* paths; a file is there only where something was written */
    bool appends; /* to these files, from the first byte; else each replaces what was there, whole,
                     when the command has ended */
};

struct keeper_result {
    struct keeper_name name;
    int64_t start_us; /* since 1970 */
    int64_t run_us;
    uint64_t out_bytes, err_bytes; /* written; where the files are appended to, 0 */
    uint8_t exit_status;           /* 126, 127: the command could not be executed */
    uint8_t signal;                /* 0: none */
    uint8_t timed_out;
    uint8_t ended;  /* by keeper_drop or keeper_end_all */
    uint8_t unkept; /* its output could not be put at its place */
};

struct keeper_settings {
    size_t order_bytes;
    double timeout_s; /* 0: none */
    double grace_s;
    void *context; /* of the two below, which have the keeper's copy of it */
    /* In the keeper: what keeper_setup sent; and an order, which becomes a launch. An error of
     * prepare is the result, with exit status 126 and its text as error output. */
    void (*setup)(void *context, const void *bytes, size_t size);
    int (*prepare)(void *context, const void *order, struct keeper_launch *launch,
                   struct error *error);
};

/* This process's environment without what is the worker's alone, and then own_count variables,
 * which are the caller's, as the array is to free(). NULL: out of memory. */
char **keeper_environment(char *const *own, size_t own_count);

struct keeper;

/* Forks it. Before threads and MPI. */
int keeper_start(const struct keeper_settings *settings, struct keeper **keeper,
                 struct error *error);
/* Readable when a result has come or the keeper is gone. */
int keeper_fd(const struct keeper *keeper);
/* All but take and stop: false when the keeper has no room now, or is gone. */
bool keeper_setup(struct keeper *keeper, const void *bytes, size_t size);
/* At most KEEPER_ORDERS_AT_ONCE, and no more than KEEPER_MAX_ORDERS without a result. */
bool keeper_give(struct keeper *keeper, const void *orders, uint32_t count);
/* What waits is not run; each gets a result that says that it was ended. */
bool keeper_drop(struct keeper *keeper);
/* As keeper_drop, and what runs is ended. */
bool keeper_end_all(struct keeper *keeper);
/* Results that have come, at most max, which is at least KEEPER_RESULTS_AT_ONCE. Returns how many,
 * or -1 when the keeper is gone. */
int keeper_take(struct keeper *keeper, struct keeper_result *results, int max);
/* Ends what runs, the keeper, and the handle: with grace, or at once. NULL is allowed. */
void keeper_stop(struct keeper *keeper, bool with_grace);

#endif
