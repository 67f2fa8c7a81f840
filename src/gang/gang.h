/* gang.h - a gang: one command a rank, all at once, started again under new ranks when one of them
 * fails or the lineup changes.
 *
 * The controller has the say (gang_control.c): when every worker has nothing running it gives out
 * ranks, an address and a port, under a generation that grows by one; when one rank failed, or the
 * lineup changed, it has all of them end, and begins again. A worker (gang_worker.c) has a keeper
 * for each of its ranks. It says over and over how it stands, and the controller says over and over
 * what it wants, so that no message is one that must not be lost. */
#ifndef GANG_GANG_H
#define GANG_GANG_H

#include <stdbool.h>
#include <stdint.h>

#include "keeper.h"
#include "onward.h"

enum {
    GANG_MAX_PER_WORKER = 256,
    GANG_MAX_MEMBERS = 16384, /* as the core's */
    GANG_ADDRESS_BYTES = 256,
    GANG_TEXT_BYTES = 256
};

struct gang_settings {
    uint32_t per_worker;
    uint32_t max_restarts; /* after a rank that failed; a change of the lineup takes none */
    double grace_s;
    bool tee;
    char *const *command;
};

/* What a rank is; also the keeper's order. */
struct gang_order {
    struct keeper_name name; /* id: the rank; attempt: the generation, from 1 */
    uint32_t world_size, local_rank, local_world_size, group_rank, group_world_size;
    uint32_t restarts, max_restarts;
    uint32_t port;
    char address[GANG_ADDRESS_BYTES];
};

/* Controller to worker: what is wanted. */
struct gang_wish {
    uint64_t sequence; /* of what is wanted; the worker says it back */
    bool runs;
    struct gang_order first; /* of the worker's first rank; the others follow it */
};

/* Worker to controller: how it stands. */
struct gang_standing {
    uint64_t sequence;   /* of the newest wish */
    uint32_t generation; /* newest that was begun here; 0: none */
    uint32_t running, succeeded;
    uint32_t port; /* a free one, for when rank 0 is here */
    bool failed;   /* some rank of this generation did, first */
    uint32_t failed_rank;
    uint8_t exit_status, signal;
};

/* gang_command.c: what the keeper needs to know. setup gets the run directory. */
struct gang_command;
struct gang_command *gang_command_create(const struct gang_settings *settings, const char *task);
void gang_command_destroy(struct gang_command *command);
void gang_command_setup(void *gang_command, const void *run, size_t size);
int gang_command_prepare(void *gang_command, const void *order, struct keeper_launch *launch,
                         struct error *error);
/* RUN/logs/rank-R.KIND */
void gang_log_path(const char *run, uint32_t rank, const char *kind, char *path, size_t path_bytes);

/* gang_control.c */
struct gang_control;
struct gang_control *gang_control_create(const struct gang_settings *settings);
void gang_control_destroy(struct gang_control *control);
void gang_control_open(struct gang_control *control, struct onward *ow);
int64_t gang_lead(struct gang_control *control);
void gang_members(struct gang_control *control, const struct onward_member *members,
                  uint32_t count);
void gang_request(struct gang_control *control, uint32_t member, const void *bytes, size_t size);
int64_t gang_serve(struct gang_control *control);

/* gang_worker.c */
struct gang_worker;
struct gang_worker *gang_worker_create(const struct gang_settings *settings,
                                       struct keeper **keepers);
void gang_worker_destroy(struct gang_worker *worker);
void gang_worker_open(struct gang_worker *worker, struct onward *ow);
void gang_take_answer(struct gang_worker *worker, const void *bytes, size_t size);
void gang_idle(struct gang_worker *worker);
int gang_work(struct gang_worker *worker, struct onward *ow);

/* gang_tee.c: what is appended to a file from now on, line by line, with the rank before it. */
struct gang_tee {
    int fd; /* -1: none */
    uint64_t offset;
    uint32_t rank;
    int to;
};
void gang_tee_begin(struct gang_tee *tee, const char *path, uint32_t rank, int to);
/* to_end: also a line that has no end. */
void gang_tee_look(struct gang_tee *tee, bool to_end);
void gang_tee_close(struct gang_tee *tee);

#endif
