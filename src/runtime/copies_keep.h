/* copies_keep.h - which copies of shards stay, and which go, by what all workers agreed on. */
#ifndef RUNTIME_COPIES_KEEP_H
#define RUNTIME_COPIES_KEEP_H

#include "handle.h"

struct copies_agreement {
    int64_t interval;     /* steps to the next copy */
    bool newest_is_whole; /* all workers have written it */
    bool flight_ended, flight_is_whole;
    bool lacks_room;    /* some worker could not write the newest for want of it */
    int64_t saved_step; /* all know of a committed checkpoint of that step; -1: of none */
    uint64_t bytes;     /* of the largest part */
};

/* Takes note of it, and removes what no set needs any more. */
void copies_settle(struct onward *ow, const struct copies_agreement *agreed);
/* Before a copy is written. */
void copies_make_room(struct onward *ow, const struct copies_agreement *agreed);

#endif
