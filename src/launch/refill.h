/* refill.h - how long a lineup that lacks members waits for the planned start that fills it up. The
 * first wait is 10 s where a quarter of the members or more is missing, and longer the fewer are,
 * since a start costs the work of all. Each such start doubles the next wait, up to 640 s; an
 * incarnation that ran for ten waits lets it begin anew. */
#ifndef LAUNCH_REFILL_H
#define LAUNCH_REFILL_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: as many members as fit are there. */
struct refill {
    double since_s;     /* when members were first seen to be missing; 0: they are not */
    bool is_asked;      /* an operator asked for as many, and waits */
    uint32_t doublings; /* of the next wait */
};

/* The wait where a quarter or more is missing. ran_s: for so long the incarnation has run. */
double refill_wait_s(struct refill *refill, double ran_s);
/* Where so many of those that were asked for are missing, of such a wait. */
double refill_wait_for_s(double wait_s, uint32_t missing, uint32_t asked);
/* A start is made. fills: it was planned, and fills the lineup up. What an operator asked for does
 * not count. */
void refill_begin(struct refill *refill, bool fills);

#endif
