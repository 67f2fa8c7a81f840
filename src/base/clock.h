/* clock.h - what time it is, and a sleep. Thread-safe. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Seconds since 1970: the time that hosts share, as far as their clocks agree. */
double clock_since_1970_s(void);

/* Monotonic nanoseconds, and a bounded sleep. */
int64_t clock_ns(void);
void sleep_ns(int64_t ns);

#endif
