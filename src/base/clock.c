/* clock.c - see clock.h. */
#include "clock.h"

#include <time.h>

double clock_since_1970_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
