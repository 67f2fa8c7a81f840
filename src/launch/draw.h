/* draw.h - the draws of a drill: the same seed gives the same sequence, whatever happens meanwhile.
 *
 * Each fault takes the same number of draws, needed or not, so that what one fault came to does not
 * move the draws of the next. */
#ifndef LAUNCH_DRAW_H
#define LAUNCH_DRAW_H

#include <stdint.h>

struct draw {
    uint64_t state;
};

/* One fault: numbers from 0 to below 1, and two times with the mean 1. */
struct draw_fault {
    double gap;        /* until it happens */
    double kind;       /* which of the kinds */
    double victim;     /* which of those that may be hit */
    double until_back; /* until what was taken down is brought back */
};

void draw_start(struct draw *draw, uint64_t seed);
struct draw_fault draw_next(struct draw *draw);
/* Which of count (at least 1) a number from 0 to below 1 names. */
uint32_t draw_index(double number, uint32_t count);

#endif
