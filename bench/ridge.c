/* ridge.c - the floor of the trainer ridge: the same algorithm in plain OpenBLAS and LAPACK calls
 * on one core, on made-up samples in memory. Random Fourier features, Z'Z and Z'Y by batches, a
 * Cholesky factorization and a solution for each lambda, and the outputs of the rows to score.
 *
 *     bench-ridge WIDTH BATCH LEARN SCORE LAMBDAS     prints "ridge SECONDS" */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

enum { INPUTS = 784, TARGETS = 10, ALIGNMENT_BYTES = 64 };

void openblas_set_num_threads(int count);
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info,
             size_t uplo_size);
void dpotrs_(const char *uplo, const int *n, const int *right, const double *a, const int *lda,
             double *b, const int *ldb, int *info, size_t uplo_size);

static int width, batch, learn_rows, score_rows, lambda_count;
static double *samples, *directions, *z, *targets, *gram, *factor, *moments, *weights, *outputs;

static double *allocate(size_t count)
{
    size_t bytes = (count * sizeof(double) / ALIGNMENT_BYTES + 1) * ALIGNMENT_BYTES;
    double *data = aligned_alloc(ALIGNMENT_BYTES, bytes);
    if (!data)
        exit(1);
    for (size_t i = 0; i < count; i++) /* no two rows alike: the matrix has to be definite */
        data[i] = (double)((i * 2654435761u) % 1000003) / 1000003 - 0.5;
    return data;
}

static void make_features(int rows)
{
    double scale = sqrt(2.0 / width);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, width, INPUTS, 1.0, samples, INPUTS,
                directions, INPUTS, 0.0, z, width);
    for (size_t i = 0; i < (size_t)rows * (size_t)width; i++)
        z[i] = scale * cos(z[i]);
}

static void accumulate(int rows)
{
    make_features(rows);
    cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, width, rows, 1.0, z, width, 1.0, gram,
                width);
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, width, TARGETS, rows, 1.0, z, width,
                targets, TARGETS, 1.0, moments, width);
}

static void solve(int index)
{
    const int right = TARGETS;
    int info = 0;
    size_t order = (size_t)width;
    double *solution = weights + (size_t)index * order * TARGETS;
    memcpy(factor, gram, order * order * sizeof *factor);
    memcpy(solution, moments, order * TARGETS * sizeof *solution);
    for (size_t i = 0; i < order; i++)
        factor[i * order + i] += index + 1;
    dpotrf_("L", &width, factor, &width, &info, 1);
    if (info == 0)
        dpotrs_("L", &width, &right, factor, &width, solution, &width, &info, 1);
    if (info != 0)
        exit(1);
}

static void score(int rows)
{
    make_features(rows);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, TARGETS * lambda_count, width, 1.0,
                z, width, weights, width, 0.0, outputs, TARGETS * lambda_count);
}

static void each_batch(void (*work)(int rows), int rows)
{
    for (int done = 0; done < rows; done += batch)
        work(rows - done < batch ? rows - done : batch);
}

int main(int argc, char **argv)
{
    int *sizes[] = {&width, &batch, &learn_rows, &score_rows, &lambda_count};
    for (int i = 0; i < 5; i++)
        if (argc != 6 || (*sizes[i] = atoi(argv[i + 1])) < 1)
            return 2;
    openblas_set_num_threads(1);
    size_t order = (size_t)width, outputs_each = (size_t)lambda_count * TARGETS;
    samples = allocate((size_t)batch * INPUTS);
    directions = allocate(order * INPUTS);
    z = allocate((size_t)batch * order);
    targets = allocate((size_t)batch * TARGETS);
    gram = allocate(order * order);
    factor = allocate(order * order);
    moments = allocate(order * TARGETS);
    weights = allocate(order * outputs_each);
    outputs = allocate((size_t)batch * outputs_each);
    memset(gram, 0, order * order * sizeof *gram);
    double begin_s = bench_now_s();
    each_batch(accumulate, learn_rows);
    for (int i = 0; i < lambda_count; i++)
        solve(i);
    each_batch(score, score_rows);
    printf("ridge %.9f\n", bench_now_s() - begin_s);
    return 0;
}
