/* controller_state.h - the state of the controller, shared by the files that make it up.
 *
 * controller.c takes events in, controller_change.c forms lineups, controller_checkpoint.c plans
 * checkpoints, controller_end.c ends the task, controller_check.c walks the invariants and
 * controller_save.c turns it all into bytes and back. Flags are uint8_t with 0 or 1, so that bytes
 * from outside can be looked at before they are trusted. */
#ifndef CORE_CONTROLLER_STATE_H
#define CORE_CONTROLLER_STATE_H

#include "controller.h"
#include "interval.h"
#include "policy.h"
#include "restore.h"
#include "roster.h"

enum {
    FAILURE_LIMIT = 3, /* checkpoint failures in a row after which nobody waits for one */
    MISS_LIMIT = 16,   /* the same for those that came too late at some worker */
    MAX_MISS_FACTOR = 1 << 16
};

/* Something came up while an epoch was opening: another change follows. */
enum reform_wanted { REFORM_NO, REFORM_PLANNED, REFORM_UNPLANNED };

/* The one checkpoint that may be under way. */
struct checkpoint_flight {
    uint8_t active;
    uint8_t committing;   /* ACTION_COMMIT_CHECKPOINT was given */
    uint8_t ahead;        /* ordered well ahead by steps: gives way to one that is due at once */
    uint32_t shard_count; /* how many arrived */
    int64_t step, ordered_us, deadline_us;
    int64_t cost_us;  /* of the slowest shard */
    int64_t begun_us; /* when the first shard that arrived was begun; 0: none arrived */
};

struct checkpoint_planner {
    struct checkpoint_flight flight;
    struct restore_checkpoints committed;
    struct interval interval;
    uint8_t requested;
    int64_t requested_step;    /* a checkpoint of this step or a later one answers the request */
    int64_t last_us;           /* when the newest that was committed was ordered */
    int64_t not_before_us;     /* back-off after failures */
    uint32_t failures, misses; /* in a row */
    uint32_t final_failures;   /* of the one at step_count */
    uint32_t miss_factor;      /* margin grows by it */
    int64_t front_step;        /* newest complete step of this epoch */
    int64_t front_us;          /* when it was reported */
    int64_t step_us;           /* moving average of a step's time; 0: unknown */
    int64_t duration_us;       /* the same from a first write to the commit; 0: unknown */
};

/* Everything but the members and the lineup. */
struct controller_plain {
    struct controller_policy policy;
    int64_t now_us;
    int64_t epoch_given;  /* newest that was given out */
    int64_t epoch_opened; /* newest that all agreed to */
    int64_t resume_step;  /* of epoch_given */
    int64_t best_step;    /* newest ever reported complete; -1: none */
    int64_t known_step; /* newest of this epoch, or before the first one of the incarnation before:
                           what was lost by going back is counted once */
    int64_t progress_step; /* best_step when the newest epoch was given out */
    int64_t change_step;   /* progress_step when this change began */
    int64_t stop_step;     /* the checkpoint before a stop is of this step or a later one */
    int64_t end_us;        /* when the time of the job is over; 0: never */
    uint32_t stalled;      /* unplanned changes in a row without a new complete step */
    uint32_t passes;       /* in this change */
    uint32_t desired;      /* workers that were reached or asked for */
    uint32_t max_workers;  /* from now on */
    uint32_t size_limit;   /* of this change: those of more were refused; 0: none was */
    uint32_t spawn_asked;  /* count of the ACTION_SPAWN that has no result yet */
    uint32_t spawn_goal;   /* how many can be used if those who came get as far as a lineup */
    uint32_t at_end_count; /* workers that completed step_count */
    uint32_t final_done_count;
    struct policy_budget budget;
    struct checkpoint_planner checkpoint;
    uint8_t started, ended;
    uint8_t in_change;     /* from the first sign of a change until OPENED */
    uint8_t opening;       /* an epoch was given out and not agreed to yet */
    uint8_t planned;       /* nothing was lost in this change */
    uint8_t stall_counted; /* this change is in `stalled` already */
    uint8_t reform_wanted; /* enum reform_wanted */
    uint8_t has_worked;    /* an epoch was opened in this start */
    uint8_t scaled;        /* the operator asked for `desired` in this change */
    uint8_t spawn_pending, spawn_tried, spawn_free; /* free: planned growth, not from the budget */
    uint8_t spawn_was_free;                         /* the one that is pending */
    uint8_t spawn_came; /* some came, and whether they get as far as a lineup is not known yet */
    uint8_t spare_noted;
    uint8_t stop_requested;
    uint8_t end_is_near;  /* it was the time of the job that asked for the stop */
    uint8_t finish_given; /* in this epoch */
    uint8_t final_noted;  /* NOTE_NO_FINAL_CHECKPOINT was given */
};

struct controller {
    struct controller_plain plain;
    struct roster roster;
    uint32_t *lineup; /* member IDs by rank, of epoch_given; some may be lost since */
    uint32_t lineup_size;
    bool waits_for_start; /* loaded, and its new controller is not known yet: orders nothing */
};

/* Appends an action of this type, zeroed else, and returns it to be filled in. */
struct controller_action *controller_act(struct controller_actions *actions, uint8_t type);
void controller_note(struct controller_actions *actions, uint8_t note, uint32_t member,
                     int64_t step, uint32_t count);
void controller_give_up(struct controller *state, uint8_t reason,
                        struct controller_actions *actions);

/* controller_change.c */
/* Begins a change and, where an epoch is opening already, has another one follow it. */
void change_want(struct controller *state, bool planned, struct controller_actions *actions);
/* Begins a change, or marks the one under way as unplanned; O(members). */
void change_begin(struct controller *state, bool planned, struct controller_actions *actions);
int change_start(struct controller *state, const struct controller_event *event,
                 struct controller_actions *actions);
int change_registered(struct controller *state, const struct controller_event *event,
                      struct controller_actions *actions);
void change_note_step(struct controller *state, const struct roster_member *member, int64_t step);
int change_lost(struct controller *state, const struct controller_event *event,
                struct controller_actions *actions);
int change_spawn_result(struct controller *state, const struct controller_event *event,
                        struct controller_actions *actions);
int change_opened(struct controller *state, const struct controller_event *event,
                  struct controller_actions *actions);
int change_size_refused(struct controller *state, const struct controller_event *event,
                        struct controller_actions *actions);
/* Outside of a change: gets lost workers replaced, or new ones, when the back-off is over. */
void change_advance_spawn(struct controller *state, struct controller_actions *actions);

/* controller_decide.c */
int change_gathered(struct controller *state, const struct controller_event *event,
                    struct controller_actions *actions);
/* Whether an ACTION_SPAWN may be given, apart from the back-off. */
bool change_may_spawn(const struct controller_plain *plain);
void change_order_spawn(struct controller_plain *plain, uint32_t count,
                        struct controller_actions *actions);

/* controller_request.c */
int request_take(struct controller *state, const struct controller_event *event,
                 struct controller_actions *actions);

/* controller_checkpoint.c */
void checkpoint_epoch_opened(struct controller *state);
void checkpoint_step_complete(struct controller *state, int64_t step);
/* Forgets the one in flight, with an action unless its commit was asked for already. */
void checkpoint_leave(struct controller *state, struct controller_actions *actions);
int checkpoint_shard(struct controller *state, const struct controller_event *event,
                     struct controller_actions *actions);
int checkpoint_committed(struct controller *state, const struct controller_event *event,
                         struct controller_actions *actions);
int checkpoint_failed(struct controller *state, const struct controller_event *event,
                      struct controller_actions *actions);
int checkpoint_bad(struct controller *state, const struct controller_event *event,
                   struct controller_actions *actions);
void checkpoint_order(struct controller *state, int64_t step, bool ahead,
                      struct controller_actions *actions);
/* Orders the next one when it is due, and ends the wait for one that is overdue. */
void checkpoint_advance(struct controller *state, struct controller_actions *actions);
int64_t checkpoint_interval_us(const struct controller_plain *plain);
/* From here on until it is committed, with room to spare. */
int64_t checkpoint_lead_us(const struct checkpoint_planner *planner);

/* controller_check.c */
const char *controller_check_plain(const struct controller_plain *plain);

/* controller_end.c */
int end_final_work(struct controller *state, const struct controller_event *event,
                   struct controller_actions *actions);
bool end_all_at_end(const struct controller *state);
/* A checkpoint, and then the end, resumable. */
void end_ask_stop(struct controller_plain *plain);
/* When the time of the job makes the task stop; 0: never. */
int64_t end_stop_us(const struct controller_plain *plain);
/* Finishes or stops the task when it is time. */
void end_advance(struct controller *state, struct controller_actions *actions);

#endif
