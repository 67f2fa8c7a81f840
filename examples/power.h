/* power.h - what both versions of the example share: a symmetric matrix in blocks of rows, and the
 * step of the power iteration that follows the product. */
#ifndef EXAMPLES_POWER_H
#define EXAMPLES_POWER_H

#include <math.h>

enum { ORDER = 1024, BLOCKS = 16, BLOCK_ROWS = ORDER / BLOCKS, STEPS = 500 };

/* Adds the rows of one block of A x to y; A(i, j) = 1 / (1 + |i - j|). */
static inline void multiply_block(int block, const double *x, double *y)
{
    for (int i = block * BLOCK_ROWS; i < (block + 1) * BLOCK_ROWS; i++)
        for (int j = 0; j < ORDER; j++)
            y[i] += x[j] / (1 + (i > j ? i - j : j - i));
}

/* x = y / |y|; returns |y|, which tends to the largest eigenvalue. */
static inline double normalise(const double *y, double *x)
{
    double norm = 0;
    for (int i = 0; i < ORDER; i++)
        norm += y[i] * y[i];
    norm = sqrt(norm);
    for (int i = 0; i < ORDER; i++)
        x[i] = y[i] / norm;
    return norm;
}

static inline void start_vector(double *x)
{
    for (int i = 0; i < ORDER; i++)
        x[i] = 1.0 / (i + 1);
}

#endif
