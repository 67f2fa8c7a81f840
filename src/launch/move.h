/* move.h - a planned start. mpirun cannot let go of a host while it runs, and a spawn onto one that
 * it does not have cannot be relied on (runtime/spawn.c); so where hosts come or go, the task stops
 * with a checkpoint, in order, and mpirun is started again on the hosts that are wanted then. The
 * state comes from the copies that stayed on the hosts, where it is replicated and outlives the
 * processes; else from that checkpoint. It costs no completed step. The same makes up for workers
 * that cannot be spawned, and brings in hosts that were lost and are back. */
#ifndef LAUNCH_MOVE_H
#define LAUNCH_MOVE_H

#include <stdbool.h>
#include <stdint.h>

struct supervisor;

enum { MOVE_CAUSE_BYTES = 256 };

/* Zeroed: none is on its way. */
struct move {
    double due_s;     /* when to ask the task to stop; 0: not yet */
    double asked_s;   /* when it was asked */
    bool is_taken;    /* and has begun to stop */
    char request[64]; /* the name of the request; "": it was not asked */
    char cause[MOVE_CAUSE_BYTES];
};

/* How many of the members that were asked for are not there. */
uint32_t move_missing_members(const struct supervisor *s);

/* Looks whether a move is wanted, and asks the task to stop for it. True when the task has begun to
 * stop and does not come to its end: then mpirun is to be started again all the same. */
bool move_look(struct supervisor *s);

/* Did the task stop for the move, and for nothing else? */
bool move_is_made(const struct supervisor *s);

/* Between the two starts the status of the task tells that it goes on, not that it stopped: with
 * is_on until the next start, else what the controller said stands again. */
void move_tell(struct supervisor *s, bool is_on);

/* Does a request to stop still wait that was made for the move? It is not for the next start. True
 * when it did. */
bool move_withdraw(struct supervisor *s);

/* A start, planned or not, is about to be made. */
void move_begin(struct supervisor *s);

/* After the start: hosts that the task has left are let go, and who joined is told. */
void move_settle(struct supervisor *s);

#endif
