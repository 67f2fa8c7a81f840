/* step.c - what a step costs: onward_next with nothing to do, and the same training-like loop with
 * and without onward.
 *
 *     mpirun -n 2   bench-step next                     prints "next SECONDS"
 *     mpirun -n W+1 bench-step onward STEPS ELEMENTS    prints "loop SECONDS"
 *     mpirun -n W   bench-step plain STEPS ELEMENTS     prints "loop SECONDS"
 *
 * A step of the loop does arithmetic on ELEMENTS floats and one MPI_Allreduce of 1,000 of them. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "onward.h"

enum { REDUCED = 1000, NEXT_CALLS = 200000 };

static float *data, *total;
static int elements;

static void do_step(MPI_Comm comm)
{
    for (int i = 0; i < elements; i++)
        data[i] = data[i] * 0.999f + 0.001f;
    MPI_Allreduce(data, total, REDUCED, MPI_FLOAT, MPI_SUM, comm);
}

static int run_plain(int steps)
{
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Barrier(MPI_COMM_WORLD);
    double begin_s = bench_now_s();
    for (int i = 0; i < steps; i++)
        do_step(MPI_COMM_WORLD);
    if (rank == 0)
        printf("loop %.9f\n", (bench_now_s() - begin_s) / steps);
    return 0;
}

static void work(struct onward *ow, int steps)
{
    struct onward_role role;
    uint64_t dims[] = {(uint64_t)elements};
    double begin_s = 0, end_s = 0;
    onward_protect(ow, "data", data, ONWARD_FLOAT, 1, dims, ONWARD_REPLICATED | ONWARD_ATOMIC);
    while (onward_next(ow, &role) == ONWARD_STEP) {
        if (role.step == 0) {
            MPI_Barrier(role.comm);
            begin_s = bench_now_s();
        }
        if (role.step < steps) {
            do_step(role.comm);
            end_s = bench_now_s();
        }
    }
    if (role.rank == 0)
        printf("loop %.9f\n", (end_s - begin_s) / steps);
}

/* Steps that do nothing at all, on one worker. */
static void work_empty(struct onward *ow)
{
    struct onward_role role;
    uint64_t dims[] = {1};
    double begin_s = 0, last_s = 0;
    onward_protect(ow, "data", data, ONWARD_FLOAT, 1, dims, ONWARD_REPLICATED | ONWARD_ATOMIC);
    while (onward_next(ow, &role) == ONWARD_STEP) {
        if (role.step == 0)
            begin_s = bench_now_s();
        if (role.step == NEXT_CALLS - 1)
            last_s = bench_now_s();
    }
    if (role.rank == 0)
        printf("next %.9f\n", (last_s - begin_s) / (NEXT_CALLS - 1));
}

static int run_onward(bool empty, int steps)
{
    struct onward_options options;
    struct onward *ow;
    onward_options_init(&options);
    options.subtask_count = 16;
    options.step_count = empty ? NEXT_CALLS : steps;
    options.checkpoint_auto = false;
    if (onward_open(MPI_COMM_WORLD, &options, &ow) != ONWARD_OK) {
        fprintf(stderr, "bench-step: %s\n", onward_text(NULL));
        return 1;
    }
    if (onward_is_controller(ow))
        onward_control(ow);
    else if (empty)
        work_empty(ow);
    else
        work(ow, steps);
    return onward_exit_code(onward_close(ow));
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "plain";
    int steps = argc > 2 ? atoi(argv[2]) : 1000;
    elements = argc > 3 ? atoi(argv[3]) : 1000000;
    if (elements < REDUCED || steps < 1)
        return 2;
    data = calloc((size_t)elements, sizeof *data);
    total = calloc(REDUCED, sizeof *total);
    if (!data || !total)
        return 1;
    MPI_Init(&argc, &argv);
    int code = strcmp(what, "plain") == 0 ? run_plain(steps)
                                          : run_onward(strcmp(what, "next") == 0, steps);
    MPI_Finalize();
    free(data);
    free(total);
    return code;
}
