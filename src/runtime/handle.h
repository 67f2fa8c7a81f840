/* handle.h - one member's handle on the task: what the files of src/runtime share.
 *
 * A member is a worker's side (protected arrays, the step it has reached, its role) and, where it
 * is the controller, also a controller's side (struct control: the decision core and the run
 * directory). A worker that took over has both. */
#ifndef RUNTIME_HANDLE_H
#define RUNTIME_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "checkpoint.h"
#include "clock.h"
#include "controller.h"
#include "error.h"
#include "heart.h"
#include "inject.h"
#include "lineup.h"
#include "onward.h"
#include "partner.h"
#include "rundir.h"
#include "sum_exchange.h"
#include "transport.h"

struct array_part; /* shards.h */
struct saving;     /* saving.h */

enum { RUNTIME_MAX_FAULTS = 32, HOST_BYTES = 64, WARNING_BYTES = 256, CAUSE_BYTES = 64 };

/* Messages on control. Fixed size: one kind of buffer, one bound. */
enum message_kind {
    MESSAGE_REPORT = 1, /* worker: complete_step, metrics; after a change stall_s */
    MESSAGE_SHARD,  /* worker: its shard of step is written; the last of its hyperslabs behind the
                       message */
    MESSAGE_SLABS,  /* worker: such as do not fit behind that, which comes next; behind the message
                     */
    MESSAGE_MISSED, /* worker: it was past step */
    MESSAGE_FAILED, /* worker: its shard could not be written; text */
    MESSAGE_FINAL_DONE, /* worker: its final work is done */
    MESSAGE_ARRAYS,     /* worker 0: descriptions of the protected arrays, behind the message */
    MESSAGE_WARNING,    /* worker: text, for the event log */
    MESSAGE_GIVE_UP,    /* worker: the program ends the task; code, text */
    MESSAGE_COPIED,     /* worker: the copy of step that was ordered is written; code: it is not */
    ORDER_CHECKPOINT,   /* controller: write the shard when step is complete; code: enum behind */
    ORDER_FINISH,       /* controller: do the final work */
    ORDER_COMPLETE,     /* controller: the task is complete */
    ORDER_SPAWNS,       /* controller: it begins (code 1) or ended (0) a spawn */
    ORDER_CHANGE,       /* controller, to one worker: begin a planned change, between steps */
    ORDER_COPY,         /* controller: copy the shard when step is complete, and await the change */
    ORDER_SAVED,        /* controller: the checkpoint of step is committed */
    ORDER_PROGRESS,     /* controller: the service counts step as complete */
    MESSAGE_PROGRAM     /* of the program, behind a struct program_head; see service.c */
};

/* What comes after a checkpoint that was ordered. */
enum behind {
    BEHIND_STEPS,
    BEHIND_STOP, /* a step that is begun meanwhile would be lost */
    BEHIND_START /* the same, and the launcher starts again at once */
};

struct message {
    uint32_t kind, member;
    int64_t epoch, step;
    int64_t attempt; /* with a checkpoint: the order's number; no other answer counts */
    double cost_s;   /* for so long the step was held up */
    double took_s;   /* from then to when the shard was written */
    double stall_s;
    struct run_flight partner, shared; /* in a report: what is on its way from here */
    struct checkpoint_shard shard;
    uint32_t metric_count, array_count, slab_count;
    uint32_t slab_first; /* so many came in messages before */
    struct run_metric metrics[RUNDIR_METRICS];
    int32_t code;
    char text[WARNING_BYTES];
};

/* Who is at which rank of control; the same table on every member, from the opening. */
struct seat {
    uint32_t member, pid;
    int32_t rank; /* in the lineup; -1: none */
    bool draining;
    bool reported;  /* since the epoch opened; known to its controller while a restore is counted */
    bool dedicated; /* as the controller */
    bool leaves;    /* the task ends here: its state goes to its host, see slots_leave */
    int64_t epoch;  /* since which it is a member */
    char host[HOST_BYTES];
    struct partner_address partner;
};

/* What a member learns when it opens. */
struct open_news {
    int code;
    int64_t incarnation;
    uint64_t run_number;
    struct error error;
    char run[4096];
};

struct protected_array {
    uint64_t bytes;
    unsigned flags;
    bool is_ours;  /* of onward_alloc; its data is the current slot, see slots.h */
    void *initial; /* its values before there are slots; NULL: none. In a task with sharded state
                      those of every replicated array, for good */
    onward_layout *layout;              /* of a sharded array; see shards.h */
    void *context;                      /* its */
    struct array_part *held, *incoming; /* what this worker holds, and what a change lays out */
};

/* The local level of sharded state, see copies.h. */
struct copies {
    int64_t next_step;   /* when to write next */
    int64_t whole_step;  /* of this epoch, all workers have it; -1: none */
    int64_t newest_step; /* written here, of the others it is not known; -1: none */
    bool has_failed;     /* the newest could not be written here */
    bool lacks_room;     /* for want of room */
    bool room_told;      /* which is said once */
    int64_t settle_step; /* when all agree next on how the newest came off, so many steps later */
    int64_t settle_wait;
    struct copy_id from; /* the set that the epoch began from; shard_count 0: none */
    bool is_swept;       /* copies of epochs before are removed */
    bool is_trimmed;     /* all but the set that the epoch began from are */
    int64_t interval;    /* steps to the next */
    int64_t flight_step; /* on its way to the partners; -1: none */
    int64_t sent_step;   /* all partners have it; -1: none */
    bool flight_failed;  /* here */
    uint32_t failures;   /* of sets in a row that did not all arrive */
    bool has_partner;    /* there is another host */
    bool lacks_partner;  /* there is one, and this worker can send nothing: no set ever arrives */
    struct partner_address to;
    struct partner_turn turn;     /* of the other workers that send there, too */
    int64_t begin_ns, begin_step; /* of the steps since the newest was written */
    int64_t cost_ns;
    uint64_t bytes;        /* of one copy */
    int64_t ordered_step;  /* of one for a planned change; -1: none */
    int64_t hold_until_ns; /* it is written, and the change waited for; 0: not */
};

/* What the event log says of the epoch that is open, which any member may have to tell. */
struct epoch_story {
    struct controller_action action;
    char cause[CAUSE_BYTES];
    double stall_s; /* until it opened, as far as this member knows */
};

struct control; /* control.h */
struct local;   /* local.h */
struct local_copy;
struct copy_id; /* store's copy.h */
struct trace;   /* store's trace.h */

/* A local copy of replicated state. */
struct held_id {
    int64_t incarnation, epoch, step; /* step -1: none */
};

struct onward {
    struct transport *transport;
    struct onward_options options; /* strings owned, see options.c */
    struct error error;
    char run[4096]; /* run directory */
    char host[HOST_BYTES];

    struct checkpoint_array arrays[ONWARD_MAX_ARRAYS]; /* as store wants them */
    struct protected_array protected[ONWARD_MAX_ARRAYS];
    uint32_t array_count;
    struct local *local;     /* slots; NULL before the first change */
    struct trace *trace;     /* of where this worker is; NULL: none */
    bool outlives;           /* they are in a file, and hold the whole state */
    struct local *left;      /* the state for a start that follows; NULL: none, see slots_leave */
    struct local_copy *held; /* what an earlier incarnation left on this host; NULL: nothing */
    bool held_ruled_out;     /* for comparing alone */
    struct held_id disputed; /* of which members hold other bits than each other; step -1: none */
    bool held_sought;
    struct copies copies;
    int64_t saved_step; /* of the newest committed checkpoint that this worker was told of, or -1 */
    struct partner *partner;     /* NULL: not listening */
    uint64_t run_number;         /* of the run directory, the same in each incarnation */
    char warning[WARNING_BYTES]; /* for the event log; "": none */
    int passes_left;             /* of the change under way */
    int restore_code; /* of a state that could not be read in the pass before; warning says why */
    struct copy_id *unread; /* copies that this member could not get at in the change under way */
    uint32_t unread_count;
    char unread_text[WARNING_BYTES]; /* why the first of them, or the local copy; "": none */
    int unread_code;                 /* its error */

    uint32_t member; /* 0 until registered */
    struct onward_role role;
    bool opened;       /* the first epoch was opened */
    bool changing;     /* inside a pass of an epoch change */
    int64_t change_ns; /* when the newest began */
    bool in_lineup;    /* has a role in this epoch */
    bool in_step;      /* onward_next returned ONWARD_STEP and the step has not ended */
    bool gave_up;      /* the program ended the task: no step of this epoch counts any more */
    int give_up_code;  /* ONWARD_OK: it did not; else what is said to the controller */
    char give_up_text[256];
    int64_t give_up_ns; /* when it is said again */
    bool finishing;     /* onward_next returned ONWARD_FINISH in this epoch */
    bool final_done_sent;
    bool clean;            /* memory is the state after complete_step */
    int64_t complete_step; /* -1: no state */
    bool dirty;            /* a checkpoint was read in part: initial values are gone */
    struct epoch_story story;
    int64_t seen_epoch;   /* newest that an opening named, agreed to or not */
    int64_t started_step; /* newest step begun by this member; -1 none */
    bool ended;
    bool saved;    /* ended, and the newest step is in a committed checkpoint */
    bool restarts; /* ended, and the launcher starts again at once */
    int end_code;  /* enum onward_error, when ended or complete_ordered */

    struct seat *seats; /* transport_size of them */
    uint32_t seat_count;
    void *core_bytes; /* the controller's state as of the opening */
    size_t core_size;
    void *host_bytes; /* the hosts as of the opening; NULL: as the launcher named them */
    size_t host_size;
    int64_t incarnation;

    int64_t checkpoint_step; /* ordered; -1 none */
    int64_t checkpoint_attempt;
    bool checkpoint_waits;  /* the task stops with it: no step is begun behind it */
    bool checkpoint_leaves; /* and starts again: the state is to be on the hosts */
    int64_t hold_until_ns;  /* it is written, and the end of the task is waited for; 0: not */
    struct saving *saving;  /* of a shard, behind the steps; NULL: none. See worker_checkpoint.c */
    struct message saving_message; /* what is told when it has ended */
    int64_t saving_begin_ns;
    uint64_t saving_bytes; /* of its copy */
    bool finish_ordered, complete_ordered;

    int64_t poll_ns, report_ns; /* when next */
    int64_t step_end_ns;        /* when the last complete step ended */
    double stall_s;
    struct run_metric metrics[RUNDIR_METRICS];
    uint32_t metric_count;

    struct inject_fault faults[RUNTIME_MAX_FAULTS];
    uint32_t fault_count;
    uint64_t fired_faults; /* bit i: fault i has happened, here or elsewhere */

    struct sum *sum;
    struct watchdog *watchdog; /* watchdog.h */
    struct heart *heart;       /* NULL: there is no launcher */
    struct heart_marks marks;
    struct control *control; /* NULL: this member is not the controller */
    bool dedicated;          /* opened as the controller: never in the lineup */
    bool spawned;            /* by the controller, and not joined to the others yet */
    bool controller_spawns;  /* the controller is inside of a spawn, which may hang */
};

/* open.c */
void open_fill_news(const struct onward *ow, struct open_news *news, int code);

/* next.c: the main thread is now at `place` (enum beat_place). */
void mark_place(struct onward *ow, enum beat_place place);
/* The controller told how the task stands; the launcher hears it even where it cannot be written,
 * and why not. */
void mark_telling(struct onward *ow, int disk_errno);
/* The controller is held up by a spawn; its heartbeats tell for it meanwhile. */
void mark_spawning(struct onward *ow, bool spawns);

/* change.c: forms the lineup (again) with all other members. Returns ONWARD_OK with a role, or
 * none, or ended; else an error that ends this member. */
int change_run(struct onward *ow);

/* leave.c: from here on an exit of this process is a loss to the others; and no more. */
void leave_guard(void);
void leave_release(void);

/* state.c */
uint64_t state_type_bytes(int type);
uint64_t state_signature(const struct onward *ow);
/* Of all protected arrays: those that each worker has whole, and those that all have together. */
void state_sizes(const struct onward *ow, uint64_t *replicated_bytes, uint64_t *sharded_bytes);
struct checkpoint_id state_checkpoint_id(const struct onward *ow, int64_t epoch, int64_t step);

/* worker.c: what a worker tells and is told between steps. */
void worker_poll(struct onward *ow);
void worker_report(struct onward *ow);
/* False: it did not get on its way, since a loss came before or too many are under way. */
bool worker_send(struct onward *ow, struct message *message);
void worker_take_order(struct onward *ow, const struct message *message);
bool worker_send_bytes(struct onward *ow, const void *bytes, size_t size);
void worker_add_metrics(const struct onward *ow, struct message *message);
void worker_send_arrays(struct onward *ow);
void worker_send_warning(struct onward *ow);
void worker_say_give_up(struct onward *ow);

/* worker_checkpoint.c: between two steps, takes the checkpoint that was ordered, and tells of the
 * one that has been saved. */
void worker_checkpoint(struct onward *ow);
bool worker_holds(const struct onward *ow);
struct run_flight worker_shared_flight(const struct onward *ow);
/* What is being saved is of no use: an epoch opened, or another checkpoint was ordered. */
void worker_checkpoint_give_up(struct onward *ow);
/* Waits for the thread of such a save. At the end of all alone, where the watchdog bounds it. */
void worker_checkpoint_release(struct onward *ow);

/* service.c: a task whose work is given out in messages. */
/* Takes a message of the program; false: it is none. */
bool service_take(struct onward *ow, const void *bytes, size_t size);
void service_changed(struct onward *ow); /* an epoch opened */
/* What onward_next does while it waits. */
void service_idle(struct onward *ow);

/* fault.c: rehearsed faults of --inject. */
/* Those that happened in incarnations before do not happen again. */
void fault_begin(struct onward *ow);
/* As fault_at_step, where steps are counted elsewhere. */
void fault_at_progress(struct onward *ow);
void fault_at_step(struct onward *ow);
void fault_at_phase(struct onward *ow, int phase);
void fault_of_controller(struct onward *ow, int64_t best_step);

#endif
