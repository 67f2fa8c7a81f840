/* partner.h - the partner level: a copy of this worker's shard in the node-local directory of
 * another host, sent while training goes on.
 *
 * Each member listens on a TCP port; the address and a random token are in its seat. A thread takes
 * in what others send, one copy at a time, under its name once its checksums fit; another thread
 * sends this worker's copy, one at a time, out of the file of the local level: no memory but a
 * window. Both run at a lower priority. The token keeps out whoever is not of this task, and finds
 * the right process where several hosts have the same address on some inner network. Neither thread
 * calls MPI or HDF5. */
#ifndef RUNTIME_PARTNER_H
#define RUNTIME_PARTNER_H

#include <stdbool.h>
#include <stdint.h>

#include "copy.h"
#include "error.h"

enum { PARTNER_MAX_ADDRESSES = 4 };

/* Where a member takes copies; count 0: it takes none. */
struct partner_address {
    uint64_t token;
    uint32_t hosts[PARTNER_MAX_ADDRESSES]; /* IPv4, in network order */
    uint16_t port, count;
};

struct partner;

/* Begins to listen. place's strings are copied. incarnation: copies of no other one are taken. */
int partner_start(const struct copy_place *place, int64_t incarnation, struct partner **partner,
                  struct error *error);
/* No copy gets its name here any more, and none is sent. Does not wait for the threads. For this
 * and the next two NULL is allowed. */
void partner_end(struct partner *partner);
/* The same, and waits for the threads for a few seconds: those that a disk or a long check holds up
 * then end with the process. */
void partner_stop(struct partner *partner);
/* An opening named this epoch, which the others may be in from now on. */
void partner_see_epoch(struct partner *partner, int64_t epoch);
void partner_own_address(const struct partner *partner, struct partner_address *address);

/* Others that may send there at the same time, and come before this one. */
struct partner_turn {
    uint32_t count;
    uint64_t bytes; /* of the largest */
};

enum partner_state { PARTNER_IDLE, PARTNER_SENDS, PARTNER_FAILED };

/* Sends a copy; the one that is under way is given up. drop_below: of that step all copies of the
 * epoch have arrived, so that the receiver removes older ones of the same shard, and any of epochs
 * before; -1: of none. */
void partner_send(struct partner *partner, const struct partner_address *to,
                  const struct copy_id *id, int64_t drop_below, struct partner_turn turn);
/* IDLE: the newest has arrived, or none was sent. text (256 bytes): why one failed. */
enum partner_state partner_look(struct partner *partner, char *text);
void partner_cancel(struct partner *partner);

#endif
