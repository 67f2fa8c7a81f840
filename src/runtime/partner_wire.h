/* partner_wire.h - what the two sides of the partner level say to each other; see partner.h. */
#ifndef RUNTIME_PARTNER_WIRE_H
#define RUNTIME_PARTNER_WIRE_H

#include <pthread.h>
#include <stdatomic.h>

#include "partner.h"

#define PARTNER_MAGIC "onwardP"
#define PARTNER_MAX_BYTES ((uint64_t)1 << 50)

enum { PARTNER_NO = 'n', PARTNER_YES = 'y', PARTNER_LIMIT_S = 60, PARTNER_WINDOW_BYTES = 1 << 18 };

/* A receiver takes one copy at a time, and reads it once more: what the slowest network and disk
 * that are put up with do of both, where all workers of a host send over one link. */
enum { PARTNER_BYTES_PER_S = 128 << 10 };

/* Then the bytes of the file come; one byte answers the head, and one the file. */
struct partner_head {
    char magic[8];
    uint64_t token, bytes;
    struct copy_id id;
    int64_t drop_below;
};

struct partner_order {
    struct partner_address to;
    struct copy_id id;
    int64_t drop_below;
    struct partner_turn turn;
    uint64_t number;
};

struct partner {
    struct copy_place place;
    char *directory, *task; /* of place */
    int64_t incarnation;
    atomic_int_fast64_t newest_epoch; /* that an opening named here */
    struct partner_address address;
    int listen_fd;
    pthread_mutex_t placing; /* held while a copy gets its name */
    atomic_bool ended;
    pthread_t receiver, sender;

    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t changed;
    bool has_order, sends, has_failed;
    struct partner_order order; /* the newest: an older one is given up */
    int fd;                     /* the connection that is under way; -1: none */
    int receive_fd;             /* the same, of the receiver */
    char text[256];
};

/* The threads. */
void *partner_receive(void *partner);
void *partner_deliver(void *partner);

/* partner_receive.c: deals with all that one connection says, whatever that is. */
void partner_serve(struct partner *partner, int fd);

/* Whether a head is of a copy that a member of this task and start may send to this process; of any
 * other one nothing follows. */
bool partner_head_fits(const struct partner *partner, const struct partner_head *head);
/* All of it, or false. */
bool partner_write(int fd, const void *bytes, size_t size);
/* No call waits longer. */
void partner_limit(int fd, int64_t limit_s);
/* So long a copy may take, from the answer to its head on. */
int64_t partner_copy_limit_s(uint64_t bytes);
/* So long one waits for its turn. */
int64_t partner_turn_limit_s(const struct partner_turn *turn);

#endif
