/* gemm.c - the floor of the trainer mlp: the sgemm calls of one step of 784-256-128-10, and nothing
 * else, on one core.
 *
 *     bench-gemm BATCH SUBTASKS STEPS     prints "gemm SECONDS", the median of a step */
#include <cblas.h>
#include <stdio.h>

#include "bench.h"

enum { LAYERS = 3, ALIGNMENT_BYTES = 64, MAX_STEPS = 10000 };

void openblas_set_num_threads(int count);

static const int widths[LAYERS + 1] = {784, 256, 128, 10};
static float *activations[LAYERS + 1], *deltas[LAYERS + 1], *weights[LAYERS], *gradients[LAYERS];

static float *allocate(size_t count)
{
    size_t bytes =
        (count * sizeof(float) + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
    float *data = aligned_alloc(ALIGNMENT_BYTES, bytes);
    if (!data)
        exit(1);
    for (size_t i = 0; i < count; i++)
        data[i] = (float)(i % 17) * 0.01f;
    return data;
}

static void do_subtask(int samples)
{
    for (int l = 0; l < LAYERS; l++)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, samples, widths[l + 1], widths[l],
                    1.0f, activations[l], widths[l], weights[l], widths[l + 1], 0.0f,
                    activations[l + 1], widths[l + 1]);
    for (int l = LAYERS - 1; l >= 0; l--) {
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, widths[l], widths[l + 1], samples,
                    1.0f, activations[l], widths[l], deltas[l + 1], widths[l + 1], 0.0f,
                    gradients[l], widths[l + 1]);
        if (l > 0)
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, samples, widths[l], widths[l + 1],
                        1.0f, deltas[l + 1], widths[l + 1], weights[l], widths[l + 1], 0.0f,
                        deltas[l], widths[l]);
    }
}

int main(int argc, char **argv)
{
    static double step_s[MAX_STEPS];
    int batch = argc > 1 ? atoi(argv[1]) : 512, subtasks = argc > 2 ? atoi(argv[2]) : 16;
    int steps = argc > 3 ? atoi(argv[3]) : 100;
    if (subtasks < 1 || batch < subtasks || steps < 1 || steps > MAX_STEPS)
        return 2;
    int samples = batch / subtasks;
    openblas_set_num_threads(1);
    for (int l = 0; l <= LAYERS; l++) {
        activations[l] = allocate((size_t)samples * (size_t)widths[l]);
        deltas[l] = allocate((size_t)samples * (size_t)widths[l]);
    }
    for (int l = 0; l < LAYERS; l++) {
        weights[l] = allocate((size_t)widths[l] * (size_t)widths[l + 1]);
        gradients[l] = allocate((size_t)widths[l] * (size_t)widths[l + 1]);
    }
    for (int i = 0; i < steps; i++) {
        double begin_s = bench_now_s();
        for (int k = 0; k < subtasks; k++)
            do_subtask(samples);
        step_s[i] = bench_now_s() - begin_s;
    }
    printf("gemm %.9f\n", bench_median(step_s, steps));
    return 0;
}
