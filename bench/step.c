/* step.c - what a step costs: onward_next with nothing to do, and a training-like loop that
 * onward_next drives beside the same loop without it.
 *
 *     mpirun -n 2   bench-step next                     prints "next SECONDS"
 *     mpirun -n W+1 bench-step loop STEPS ELEMENTS      prints "loop ONWARD_S PLAIN_S"
 *
 * A step of the loop does arithmetic on ELEMENTS floats and one MPI_Allreduce of 1,000 of them.
 * Steps of the two alternate in the same processes, on the same memory; the plain ones use a
 * communicator of their own. A step under onward costs the mean time in onward_next, rare polls and
 * reports included, and the median of the work that follows it; a plain one the median of its work.
 * A call of onward_next that lasts longer than the work counts as long as the work: another process
 * had its turn. So a busy machine disturbs both sides alike, and little. Polls and reports come by
 * the clock, which runs in the plain steps too: they are counted about twice. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "onward.h"

enum { REDUCED = 1000, NEXT_CALLS = 200000, WARM_UP_STEPS = 100, MAX_STEPS = 100000 };

struct loop {
    int steps, elements;
    float *data, *total;
};

/* Returns the time it takes. */
static double do_step(const struct loop *loop, MPI_Comm comm)
{
    double begin_s = bench_now_s();
    for (int i = 0; i < loop->elements; i++)
        loop->data[i] = loop->data[i] * 0.999f + 0.001f;
    MPI_Allreduce(loop->data, loop->total, REDUCED, MPI_FLOAT, MPI_SUM, comm);
    return bench_now_s() - begin_s;
}

static void work(struct onward *ow, const struct loop *loop, MPI_Comm plain)
{
    static double next_s[MAX_STEPS], onward_s[MAX_STEPS], plain_s[MAX_STEPS];
    struct onward_role role;
    uint64_t dims[] = {(uint64_t)loop->elements};
    double begin_s = bench_now_s();
    int done = 0;
    onward_protect(ow, "data", loop->data, ONWARD_FLOAT, 1, dims,
                   ONWARD_REPLICATED | ONWARD_ATOMIC);
    for (; onward_next(ow, &role) == ONWARD_STEP; begin_s = bench_now_s()) {
        next_s[done] = bench_now_s() - begin_s;
        onward_s[done] = do_step(loop, role.comm);
        plain_s[done] = do_step(loop, plain);
        done += role.step >= WARM_UP_STEPS;
    }
    if (role.rank == 0 && done > 0) {
        double work_s = bench_median(onward_s, done);
        printf("loop %.9f %.9f\n", bench_capped_mean(next_s, done, work_s) + work_s,
               bench_median(plain_s, done));
    }
}

/* Steps that do nothing at all, on one worker. */
static void work_empty(struct onward *ow, const struct loop *loop)
{
    struct onward_role role;
    uint64_t dims[] = {1};
    double begin_s = 0, last_s = 0;
    onward_protect(ow, "data", loop->data, ONWARD_FLOAT, 1, dims,
                   ONWARD_REPLICATED | ONWARD_ATOMIC);
    while (onward_next(ow, &role) == ONWARD_STEP) {
        if (role.step == 0)
            begin_s = bench_now_s();
        if (role.step == NEXT_CALLS - 1)
            last_s = bench_now_s();
    }
    if (role.rank == 0)
        printf("next %.9f\n", (last_s - begin_s) / (NEXT_CALLS - 1));
}

/* The workers' communicator without onward; rank 0 is the controller. */
static MPI_Comm split_workers(void)
{
    MPI_Comm workers;
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_split(MPI_COMM_WORLD, rank == 0 ? MPI_UNDEFINED : 0, rank, &workers);
    return workers;
}

static int run(bool empty, const struct loop *loop)
{
    struct onward_options options;
    struct onward *ow;
    MPI_Comm plain = split_workers();
    onward_options_init(&options);
    options.subtask_count = 16;
    options.step_count = empty ? NEXT_CALLS : WARM_UP_STEPS + loop->steps;
    options.checkpoint_auto = false;
    if (onward_open(MPI_COMM_WORLD, &options, &ow) != ONWARD_OK) {
        fprintf(stderr, "bench-step: %s\n", onward_text(NULL));
        return 1;
    }
    if (onward_is_controller(ow))
        onward_control(ow);
    else if (empty)
        work_empty(ow, loop);
    else
        work(ow, loop, plain);
    return onward_exit_code(onward_close(ow));
}

int main(int argc, char **argv)
{
    struct loop loop = {.steps = argc > 2 ? atoi(argv[2]) : 5000,
                        .elements = argc > 3 ? atoi(argv[3]) : 1000000};
    if (argc < 2 || loop.steps < 1 || loop.steps > MAX_STEPS || loop.elements < REDUCED)
        return 2;
    loop.data = calloc((size_t)loop.elements, sizeof *loop.data);
    loop.total = calloc(REDUCED, sizeof *loop.total);
    if (!loop.data || !loop.total)
        exit(1);
    MPI_Init(&argc, &argv);
    int code = run(strcmp(argv[1], "next") == 0, &loop);
    MPI_Finalize();
    free(loop.data);
    free(loop.total);
    return code;
}
