/* listen.h - the launcher's ear: a UDP socket on all addresses, on which the members' heartbeats
 * arrive. What bears another token, or is no heartbeat, is passed over. */
#ifndef LAUNCH_LISTEN_H
#define LAUNCH_LISTEN_H

#include "beat.h"
#include "error.h"

struct listener {
    int fd; /* -1: closed */
    uint64_t token;
};

/* Opens the socket and hands its addresses and token down to the members in ONWARD_BEAT. */
int listen_open(struct listener *listener, struct error *error);

/* One beat that has arrived; false: none, or too many at once, and the rest comes the next time. */
bool listen_take(struct listener *listener, int *budget, struct beat *beat);

void listen_close(struct listener *listener);

#endif
