/* bench.h - clock and order statistics for the bench programs. */
#ifndef BENCH_H
#define BENCH_H

#include <stdlib.h>
#include <time.h>

static inline double bench_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median; sorts values. */
static inline double bench_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, bench_compare);
    return values[count / 2];
}

/* The mean, where a value above cap counts as cap. */
static inline double bench_capped_mean(const double *values, int count, double cap)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += values[i] < cap ? values[i] : cap;
    return sum / count;
}

#endif
