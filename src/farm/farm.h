/* farm.h - the farm: commands that are given out, run, and accounted for.
 *
 * The controller has the queue and the journal (farm_control.c); a worker runs what it is given
 * through its keeper (farm_worker.c). A worker reports results and says how many subtasks more it
 * wants; the controller writes the results to the journal, and only then answers, with more
 * subtasks. A report that was not answered is sent again after a change of the lineup, together
 * with the list of all that the worker has: so nothing that ended is run again, and nothing is
 * lost, whoever of the two was replaced. A subtask's attempt has a number, so that a result that
 * comes twice counts once. */
#ifndef FARM_FARM_H
#define FARM_FARM_H

#include <stdbool.h>
#include <stdint.h>

#include "keeper.h"
#include "onward.h"

enum {
    FARM_GIVE_LIMIT = 512,   /* subtasks at a worker */
    FARM_MAX_MEMBERS = 16384 /* as the core's */
};

struct farm_settings {
    double timeout_s;    /* of an attempt; 0: none */
    double grace_s;      /* between SIGTERM and SIGKILL */
    uint32_t retries;    /* of a subtask that failed */
    uint32_t max_fails;  /* subtasks that fail before no more are given out; 0: however many */
    uint32_t max_losses; /* of workers that had the subtask alone, before it is set aside */
    bool keep_order;
};

/* A subtask as it is given out; also the keeper's order. Subtasks are counted from 0 here, and from
 * 1 wherever the user sees them. */
struct farm_item {
    struct keeper_name name; /* id: the subtask */
    uint64_t offset;         /* of its command in the file of commands */
    uint32_t length;
    uint32_t reserved;
};

/* Worker to controller; behind it held_count subtasks (of a hello) and result_count results. */
struct farm_report {
    uint32_t hello; /* 1: the first one after a change of the lineup */
    uint32_t sequence;
    uint32_t want; /* subtasks more */
    uint32_t held_count, result_count;
    uint32_t reserved;
};

/* Controller to worker; behind it count items. */
struct farm_answer {
    uint32_t sequence; /* of the report whose results are in the journal */
    uint32_t count;
    uint32_t failed; /* subtasks so far */
    uint32_t reserved;
};

/* farm_command.c: what the keeper needs to know. setup gets the run directory. */
struct farm_commands;
struct farm_commands *farm_commands_create(void);
void farm_commands_destroy(struct farm_commands *commands);
void farm_commands_setup(void *farm_commands, const void *run, size_t size);
int farm_commands_prepare(void *farm_commands, const void *item, struct keeper_launch *launch,
                          struct error *error);
/* Splits a command into words, in place, when that means the same as to hand it to a shell. words:
 * room for max with a NULL behind. False: it takes a shell. */
bool farm_split(char *command, char **words, int max);

/* farm_control.c: the controller's side. */
struct farm_control;
struct farm_control *farm_control_create(const struct farm_settings *settings,
                                         uint32_t subtask_count);
void farm_control_destroy(struct farm_control *control);
void farm_control_open(struct farm_control *control, struct onward *ow);
int64_t farm_lead(struct farm_control *control);
void farm_members(struct farm_control *control, const struct onward_member *members,
                  uint32_t count);
void farm_request(struct farm_control *control, uint32_t member, const void *bytes, size_t size);
int64_t farm_serve(struct farm_control *control);

/* farm_worker.c: the worker's side. */
struct farm_worker;
struct farm_worker *farm_worker_create(struct keeper *keeper);
void farm_worker_destroy(struct farm_worker *worker);
void farm_take_answer(struct farm_worker *worker, const void *bytes, size_t size);
void farm_changed(struct farm_worker *worker); /* an epoch opened */
/* What onward_next asks for while it waits. */
void farm_idle(struct farm_worker *worker);
/* The loop; writes the results of the task at its end. Returns what onward_next came to. */
int farm_work(struct farm_worker *worker, struct onward *ow, const struct farm_settings *settings);
void farm_worker_open(struct farm_worker *worker, struct onward *ow);

/* farm_result.c: result.h5, results.tsv, summary.json, and with keep_order stdout and stderr, from
 * the journal of a settled task. */
int farm_write_results(struct onward *ow, const char *run, const char *task,
                       const struct farm_settings *settings, struct error *error);

#endif
