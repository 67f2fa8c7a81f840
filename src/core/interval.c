/* interval.c - how often to take a checkpoint, from what it costs and how often things fail.
 *
 * Integers throughout, in milliseconds under the root, so that every machine decides the same. */
#include "interval.h"

static const int64_t second_us = 1000000;
static const int64_t day_us = 86400 * (int64_t)1000000;
static const int64_t max_cost_us = 86400 * (int64_t)1000000;
static const int64_t max_observed_us = (int64_t)1 << 53;
static const int64_t max_failures = (int64_t)1 << 32;
static const int64_t max_mtbf_ms = 1000000000000; /* 31 years: the product below fits 63 bits */

static int64_t at_most(int64_t value, int64_t limit)
{
    return value < limit ? value : limit;
}

void interval_remember(struct interval *interval, int64_t cost_us, int64_t observed_us,
                       int64_t failures)
{
    interval->cost_us = at_most(cost_us, max_cost_us);
    interval->observed_us = at_most(observed_us, max_observed_us);
    interval->failures = at_most(failures, max_failures);
}

void interval_observe_cost(struct interval *interval, int64_t cost_us)
{
    cost_us = cost_us < 1 ? 1 : at_most(cost_us, max_cost_us);
    interval->cost_us = interval->cost_us == 0 ? cost_us : (3 * interval->cost_us + cost_us) / 4;
}

void interval_observe_time(struct interval *interval, int64_t elapsed_us)
{
    interval->observed_us = at_most(interval->observed_us + elapsed_us, max_observed_us);
}

void interval_observe_failure(struct interval *interval)
{
    interval->failures = at_most(interval->failures + 1, max_failures);
}

int64_t interval_mtbf_us(const struct interval *interval)
{
    return (8 * interval->observed_us + day_us) / (8 * interval->failures + 1);
}

/* Largest r with r * r <= value. */
static int64_t square_root(int64_t value)
{
    int64_t low = 0, high = (int64_t)3037000499; /* the root of the largest int64_t */
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        if (middle * middle <= value)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

int64_t interval_us(const struct interval *interval, int64_t min_us, int64_t max_us)
{
    int64_t cost_ms = (interval->cost_us == 0 ? second_us : interval->cost_us) / 1000;
    int64_t mtbf_ms = at_most(interval_mtbf_us(interval) / 1000, max_mtbf_ms);
    int64_t cost_limit_ms = INT64_MAX / 2 / (mtbf_ms > 0 ? mtbf_ms : 1);
    int64_t optimum_us = 1000 * square_root(2 * at_most(cost_ms, cost_limit_ms) * mtbf_ms);
    if (max_us == 0)
        max_us = 3600 * second_us > min_us ? 3600 * second_us : min_us;
    optimum_us = at_most(optimum_us, max_us);
    return optimum_us > min_us ? optimum_us : min_us;
}
