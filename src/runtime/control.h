/* control.h - the controller's side of a member: carries out what the decision core says.
 *
 * Messages, requests and time become events of the core; its actions become orders to workers,
 * files in the run directory, and openings of epochs. The whole of it is non-blocking, so that a
 * worker that took over can serve it between its own steps. */
#ifndef RUNTIME_CONTROL_H
#define RUNTIME_CONTROL_H

#include "copy.h"
#include "copyset.h"
#include "handle.h"
#include "place.h"
#include "trace.h"

enum { OPENING_MAGIC = 0x0e9e0001, REPORT_TEXT_BYTES = 256, REPORT_TRACES = 4 };

/* What could not be read is read a second time after this. */
enum { READ_AGAIN_NS = 1000000000 };

/* Where a process that is gone was, on the host of who reports it. */
struct dead_trace {
    uint32_t pid;
    int64_t step, subtask;
};

/* What each member brings to an epoch change. */
struct change_report {
    uint32_t member; /* 0: not registered yet */
    uint32_t pid;
    int64_t complete_step;
    int64_t seen_epoch;
    uint64_t signature;  /* of the protected arrays; 0 for a dedicated controller */
    struct held_id held; /* on its host */
    uint32_t copy_count; /* of shards, on its host; their list comes behind the reports */
    uint32_t trace_count;
    struct dead_trace traces[REPORT_TRACES];
    bool clean, dedicated, sharded;
    bool may_leave; /* its state ends with its process, unless it is left on the host */
    char host[HOST_BYTES];
    struct partner_address partner;
    char warning[WARNING_BYTES]; /* "": none */
    /* Why what may be the newest state could not be read; "": all was. */
    char unread[WARNING_BYTES];
    int32_t unread_code;
    int32_t restore_code; /* why the state of the pass before could not be read */
    uint64_t replicated_bytes, sharded_bytes; /* of the whole state */
};

/* What the controller sends to all in an epoch change; seats, the core's bytes and, where hosts
 * have changed, the bytes of control_save_hosts() come behind. */
struct opening {
    uint32_t magic;
    bool end;         /* no epoch: the task ends with end_code */
    bool again;       /* no epoch yet: newcomers join in the next pass */
    bool move_state;  /* some worker's memory is not the state of step */
    bool move_to_all; /* to every member but a dedicated controller, not just to the team */
    bool saved;       /* its step, or at the end the newest, is in a committed checkpoint */
    bool may_shrink;  /* where the layouts cannot do so many workers, fewer are tried */
    bool is_disputed; /* not all local copies of step are the same */
    bool restarts;    /* end: the launcher starts again at once, from the copies on the hosts */
    uint8_t source;   /* enum state_source */
    int32_t end_code;
    int32_t source_seat; /* who has the state that moves */
    uint32_t size, seat_count;
    int64_t epoch, step, incarnation;
    struct held_id held; /* SOURCE_HELD of replicated state: what it comes from */
    int64_t steps_lost;  /* for the event log, as are the next two */
    uint32_t source_member;
    char cause[CAUSE_BYTES];
    uint64_t core_size, host_size, run_number;
    uint64_t state_bytes; /* that a worker takes in at most; 0: those of the lineup have it. At the
                             end what one leaves on its host; 0: nobody does */
    struct copy_id copy;  /* SOURCE_HELD of sharded state: shard_count shards; the holders behind */
    char text[REPORT_TEXT_BYTES];
};

/* What a worker has on its way. */
struct control_flights {
    struct run_flight partner, shared;
};

struct commit; /* control_commit.c */

struct control_slabs {
    uint32_t count;
    struct checkpoint_slab *list;
};

struct control {
    struct controller *core;
    struct rundir *rundir;
    struct run_status status;
    struct checkpoint_array arrays[ONWARD_MAX_ARRAYS];
    uint32_t array_count;
    struct checkpoint_shard *shards;                 /* of the checkpoint in flight, by rank */
    struct control_slabs *slabs;                     /* what those hold of sharded arrays */
    struct control_flights *flights;                 /* by rank, as told in reports */
    uint32_t shard_count;                            /* how many of each there is room for */
    struct run_metric shard_metrics[RUNDIR_METRICS]; /* that came with the one of rank 0 */
    uint32_t shard_metric_count;
    int64_t shard_epoch;
    int64_t ordered_step;              /* of the newest checkpoint that was ordered; -1: none was */
    int64_t attempt;                   /* its number; the same step may be ordered again */
    int64_t room_attempt;              /* the newest that room was made for */
    bool order_waits;                  /* the workers are told once `commit` has ended */
    struct commit *commit;             /* of control_commit.c, while it runs; NULL: none does */
    struct checkpoint_listing *listed; /* for the next commit; of the thread of the one that runs */
    struct copyset_entry *copyset; /* of all copies; once chosen the newest whole state, by shard */
    uint32_t copyset_size;         /* 0: there is none */
    bool started;                  /* the core has had EVENT_START */
    bool knows_checkpoints;        /* the core was told what the run directory holds */
    int64_t checkpoint_incarnation;          /* of the newest one then; 0: none */
    uint32_t unusable_checkpoints;           /* that are there and failed to be read */
    char unread[HOST_BYTES + WARNING_BYTES]; /* host and text of the first in this pass; "": none */
    int unread_code;                         /* its error */
    int64_t tried_step;                      /* no checkpoint from this step on is tried again */
    int64_t bad_step;         /* of one that a worker could not read; why is to come; or -1 */
    int64_t restored_step;    /* of the checkpoint that not all are known to have read; or -1 */
    struct run_status before; /* the last of the incarnation before; "" for its task: none */
    bool restarts;            /* the stop that was asked for is one before a start */
    bool unsaved;             /* the final state could not be written: the task must not complete */
    bool give_up;             /* the next opening is an end */
    int end_code;
    char end_text[REPORT_TEXT_BYTES];
    struct controller_action opened; /* the newest ACTION_OPEN_EPOCH */
    struct seat *given;              /* by the newest pass, agreed to or not; given_count of them */
    int given_count;
    uint32_t spawn_wanted;   /* ordered, and not begun: the epoch's line in the log comes first */
    uint32_t spawn_refusals; /* by MPI, in a row */
    bool lacks_slots;        /* for the newest that was ordered, and that was said */
    int64_t spawn_after_ns;  /* or so late */
    uint32_t newcomer_count; /* spawned, and the core does not know yet how many came */
    int64_t newcomer_deadline_ns;
    bool hosts_changed;                 /* they are not those that the launcher named any more */
    struct run_told told;               /* by controllers before */
    char cause[CAUSE_BYTES];            /* of the change under way */
    bool members_unwritten;             /* members.json is of an older epoch */
    bool epoch_told;                    /* the event of the newest epoch is in the log */
    char worker_warning[WARNING_BYTES]; /* the newest from a worker; each host has several */
    int64_t start_ns, status_ns, request_ns, rate_ns, rate_step;
    int64_t change_ns;              /* a planned change begins by then; 0: none is asked for */
    int64_t copy_step;              /* that workers were told to copy before it; -1: none */
    uint32_t copy_count;            /* of them have answered */
    uint32_t copy_tries;            /* for the change that is asked for */
    bool leads;                     /* the service was told that this member leads */
    int64_t served_step, told_step; /* that the service counted, and that the core was told */
    int64_t tell_ns;                /* the workers are told next */
    int64_t busy_ns;                /* control_stay_awake() */
};

/* Opens the run directory and the core; member 0, before the first epoch. */
int control_create(struct onward *ow);
/* A worker becomes the controller: the core's state is that of the last opening. */
int control_take_over(struct onward *ow);
void control_destroy(struct onward *ow);

/* One message of a member; bytes are aligned as a struct message is. */
void control_take(struct onward *ow, const void *bytes, size_t size);
/* Text of a worker's warning, WARNING_BYTES at most; "", and what the one before said, is none. */
void control_take_warning(struct onward *ow, const char *text);
/* What reports say of the pass before, and of before it. */
void control_take_warnings(struct onward *ow, const struct change_report *reports, int count);
/* Time: requests, deadlines, status. */
void control_tick(struct onward *ow);
/* Something is about to come: so long a dedicated controller looks every millisecond. It drives
 * MPI's progress, and each message of a new connection needs several looks. */
void control_stay_awake(struct onward *ow, int64_t for_ns);

/* In an epoch change: reports of all members by rank of the candidate -> opening and seats. */
void control_decide(struct onward *ow, const struct change_report *reports, int count,
                    struct opening *opening, struct seat *seats);
/* All agreed. before: the seats of the epoch before. */
void control_opened(struct onward *ow, const struct seat *before, uint32_t before_count);

/* spawn.c: count newcomers are to be started; their result comes later, in a change at once. */
void control_order_spawn(struct onward *ow, uint32_t count);
/* Starts those that were ordered, looks how they stand, and tells the core once that is known. */
void control_look_at_newcomers(struct onward *ow);
/* A new controller: one spawn that the one before did not return from is the last of all. */
void control_inherit_spawn(struct onward *ow);
/* Nobody can be spawned: not any more, or not while no slot is free where that is possible. */
bool control_is_barred(const struct onward *ow);
/* How many of the minimum could be spawned on hosts that nobody is drained from, after this one. */
uint32_t control_slots_after_drain(const struct onward *ow, const struct controller_event *request);
/* The core's number of a host: the same on any member that takes over. */
uint32_t control_host_number(const char *host);

/* control_names.c */
/* NAME=OWN,... of the hosts that the list calls otherwise than they do. */
const char *control_names(void);
/* Is the host that its members call `host` meant by the name, of the list of hosts or a person's?
 */
bool control_is_host(const char *host, const char *name);
/* What members call the host of that name in the list, into own of PLACE_NAME_BYTES at need. Where
 * the list has no other, or it is localhost and nothing more is known of it, it is the controller's
 * own, whatever that calls itself. */
const char *control_listed_host(const struct onward *ow, const char *name, char *own);
/* Was mpirun started without that host, since it is drained? Then *slots is how many members more
 * there would be with it. */
bool control_is_drained(const char *name, uint32_t *slots);
/* Their names. */
json_t *control_drained_hosts(void);
/* {NAME: OWN} of the hosts that the list calls otherwise than they do. */
json_t *control_host_names(void);
/* What the members of a host that a person names call it; NULL: none of them is there. */
const char *control_seat_host(const struct onward *ow, const char *name);

/* control_request.c */
/* Workers and spares. */
int64_t control_present_count(const struct onward *ow);
/* The oldest request, if there is one, with its answer in the event log. */
void control_take_request(struct onward *ow);

/* control_change.c */
bool control_has_shards(const struct control *control); /* the task has sharded state */
/* Makes a change begin between two steps; at once when that takes too long. */
void control_plan_change(struct onward *ow);
void control_take_copied(struct onward *ow, const struct message *message);
void control_change_overdue(struct onward *ow);

/* control_hosts.c */
/* So many workers there is room for with such changes of hosts, as far as that is known. */
uint32_t control_slot_count(const struct onward *ow, const char *changes);
/* Whether a request for other hosts can be met; else the reason. A count of 0 becomes what the
 * slots that are added lead to; *grows: somebody may be spawned. */
bool control_judge_hosts(const struct onward *ow, struct run_request *request, bool *grows,
                         char *reason, size_t reason_bytes);
/* NAME:SLOTS,... that were judged: the table of hosts changes where it has them already. */
void control_take_hosts(struct onward *ow, const char *changes);
/* The hosts as bytes for the opening, which are the caller's to free; NULL with a size of 0 while
 * they are those that the launcher named. */
void *control_save_hosts(const struct onward *ow, size_t *size);
/* A new controller takes over what the last opening carried. */
int control_load_hosts(struct onward *ow);

/* traces.c */
void traces_open(struct onward *ow);
void traces_of_dead(const struct onward *ow, struct change_report *report);
/* Where a lost member was; false: it is not known. */
bool traces_find(const struct onward *ow, const struct change_report *reports, int count,
                 const struct seat *lost, struct trace_point *point);

/* service.c: nothing where the task has no service. */
/* In a change, before the decision: what counts is what the service says, whoever reports. */
void control_lead_service(struct onward *ow, struct change_report *reports, int count);
void control_tell_service(struct onward *ow); /* an epoch opened */
void control_serve(struct onward *ow);

/* control_members.c */
/* What the core decided, for all; member IDs and hosts are there already. */
void control_fill_seats(const struct onward *ow, const struct change_report *reports, int count,
                        struct seat *seats);
void control_write_members(struct onward *ow); /* members.json */
/* NULL: the member has none of them. */
const struct seat *control_find_seat(const struct seat *seats, uint32_t count, uint32_t member);
/* An epoch opened: events of those who joined or were drained, and members.json. */
void control_tell_members(struct onward *ow, const struct seat *before, uint32_t before_count);

/* control_saved.c */
/* Tells the core the newest checkpoint that can be used, and marks those that cannot. */
void control_find_checkpoint(struct onward *ow);
/* A worker could not read the checkpoint of this step: it is marked, and not used again. */
void control_checkpoint_bad(struct onward *ow, int64_t step);
/* The program's layouts cannot do so many workers: ow->error says why. */
void control_refuse_size(struct onward *ow, uint32_t size);
/* How much a worker takes in at most in this opening, whose other fields are filled. */
uint64_t control_state_bytes(const struct change_report *reports, int count,
                             const struct opening *opening);
/* The state is read from a checkpoint now: counts that, for who dies of it. */
void control_count_restore(struct onward *ow, const struct opening *opening);
/* This worker of the epoch reports; once all have, none died of what it read. */
void control_end_restore(struct onward *ow, uint32_t member);
/* To the event log, where that will take long. */
void control_tell_restore(struct onward *ow, const struct opening *opening);
/* Whether the newest step is in a committed checkpoint: then local copies are of no more use. */
bool control_newest_is_saved(const struct onward *ow);
/* Whether the initial values are not to be taken: there are checkpoints, none of them whole, or
 * local copies that could not be read. */
bool control_must_not_start_over(const struct onward *ow);
/* After a decision: gives up where they would be. */
void control_refuse_to_start_over(struct onward *ow);

/* control_interval.c */
/* What the incarnation before had measured, and when the job is over, for the core's start. */
void control_fill_start(const struct onward *ow, struct controller_event *start);
/* How often checkpoints are taken, and why. */
void control_fill_interval(const struct onward *ow, struct run_status *status);

/* control_held.c: which local copies may be used. An incarnation, or 0: none may. */
int64_t control_held_incarnation(const struct onward *ow, const struct change_report *reports,
                                 int count);
/* At the end: marks the seats of those who leave their state on their hosts; opening->state_bytes
 * is its size then. */
void control_choose_leavers(struct onward *ow, const struct change_report *reports, int count,
                            struct opening *opening, struct seat *seats);
const char *control_source_name(uint8_t source); /* enum state_source, for the event log */

/* epoch.c */
/* All agreed to this opening, and nothing of it counts yet: its story, and the stall before it. */
void epoch_remember(struct onward *ow, const struct opening *opening, const struct seat *seats);
/* The epoch's line in the log, where it is not there yet: a worker told the stall; or a change
 * follows, and all who knew it died before they told it, or the controller. */
void control_report_epoch(struct onward *ow, double stall_s);
void control_tell_epoch(struct onward *ow);

/* control_copies.c: the lists of all members, one behind the other, before control_decide. */
int control_take_copies(struct onward *ow, const struct change_report *reports, int count,
                        const struct copy_id *lists, uint32_t list_count);
/* Which state can be put together from them. */
void control_choose_copies(struct onward *ow);
/* Whether the member at that rank of the candidate speaks for the whole set. */
bool control_copies_held(const struct onward *ow, int rank, int64_t *step);
/* Which host gave which shards, its own or those of another, for the event log. */
json_t *control_tell_copies(const struct onward *ow);
/* By shard, ranks of the candidate; the caller's to free. NULL: memory is short. */
int32_t *control_copy_holders(const struct onward *ow);

/* control_commit.c */
/* Room for the shards of an epoch of so many workers; those of the one before are forgotten. */
void control_make_shards(struct onward *ow, uint32_t size);
void control_free_shards(struct control *control);
/* What a worker's report says of what is on its way; and what it comes to in all, added to
 * the status. */
void control_take_flights(struct onward *ow, const struct message *message);
void control_fill_flights(const struct onward *ow, struct run_status *status);
/* What a worker says of a checkpoint is an answer to the newest order, and not to one before of the
 * same step, which another worker's failure ended. */
bool control_is_of_attempt(const struct onward *ow, const struct message *message);
/* A worker's shard is written; what it holds of sharded arrays is behind the message. */
void control_take_shard(struct onward *ow, const struct message *message, size_t size);
/* The hyperslabs behind the message; false: they are none of the shard that is waited for. */
bool control_take_slabs(struct onward *ow, const struct message *message, size_t size);
/* Removes what attempts before left, and tells the workers; the last checkpoint waits until nothing
 * is under way any more. */
void control_order_checkpoint(struct onward *ow, int64_t step);
/* All shards of the step are there: begins to write the master; and looks whether it is there. */
void control_commit(struct onward *ow, int64_t step);
void control_look_at_commit(struct onward *ow);
/* In a change, where no tick does that: tells the core of a checkpoint that was committed since.
 * What it replaces is being removed from then on. Does not wait. */
void control_settle_commit(struct onward *ow);
/* The checkpoint of this step failed, with this code. Where that is for want of room, those go that
 * are older than what is to be kept: a kill between a commit and the removal of old ones left one
 * too many, and on a disk that is full then no other commit would ever remove it. Once an attempt,
 * in which all workers may meet the full disk. */
void control_make_room(struct onward *ow, int code, int64_t step);
void control_release_commit(struct control *control); /* waits for it */

/* control_act.c */
void control_feed(struct onward *ow, struct controller_event event);
/* To every worker, or to every member. */
void control_order(struct onward *ow, struct message message, bool workers_only);
void control_warn(struct onward *ow, const char *format, ...) __attribute__((format(printf, 2, 3)));
void control_event(struct onward *ow, const char *event, json_t *extra);
/* The same, where the core does not know the newest step yet. */
void control_event_at(struct onward *ow, const char *event, int64_t step, json_t *extra);
/* True when another incarnation has taken over: then this side ends, and has written its last. */
bool control_is_fenced(struct onward *ow);
void control_write_status(struct onward *ow, const char *state);
/* The task ends with this code before its last step. */
void control_end(struct onward *ow, int code, const char *text);
/* The last status: what it came to, with the launcher's exit code. */
void control_write_end(struct onward *ow, int code, const char *text);

#endif
