/* clock.h - the time that hosts share, as far as their clocks agree. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/* Seconds since 1970. Thread-safe. */
double clock_since_1970_s(void);

#endif
