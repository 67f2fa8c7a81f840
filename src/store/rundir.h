/* rundir.h - the run directory of a task, all but its HDF5 files: who owns it, what was started,
 * how it stands, what happened, what the operator asks for, and that it is complete.
 *
 *     DIR/TASK/task.yaml        as started            lock             held by the owner
 *              status.json      replaced atomically   incarnation.json the newest one
 *              events.jsonl     append only           complete.json    the completion record
 *              members.json     at each epoch         logs/            one file a member
 *              requests/        operator requests
 *              ckpt/ result.h5  see checkpoint.h and result.h
 *
 * Every file that is not append-only is written to a temporary name, synced and renamed, so that a
 * reader sees the old or the new one, never a part. Functions return enum onward_error. */
#ifndef STORE_RUNDIR_H
#define STORE_RUNDIR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "file.h"

enum {
    RUNDIR_TASK_BYTES =
        64, /* task ID with its NUL: letters, digits, . _ - ; not starting with . or - */
    RUNDIR_ENDLESS_STEPS = 1000000000, /* or more: the steps are seconds of a task without steps */
    RUNDIR_METRICS = 8,
    RUNDIR_METRIC_NAME_BYTES = 32,
    RUNDIR_HOST_BYTES = 256,
    RUNDIR_HOSTS_BYTES = 4096 /* of a list of hosts in a request */
};

struct rundir;

/* What was started: enough for `onward resume` to start it again. */
struct task_record {
    char *task;
    char *program;    /* "train", "run" ... : the verb; "plain": run, without libonward; "mpirun"
                         when started by hand */
    char **arguments; /* of the program */
    uint32_t argument_count;
    char *config;    /* absolute path of the trainer's config, or "" */
    char *directory; /* absolute working directory it was started in */
    uint32_t workers, min_workers, max_workers, spares;
    uint32_t subtask_count; /* 0 until the program said it */
    int64_t step_count;     /* -1 until the program said it */
    char *checkpoint;       /* auto, N or Ts */
    uint32_t checkpoint_keep;
    int64_t checkpoint_keep_every;
    char *checkpoint_keep_best; /* NAME:min or NAME:max; "" or NULL: none */
    char *hosts;                /* NAME[:SLOTS],... ; empty: this machine */
    char *agent;                /* what runs a command on another host */
    char *local_dir;            /* absolute; where each host keeps its own copies */
    char *replace;              /* none spare spawn */
    double wait_s;              /* how long to wait for hosts when there are too few */
    /* Of a program that does not use libonward (program "plain"); "" or NULL: none. */
    char *restart_command, *restart_file, *done_file;
    char *created; /* RFC 3339 */
    char *version; /* of onward */
};

/* Is it a task ID? error says what is wrong and what was expected. */
int rundir_check_task(const char *task, struct error *error);

/* DIR: `directory` if not NULL or empty, else $ONWARD_DIR, else ./onward-runs; into path. */
int rundir_base(const char *directory, char *path, size_t path_bytes, struct error *error);

/* Opens DIR/TASK; with record not NULL creates what is missing first (record is written to
 * task.yaml if that is not there). A task.yaml of another task, or with another subtask_count or
 * step_count than the record's (where both are known), is ONWARD_ERR_OTHER_TASK or ERR_INPUT and
 * nothing is changed. Without record: ERR_NOT_FOUND when there is none. */
int rundir_open(const char *base, const char *task, const struct task_record *record,
                struct rundir **rundir, struct error *error);
/* For a start that was refused: removes the run directory if rundir_open made it and no event was
 * written there. NULL is allowed; what is left to do with it is rundir_close. */
void rundir_discard(struct rundir *rundir);
void rundir_close(struct rundir *rundir); /* drops the ownership too; NULL is allowed */

/* Whether a run directory of any task is at path. */
bool rundir_is_at(const char *path);

const char *rundir_path(const struct rundir *rundir); /* absolute path of DIR/TASK */
int rundir_read_task(const struct rundir *rundir, struct task_record *record, struct error *error);
/* The same for each incarnation in this run directory, and for no other one, not even one that was
 * removed and made again. */
int rundir_number(const struct rundir *rundir, uint64_t *number, struct error *error);
/* Puts subtask_count and step_count into task.yaml once the program said them; 0 and -1 leave what
 * is there. */
int rundir_update_task(const struct rundir *rundir, uint32_t subtask_count, int64_t step_count,
                       struct error *error);
void task_record_clear(struct task_record *record);

/* Takes the task for this process (an exclusive lock that ends with the process, and with the host)
 * and starts the next incarnation, which it returns; so does each further call by the owner.
 * ONWARD_ERR_IN_USE, with the owner's host and process in the text, when another living process
 * has it; ONWARD_ERR_FENCED for an owner when another one took it meanwhile. */
int rundir_claim(struct rundir *rundir, int64_t *incarnation, struct error *error);
/* The newest incarnation that was started here; 0: none. */
int rundir_newest_incarnation(const struct rundir *rundir, int64_t *incarnation,
                              struct error *error);
/* Whether a living process owns the task; never waits, changes nothing. */
int rundir_is_owned(const struct rundir *rundir, bool *owned, struct error *error);
/* On which host the owner runs (room for RUNDIR_HOST_BYTES), as its kernel calls it, and as which
 * process, by what it wrote when it claimed; that is there after its death too. */
int rundir_read_owner(const struct rundir *rundir, char *host, int64_t *pid, struct error *error);
/* The next claim is for that start of mpirun alone, a number from 1: one that was begun for the
 * same incarnation and given up may still have members. */
void rundir_name_start(struct rundir *rundir, int64_t start);
/* For a member of a job whose launcher has claimed: work under this incarnation. start: the job's,
 * 0: it has none; ONWARD_ERR_FENCED where the claim was for another. */
int rundir_join(struct rundir *rundir, int64_t incarnation, int64_t start, struct error *error);
/* ONWARD_ERR_FENCED when the directory has a newer incarnation than ours. Call before each commit.
 * Any thread may, while nobody claims, joins or closes. */
int rundir_check_fence(const struct rundir *rundir, struct error *error);
/* The same, for who writes; rundir is borrowed. */
struct fence rundir_fence(const struct rundir *rundir);

/* How a task stands: status.json. Strings are NUL-terminated. */
struct run_metric {
    char name[RUNDIR_METRIC_NAME_BYTES];
    double value;
};
/* A checkpoint on its way to a level; bytes: that are held for it meanwhile, 0: there is none. */
struct run_flight {
    int64_t step;
    uint64_t bytes;
};

struct run_status {
    char task[RUNDIR_TASK_BYTES];
    char state[16]; /* running complete stopped failed */
    char time[40];  /* RFC 3339, microseconds; filled in by rundir_write_status */
    int64_t incarnation, epoch, step, step_count, checkpoint_step; /* checkpoint_step -1: none */
    uint32_t workers, spares, draining, members, losses;
    bool spawns_barred;           /* nobody can be spawned where a slot is free */
    double progress;              /* 0 to 1 */
    double eta_s;                 /* below 0: not known */
    double steps_per_s;           /* recent */
    double checkpoint_interval_s; /* 0: not by time */
    char checkpoint_reason[160];  /* why that interval */
    double checkpoint_cost_s;     /* what one holds up the training; 0: none was measured */
    uint32_t failures;            /* that changed the lineup, in observed_s, all incarnations */
    double observed_s;
    struct run_flight partner_flight, shared_flight; /* of all workers */
    double stop_in_s;             /* until the stop before the job's time is over; below 0: never */
    double detect_s;              /* silence after which a member is lost; 0: nobody listens */
    char host[RUNDIR_HOST_BYTES]; /* of the controller */
    int64_t pid;                  /* of the controller */
    int64_t exit_code;            /* -1 while it runs; else what the launcher is to exit with */
    char text[256];               /* what it came to, when it ended */
    uint32_t metric_count;
    struct run_metric metrics[RUNDIR_METRICS];
};
/* Written only under the newest incarnation, as the members and the completion are. */
int rundir_write_status(struct rundir *rundir, const struct run_status *status,
                        struct error *error);
int rundir_read_status(const struct rundir *rundir, struct run_status *status, struct error *error);
/* {"partner": ..., "shared": ...}: each {"of_step", "bytes"}, or null. */
json_t *rundir_encode_flights(const struct run_status *status);

/* Who the members are: members.json, replaced when an epoch opens. */
struct run_member {
    uint32_t member;
    int32_t rank;                 /* in the lineup; -1: none */
    bool is_controller;           /* the one that leads now */
    char role[16];                /* worker spare draining, or controller: leads, and never works */
    char host[RUNDIR_HOST_BYTES]; /* as its kernel calls it */
    int64_t pid;                  /* there */
    int64_t epoch;                /* since which it is a member */
};
struct run_members {
    int64_t incarnation, epoch;
    uint32_t count;
    struct run_member *list; /* in the order of registration */
    json_t
        *drained_hosts; /* [NAME] of hosts that nobody is on since they are drained; NULL: none */
    json_t *host_names; /* {NAME: HOST} of hosts that the task's list calls otherwise than their
                        members; NULL: of none */
};
/* Not synced, as status.json; the incarnation is that of rundir. */
int rundir_write_members(struct rundir *rundir, const struct run_members *members,
                         struct error *error);
/* members is the caller's to clear, whatever the result. */
int rundir_read_members(const struct rundir *rundir, struct run_members *members,
                        struct error *error);
void run_members_clear(struct run_members *members);

/* Appends one line to events.jsonl with one write: {"time","incarnation","epoch","step","event"}
 * and what `extra` holds (an object, borrowed; may be NULL). event is one of start registered epoch
 * lost joined drained spawned restore leave relaunch checkpoint request warning complete failed
 * stopped. One that cannot be written is an error, and kept: it is written with the next one, or
 * the next status, that can be. */
int rundir_event(struct rundir *rundir, const char *event, int64_t epoch, int64_t step,
                 json_t *extra, struct error *error);

/* Writes the events that could not be written when they came. */
int rundir_write_kept(struct rundir *rundir, struct error *error);

/* Whether the error is one that goes away when there is room again, the file system is made
 * writable again, or its server is back: then it is worth waiting. */
bool rundir_may_recover(const struct error *error);
/* Can a file be written there? What is written is removed again. */
int rundir_try_write(const struct rundir *rundir, struct error *error);

/* What is in the log of this incarnation. */
struct run_told {
    uint32_t
        *losses; /* of members; loss_count of them. The caller's to free, whatever the result */
    uint32_t loss_count;
    int64_t epoch; /* the newest that has a line; 0: none has */
};
int rundir_read_told(const struct rundir *rundir, struct run_told *told, struct error *error);

/* Operator requests: requests/NAME.json, made by atomic rename. */
struct run_request {
    char name[64];    /* file name without .json; given by rundir_put_request */
    char request[24]; /* checkpoint stop restart scale drain undrain hosts */
    int64_t count;    /* of workers; for hosts 0: as many more as slots are added */
    int64_t member;   /* 0: none */
    char host[RUNDIR_HOST_BYTES];
    char hosts[RUNDIR_HOSTS_BYTES];  /* NAME:SLOTS,... to be used from now on; 0 slots: no more */
    char by[RUNDIR_HOST_BYTES + 32]; /* user@host, or what asks by itself */
};
/* Writes it for the task of rundir; request->name is filled in, and request->by where that is "".
 */
int rundir_put_request(struct rundir *rundir, struct run_request *request, struct error *error);
/* Takes back the request of that name. False: somebody has taken it. */
bool rundir_withdraw_request(const struct rundir *rundir, const char *name);
/* The oldest request that is waiting: ONWARD_OK and *found. A file that is no request, or one for
 * another task, is moved to NAME.rejected and reported as ONWARD_ERR_INPUT with its name and what
 * was expected. ONWARD_ERR_FENCED: it is for the incarnation that took over, and stays. */
int rundir_take_request(struct rundir *rundir, struct run_request *request, bool *found,
                        struct error *error);

/* The completion record. Written only under the newest incarnation. */
struct run_completion {
    int64_t incarnation, epoch, step;
    double seconds;
};
int rundir_write_completion(struct rundir *rundir, const struct run_completion *completion,
                            struct error *error);
int rundir_read_completion(const struct rundir *rundir, struct run_completion *completion,
                           bool *complete, struct error *error);

#endif
