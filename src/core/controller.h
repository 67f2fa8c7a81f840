/* controller.h - the decision core: a state machine without I/O.
 *
 *     controller_step(state, event, actions)
 *
 * takes one event, changes the state, and appends to a bounded array the actions that the adapter
 * then carries out in order. Results of actions come back as events. Time arrives inside events
 * (now_us, monotonic microseconds); the seed of any randomness lives in the state. The same state
 * and event always give the same actions. No MPI, HDF5, files, clock, environment or stdio.
 *
 * How an epoch change goes, seen from here:
 *   1. something happens: EVENT_LOST, EVENT_REGISTERED, EVENT_REQUEST ... -> ACTION_REFORM
 *      (the adapter makes every member enter the change; repeated ones are harmless)
 *   2. for each pass: EVENT_LOST for those found missing, EVENT_REPORT for each that lives, and
 *      then EVENT_GATHERED -> ACTION_OPEN_EPOCH, or ACTION_GIVE_UP, or, where too few are left for
 *      a lineup, ACTION_SPAWN (its result comes as EVENT_SPAWN_RESULT, then EVENT_REGISTERED for
 *      those who came, then EVENT_GATHERED again)
 *      (the result of a commit that was asked for comes before EVENT_GATHERED)
 *   3. all agreed: EVENT_OPENED. A pass that failed: back to 2, and the next lineup gets a new
 * epoch.
 * Replacements for lost workers, and more workers, come while the others work: ACTION_SPAWN outside
 * of a change; when some came (EVENT_SPAWN_RESULT), ACTION_REFORM, and they are registered in it.
 *
 * When the controller dies, its successor loads the state that the newest opening it received
 * carried, feeds EVENT_OPENED if it agreed to that epoch, and then EVENT_START with its own member
 * ID, and EVENT_CHECKPOINT_COMMITTED for the newest whole checkpoint in the run directory, as at
 * the very start. What was asked for since that opening is not known to it.
 *
 * Steps are counted: complete_step = k says that k steps are complete and the state is the one
 * after them. The task is complete at step_count. -1: the member has no state at all.
 */
#ifndef CORE_CONTROLLER_H
#define CORE_CONTROLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CONTROLLER_MAX_MEMBERS = 16384,
    CONTROLLER_MAX_ACTIONS = 32,
    CONTROLLER_MAX_HELD = 8,
    CONTROLLER_MAX_CHECKPOINTS = 64, /* committed ones that the controller keeps track of */
    CONTROLLER_NO_RANK = -1
};

enum member_state {
    MEMBER_READY = 1, /* usable: in the lineup or spare */
    MEMBER_DRAINING   /* registered, but leaves the lineup at the next epoch */
    /* a lost member leaves the roster; its member ID is never used again */
};

enum replace_policy { REPLACE_NONE, REPLACE_SPARE, REPLACE_SPAWN };

/* Where the newest whole copy of the state is. The order is that of preference. */
enum state_level { LEVEL_MEMORY = 1, LEVEL_LOCAL, LEVEL_PARTNER, LEVEL_SHARED };

enum state_source {
    SOURCE_FRESH = 1, /* no step is complete anywhere: initial values */
    SOURCE_MEMBER,    /* source_member sends its replicated state */
    SOURCE_HELD, /* sharded: every shard of resume_step is held at LEVEL_LOCAL or LEVEL_PARTNER */
    SOURCE_CHECKPOINT /* the shared checkpoint of resume_step */
};

/* One copy that a member holds. A whole replicated state is shard 0 of 1. */
struct held_copy {
    int64_t step;
    uint32_t shard, shard_count;
    uint8_t level; /* enum state_level */
};

struct core_member {
    uint32_t id;   /* from 1; never used again */
    uint32_t host; /* the adapter's number for the host */
    int32_t rank;  /* in the newest opened epoch; CONTROLLER_NO_RANK: none */
    uint8_t state; /* enum member_state */
    bool is_controller;
    bool reported;         /* since the change began */
    bool clean;            /* its memory is the state after complete_step */
    int64_t complete_step; /* newest it reported; -1: has no state */
    uint32_t held_count;
    struct held_copy held[CONTROLLER_MAX_HELD];
};

/* Fixed for the task, but for can_spawn (controller_stop_spawns). */
struct controller_policy {
    uint32_t subtask_count; /* >= 1 */
    int64_t step_count;     /* >= 0 */
    uint32_t min_workers;   /* >= 1 */
    uint32_t max_workers;   /* >= min; at most subtask_count are ever used */
    uint32_t spare_count;   /* kept out of the lineup while min_workers allows */
    uint8_t replace;        /* enum replace_policy */
    bool can_spawn;         /* MPI can, as far as is known */
    bool can_relaunch;      /* a launcher starts the task again when too few workers are left */
    bool sharded;           /* some state is not replicated */
    bool initial_kept;      /* sharded: where no copy is left, it can begin again at step 0 */
    bool finish_checkpoint; /* commit a checkpoint at step_count before the task completes */
    int64_t checkpoint_steps;
    int64_t checkpoint_us;
    bool checkpoint_auto;
    int64_t checkpoint_min_us, checkpoint_max_us; /* bounds for auto */
    uint32_t restart_budget;    /* failures that may be answered by spawn or relaunch */
    int64_t backoff_us;         /* first pause after a failed spawn; doubles, bounded */
    uint32_t no_progress_limit; /* epochs in a row without a new complete step before giving up */
    uint64_t seed;
};

enum event_type {
    EVENT_START = 1,        /* first (step: the newest that was complete before, 0: none; what
                               was measured before: cost_us, count of failures, observed_us), or
                               after controller_load by a new controller; end_us */
    EVENT_REGISTERED,       /* member, host, is_controller, step (what state it brings) */
    EVENT_LOST,             /* member */
    EVENT_GATHERED,         /* every living member has reported; decide */
    EVENT_OPENED,           /* epoch: all members agreed to it */
    EVENT_SPAWN_RESULT,     /* count: how many came (0: failed); tried, 0: all that were ordered */
    EVENT_REPORT,           /* member, step, clean, held, in_change */
    EVENT_CHECKPOINT_SHARD, /* member, step, cost_us, took_us: its shard is written and synced */
    EVENT_CHECKPOINT_COMMITTED, /* step: found in the run directory, or ACTION_COMMIT succeeded */
    EVENT_CHECKPOINT_FAILED,    /* step, member or 0: missed, disk full, commit failed ... */
    EVENT_CHECKPOINT_BAD,       /* step: it does not verify; not to be used again */
    EVENT_SIZE_REFUSED,         /* count: the program cannot lay out the lineup of so many */
    EVENT_FINAL_WORK_DONE,      /* member: it called onward_next after ONWARD_FINISH */
    EVENT_REQUEST,              /* request, count, member or host */
    EVENT_TICK                  /* time passes; deadlines are looked at on every event */
};

enum request_type {
    REQUEST_CHECKPOINT = 1,
    REQUEST_STOP,  /* checkpoint where there is none of this step, then end, resumable */
    REQUEST_SCALE, /* count workers from now on */
    REQUEST_DRAIN, /* member, or every member of host; count: how many can be spawned on hosts that
                      nobody is drained from */
    REQUEST_UNDRAIN
};

/* What a request would come to; only one that fits changes anything. */
enum request_verdict {
    REQUEST_FITS = 1,
    REQUEST_ALREADY,       /* those who are meant are draining, or not, as it is */
    REQUEST_NOBODY,        /* no worker or spare is meant */
    REQUEST_BELOW_MINIMUM, /* fewer than min_workers would be left */
    REQUEST_BEYOND_LIMIT,  /* more than CONTROLLER_MAX_MEMBERS */
    REQUEST_ENDING,        /* the task is about to complete, or to stop */
    REQUEST_UNKNOWN        /* no such type */
};

struct controller_event {
    uint8_t type; /* enum event_type */
    int64_t now_us;
    uint32_t member, host, count;
    uint32_t tried; /* SPAWN_RESULT: the others are to be ordered again */
    int64_t step, epoch, cost_us;
    int64_t took_us; /* SHARD: from when it was begun; cost_us is how long a step waited for it */
    int64_t end_us;  /* START: when the time of the job is over; 0: never */
    int64_t observed_us; /* START: time in which the failures were seen */
    bool clean, is_controller, in_change;
    bool
        sharded; /* a report in the change: the program has sharded state, and its initial values */
    uint8_t request; /* enum request_type */
    uint32_t held_count;
    struct held_copy held[CONTROLLER_MAX_HELD];
};

enum action_type {
    ACTION_REFORM = 1,      /* make every member enter the epoch change */
    ACTION_OPEN_EPOCH,      /* the lineup is in the roster's ranks; see struct controller_action */
    ACTION_SPAWN,           /* count processes, on hosts of the adapter's choice */
    ACTION_TAKE_CHECKPOINT, /* tell all workers: write your shard when `step` is complete */
    ACTION_COMMIT_CHECKPOINT,  /* all shards of step are written: write the master */
    ACTION_ABANDON_CHECKPOINT, /* of step: forget it; its shards may be removed */
    ACTION_FINISH,   /* step_count is complete everywhere: let the workers do their final work */
    ACTION_COMPLETE, /* write the completion record, release everyone with success */
    ACTION_GIVE_UP,  /* reason, exit_code: release everyone */
    ACTION_NOTE      /* for the event log: note, member, step, count */
};

enum give_up_reason {
    GIVE_UP_TOO_FEW = 1, /* exit 69 */
    GIVE_UP_STOPPED,     /* asked to; exit 75 */
    GIVE_UP_NO_PROGRESS, /* exit 1 */
    GIVE_UP_BUDGET,      /* exit 1 */
    GIVE_UP_END_TIME,    /* the time of the job is nearly over; exit 75 */
    GIVE_UP_NO_STATE, /* sharded state with no whole copy anywhere, and steps were complete: exit 1
                       */
    GIVE_UP_STATE_ON_HOSTS /* who had the newest state is lost, and the next start can have it from
                              the hosts; exit 69 */
};

enum note_type {
    NOTE_STEPS_LOST = 1,     /* step: where it resumes; count: how many complete steps are redone */
    NOTE_SPARE_WORKERS,      /* count members are more than max_workers or the subtasks: spare */
    NOTE_CHECKPOINT_MISSED,  /* step, member: it was past the step already; tried again later */
    NOTE_SPAWN_FAILED,       /* count: how many did not come */
    NOTE_CHECKPOINT_FAILED,  /* step; count: failures in a row; tried again later */
    NOTE_END_TIME,           /* count: seconds left of the job's time: it stops now, resumable */
    NOTE_NO_FINAL_CHECKPOINT /* step; after count attempts the task finishes without it */
};

/* ACTION_OPEN_EPOCH: the workers are the members with rank >= 0; worker r of `size` has the
 * subtasks lineup_split(subtask_count, size, r). */
struct controller_action {
    uint8_t type;    /* enum action_type */
    uint8_t source;  /* OPEN_EPOCH: enum state_source */
    uint8_t reason;  /* GIVE_UP */
    uint8_t note;    /* NOTE */
    int exit_code;   /* GIVE_UP */
    uint32_t size;   /* OPEN_EPOCH: workers */
    uint32_t member; /* OPEN_EPOCH: who has the state: SOURCE_MEMBER, and SOURCE_HELD of one shard;
                        NOTE */
    uint32_t count;
    int64_t epoch, step; /* OPEN_EPOCH: step is where to resume */
    int64_t steps_lost;  /* OPEN_EPOCH: complete steps that are done again */
};

struct controller_actions {
    uint32_t count;
    struct controller_action items[CONTROLLER_MAX_ACTIONS];
};

struct controller; /* opaque; members in the order of registration */

/* Creates the state machine. NULL when policy is out of range or memory is short. */
struct controller *controller_create(const struct controller_policy *policy);
void controller_destroy(struct controller *state);

/* Of the events' other fields: epoch of START is the newest of an earlier incarnation (0: none), of
 * a report in the change the newest whose opening the member saw; of a worker's other reports,
 * shards, failures and final work the one that it belongs to (0: not said), so that a message that
 * was on its way during a change is not taken for one of the new epoch.
 *
 * One event in, actions out (actions->count is set to 0 first). An event that cannot be, such as a
 * report of an unknown member, changes nothing. Returns 0, or -1 for such an event (or, for
 * EVENT_GATHERED and EVENT_REGISTERED, when memory is short). */
int controller_step(struct controller *state, const struct controller_event *event,
                    struct controller_actions *actions);

/* What an EVENT_REQUEST would come to now. */
enum request_verdict controller_judge_request(const struct controller *state,
                                              const struct controller_event *event);

/* Walks every invariant; returns NULL, or a text that names the one that does not hold. */
const char *controller_check(const struct controller *state);

/* The state as bytes, for the opening that carries it to every member. save returns the size it
 * needs (and writes nothing when capacity is smaller). load returns NULL for bytes that are not a
 * whole valid state. Same build on both sides: no portability between versions or machines. */
size_t controller_save(const struct controller *state, void *bytes, size_t capacity);
struct controller *controller_load(const void *bytes, size_t size);

/* Reading. */
uint32_t controller_member_count(const struct controller *state);
const struct core_member *controller_member(const struct controller *state, uint32_t index);
const struct core_member *controller_find(const struct controller *state, uint32_t id);
uint32_t controller_next_member_id(const struct controller *state);
const struct controller_policy *controller_get_policy(const struct controller *state);
/* Whether it ends with its next checkpoint. */
bool controller_is_stopping(const struct controller *state);
/* From now on no ACTION_SPAWN is given: MPI can do no more of them. */
void controller_stop_spawns(struct controller *state);
int64_t controller_epoch(const struct controller *state);     /* newest opened; 0: none */
int64_t controller_best_step(const struct controller *state); /* newest reported complete */
/* The one that the workers are at: below the best one while steps that were lost are done again. */
int64_t controller_current_step(const struct controller *state);
/* The first one that an order given now should reach all workers in time for, with so many times
 * the margin of a checkpoint, at most 64; 0: the one that they are likely at. */
int64_t controller_order_step(const struct controller *state, uint32_t margins);
int64_t controller_checkpoint_step(const struct controller *state); /* newest committed; -1 none */
/* How often checkpoints are taken now, and from what that follows. */
struct controller_interval {
    int64_t interval_us; /* 0: not by time */
    int64_t cost_us;     /* measured; 0: not yet, one second is assumed */
    int64_t mtbf_us;     /* what is assumed, from failures in observed_us */
    int64_t failures, observed_us;
    int64_t low_us, high_us; /* bounds of auto */
    int64_t duration_us;     /* measured, from the first write to the commit; 0: not yet */
    int64_t
        stop_us; /* when the last checkpoint before the end of the job's time begins; 0: never */
};
struct controller_interval controller_get_interval(const struct controller *state);
uint32_t controller_worker_count(const struct controller *state);  /* of the newest epoch */
uint32_t controller_desired_count(const struct controller *state); /* reached or asked for */
uint32_t controller_spare_count(const struct controller *state);
uint32_t controller_draining_count(const struct controller *state);
bool controller_in_change(const struct controller *state);

#endif
