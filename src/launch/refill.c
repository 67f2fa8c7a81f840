/* refill.c - see refill.h. */
#include "refill.h"

static const double first_s = 10;
enum { MAX_DOUBLINGS = 6, CALM_WAITS = 10, WORTH_IT = 4 };

double refill_wait_s(struct refill *refill, double ran_s)
{
    double wait_s = first_s * (1 << refill->doublings);
    if (ran_s > CALM_WAITS * wait_s)
        refill->doublings = 0;
    return wait_s;
}

double refill_wait_for_s(double wait_s, uint32_t missing, uint32_t asked)
{
    bool is_small = (uint64_t)missing * WORTH_IT < asked;
    return is_small ? wait_s * (double)asked / ((double)missing * WORTH_IT) : wait_s;
}

void refill_begin(struct refill *refill, bool fills)
{
    if (fills && !refill->is_asked && refill->doublings < MAX_DOUBLINGS)
        refill->doublings++;
    refill->since_s = 0;
    refill->is_asked = false;
}
