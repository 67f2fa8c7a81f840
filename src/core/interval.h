/* interval.h - how often to take a checkpoint, from what it costs and how often things fail.
 *
 * The first-order optimum sqrt(2 C M), C the cost of a checkpoint and M the mean time between
 * failures (J. W. Young, CACM 17, 1974; J. T. Daly, Future Generation Computer Systems 22, 2006,
 * eq. 37 without the higher orders). C and M are measured; before anything was, a prior stands in:
 * one second, and one failure a day, the latter with the weight of an eighth of a failure. */
#ifndef CORE_INTERVAL_H
#define CORE_INTERVAL_H

#include <stdint.h>

struct interval {
    int64_t cost_us;     /* moving average; 0: none was measured */
    int64_t observed_us; /* time that was watched */
    int64_t failures;    /* in that time */
};

/* What an earlier incarnation measured; cost_us 0: nothing. */
void interval_remember(struct interval *interval, int64_t cost_us, int64_t observed_us,
                       int64_t failures);
void interval_observe_cost(struct interval *interval, int64_t cost_us);
void interval_observe_time(struct interval *interval, int64_t elapsed_us);
void interval_observe_failure(struct interval *interval);

/* Mean time between failures, prior included. */
int64_t interval_mtbf_us(const struct interval *interval);

/* The interval, within [min_us, max_us]; max_us 0 stands for an hour, at least min_us. */
int64_t interval_us(const struct interval *interval, int64_t min_us, int64_t max_us);

#endif
