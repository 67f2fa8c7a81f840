/* copy.c - what a local copy costs a training step: a loop whose state is an array of onward_alloc,
 * beside the same loop on memory of the program's own, which it changes in place as one does with
 * an array that is ONWARD_ATOMIC.
 *
 *     mpirun -n W+1 bench-copy STEPS ELEMENTS      prints "copy ALLOC_S OWN_S"
 *
 * A step is that of a small network: PASSES times it goes over the ELEMENTS parameters to
 * accumulate a gradient, as the forward and backward passes over so many samples would; then it
 * adds REDUCED of it up over the workers, and updates parameters and momentum. Steps of the two
 * alternate in the same processes. As in step.c a step on the array of onward_alloc costs the mean
 * time in onward_next and the median of its work, one on the program's own memory the median of its
 * work. */
#include <stdio.h>

#include "bench.h"
#include "onward.h"

enum { REDUCED = 1000, PASSES = 16, WARM_UP_STEPS = 20, MAX_STEPS = 100000 };

struct loop {
    int steps, elements;
    float *own_parameters, *own_momentum, *gradient, *total;
};

static void update(const struct loop *loop, const float *parameters, const float *momentum,
                   float *next_parameters, float *next_momentum)
{
    for (int i = 0; i < loop->elements; i++) {
        next_momentum[i] = 0.9f * momentum[i] + loop->gradient[i] + loop->total[0] * 1e-9f;
        next_parameters[i] = parameters[i] - 0.001f * next_momentum[i];
    }
}

/* Returns the time it takes. next may be the state itself. */
static double do_step(const struct loop *loop, MPI_Comm comm, const float *parameters,
                      const float *momentum, float *next_parameters, float *next_momentum)
{
    double begin_s = bench_now_s();
    for (int i = 0; i < loop->elements; i++)
        loop->gradient[i] = 0;
    for (int pass = 0; pass < PASSES; pass++)
        for (int i = 0; i < loop->elements; i++)
            loop->gradient[i] += (parameters[i] - 0.5f) * (float)(pass + 1) * 1e-4f;
    MPI_Allreduce(loop->gradient, loop->total, REDUCED, MPI_FLOAT, MPI_SUM, comm);
    update(loop, parameters, momentum, next_parameters, next_momentum);
    return bench_now_s() - begin_s;
}

static int work(struct onward *ow, const struct loop *loop)
{
    static double next_s[MAX_STEPS], alloc_s[MAX_STEPS], own_s[MAX_STEPS];
    struct onward_role role;
    uint64_t dims[] = {(uint64_t)loop->elements};
    int parameters, momentum, done = 0;
    if (onward_alloc(ow, "parameters", ONWARD_FLOAT, 1, dims, ONWARD_REPLICATED, &parameters) !=
            ONWARD_OK ||
        onward_alloc(ow, "momentum", ONWARD_FLOAT, 1, dims, ONWARD_REPLICATED, &momentum) !=
            ONWARD_OK)
        return 1;
    double begin_s = bench_now_s();
    for (; onward_next(ow, &role) == ONWARD_STEP; begin_s = bench_now_s()) {
        next_s[done] = bench_now_s() - begin_s;
        alloc_s[done] =
            do_step(loop, role.comm, onward_read(ow, parameters), onward_read(ow, momentum),
                    onward_write(ow, parameters), onward_write(ow, momentum));
        own_s[done] = do_step(loop, role.comm, loop->own_parameters, loop->own_momentum,
                              loop->own_parameters, loop->own_momentum);
        done += role.step >= WARM_UP_STEPS;
    }
    if (role.rank == 0 && done > 0) {
        double work_s = bench_median(alloc_s, done);
        printf("copy %.9f %.9f\n", bench_capped_mean(next_s, done, work_s) + work_s,
               bench_median(own_s, done));
    }
    return 0;
}

static int run(const struct loop *loop)
{
    struct onward_options options;
    struct onward *ow;
    onward_options_init(&options);
    options.subtask_count = 16;
    options.step_count = WARM_UP_STEPS + loop->steps;
    options.checkpoint_auto = false;
    if (onward_open(MPI_COMM_WORLD, &options, &ow) != ONWARD_OK) {
        fprintf(stderr, "bench-copy: %s\n", onward_text(NULL));
        return 1;
    }
    if (onward_is_controller(ow))
        onward_control(ow);
    else if (work(ow, loop) != 0)
        fprintf(stderr, "bench-copy: %s\n", onward_text(ow));
    return onward_exit_code(onward_close(ow));
}

int main(int argc, char **argv)
{
    struct loop loop = {.steps = argc > 1 ? atoi(argv[1]) : 500,
                        .elements = argc > 2 ? atoi(argv[2]) : 235000};
    if (loop.steps < 1 || loop.steps > MAX_STEPS || loop.elements < REDUCED)
        return 2;
    size_t count = (size_t)loop.elements;
    loop.own_parameters = calloc(count, sizeof(float));
    loop.own_momentum = calloc(count, sizeof(float));
    loop.gradient = calloc(count, sizeof(float));
    loop.total = calloc(REDUCED, sizeof(float));
    if (!loop.own_parameters || !loop.own_momentum || !loop.gradient || !loop.total)
        exit(1);
    MPI_Init(&argc, &argv);
    int code = run(&loop);
    MPI_Finalize();
    free(loop.own_parameters);
    free(loop.own_momentum);
    free(loop.gradient);
    free(loop.total);
    return code;
}
