/* world.h - the fake world around the decision core: processes, network, clock and store.
 *
 * A schedule is one life of a task under a seed. world.c sets it up and carries out the core's
 * actions, rounds.c lets workers work and things go wrong, passes.c walks epoch changes as the
 * members of a real job would, and judge.c holds what the core decides against a model of its own
 * that knows only what really happened. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "controller.h"

/* The bytes of an opening, shared by those who received it. */
struct blob {
    unsigned char *bytes;
    size_t size;
    uint32_t holders;
    bool is_barred; /* as the core was that it holds */
};

struct process {
    uint32_t id; /* member ID; 0: not known to anybody yet */
    uint32_t host;
    bool alive, dedicated, slow;
    bool agreed;        /* the newest opening it saw was agreed to */
    int32_t rank;       /* in the newest agreed epoch */
    int32_t given_rank; /* in the newest opening, agreed to or not */
    int64_t epoch;      /* newest opening it saw */
    int64_t step;       /* its memory is the state after so many steps; -1: it has none */
    bool clean;
    int64_t order; /* checkpoint to write after this step; -1: none */
    uint32_t order_wait;
    int64_t shard_step, shard_epoch; /* newest shard it wrote */
    bool finishing;
    uint32_t held_count;
    struct held_copy held[CONTROLLER_MAX_HELD];
    struct blob *blob;
};

struct message {
    struct controller_event event;
    bool local; /* of the controller itself: a commit's result */
    bool slow;
};

struct stored {
    int64_t step;
    bool torn; /* reads as damaged */
};

enum { STORE_CAPACITY = 256, TEXT_BYTES = 256 };

struct world {
    uint64_t seed, random;
    bool verbose;
    struct controller_policy policy;
    struct controller *core;
    uint32_t controller; /* index of its process */
    struct process *processes;
    uint32_t process_count, process_capacity;
    uint32_t *lineup; /* indices by rank, of the newest agreed epoch */
    uint32_t lineup_size;
    int64_t epoch, newest_epoch; /* agreed; given out by anybody */
    int64_t now_us, clock_offset_us;
    struct message *messages;
    uint32_t message_first, message_count, message_capacity; /* a ring */
    struct stored store[STORE_CAPACITY];
    uint32_t store_count;
    /* faults that are still to come, and how likely things are */
    uint32_t faults_left;
    bool disk_fails, spawn_fails, tears, loses_messages, unclean;
    /* what really happened, for the judge */
    int64_t best_step;        /* newest that any report said */
    int64_t known_step;       /* newest that a worker of the epoch, or who came to it, said */
    int64_t resumed_step;     /* of the newest opening */
    int64_t progress_step;    /* best_step at the opening before */
    uint32_t changes_stalled; /* changes since best_step grew */
    uint32_t takeovers, commit_failures, events, accepted_stops;
    uint32_t max_workers; /* the operator's newest wish */
    bool change_due, ended, finish_seen;
    struct controller_action opened; /* newest ACTION_OPEN_EPOCH that was not looked at */
    int64_t lost_noted;              /* newest NOTE_STEPS_LOST */
    uint32_t refused_size;           /* in this change, by the program; 0: none was */
    uint32_t spawn_asked;
    bool is_barred;               /* the core was told to spawn nobody */
    struct controller_action end; /* ACTION_COMPLETE or ACTION_GIVE_UP */
    char failure[TEXT_BYTES];     /* empty: none */
};

/* Deterministic randomness: below(n) is in 0..n-1, chance(percent). */
uint64_t world_random(struct world *world);
uint32_t world_below(struct world *world, uint32_t n);
bool world_chance(struct world *world, uint32_t percent);

/* A schedule of at most max_members members; above 256 of exactly that many. NULL: no memory. */
struct world *world_create(uint64_t seed, uint32_t max_members, bool verbose);
void world_destroy(struct world *world);
uint32_t world_add_process(struct world *world, uint32_t host); /* returns its index */

/* Feeds the core and carries out what it says. Time is filled in. Returns controller_step's. */
int world_feed(struct world *world, struct controller_event event);
void world_send(struct world *world, uint32_t process, struct controller_event event);
void world_deliver(struct world *world, uint32_t limit);
/* The results of the controller's own work: no decision is taken while one is on its way. */
void world_deliver_local(struct world *world);
void world_push_local(struct world *world, struct controller_event event);
void world_forget_messages(struct world *world);
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_say(const struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void world_crash(struct world *world, uint32_t process);
void world_bar_spawns(struct world *world);                  /* nobody can be spawned from now on */
uint32_t world_find(const struct world *world, uint32_t id); /* UINT32_MAX: nobody alive */
void world_blob_drop(struct process *process);

/* rounds.c: a while of work between two changes. */
void rounds_run(struct world *world);
void rounds_take_orders(struct world *world, struct process *process);

/* passes.c: an epoch change, pass by pass, until all agree or the task ends. */
void passes_run(struct world *world);
/* Spawns outside of a change, and tells the core how many came. */
void passes_spawn(struct world *world, uint32_t count);

/* judge.c: world_fail() when the core was wrong. */
void judge_open(struct world *world, const struct controller_action *action);
void judge_commit(struct world *world, int64_t step);
void judge_finish(struct world *world);
void judge_end(struct world *world, const struct controller_action *action);

#endif
