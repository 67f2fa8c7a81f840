/* sum.c - onward_sum beside MPI_Allreduce of the same vector, in one process group and one run.
 *
 *     mpirun -n W+1 bench-sum BYTES ROUNDS      one contribution a worker
 *
 * Prints "sum WORKERS BYTES onward_s allreduce_s ratio"; rounds of the two alternate, medians. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "onward.h"

enum { MAX_ROUNDS = 1000 };

struct buffers {
    size_t length;
    float *own, *total;
};

static double time_onward(struct onward *ow, const struct onward_role *role,
                          const struct buffers *buffers)
{
    onward_sum_begin(ow, ONWARD_FLOAT, buffers->length);
    void *contribution = onward_sum_buffer(ow);
    if (contribution) /* built in place, which is not what is timed */
        memcpy(contribution, buffers->own, buffers->length * sizeof(float));
    MPI_Barrier(role->comm);
    double begin_s = bench_now_s();
    if (contribution)
        onward_sum_add(ow, role->first, contribution);
    onward_sum_end(ow, buffers->total);
    return bench_now_s() - begin_s;
}

static double time_allreduce(const struct onward_role *role, const struct buffers *buffers)
{
    MPI_Barrier(role->comm);
    double begin_s = bench_now_s();
    MPI_Allreduce(buffers->own, buffers->total, (int)buffers->length, MPI_FLOAT, MPI_SUM,
                  role->comm);
    return bench_now_s() - begin_s;
}

static void measure(struct onward *ow, struct buffers *buffers, int rounds)
{
    static double onward_s[MAX_ROUNDS], allreduce_s[MAX_ROUNDS];
    struct onward_role role;
    uint64_t dims[] = {1};
    float state = 0;
    int done = 0;
    onward_protect(ow, "state", &state, ONWARD_FLOAT, 1, dims, ONWARD_REPLICATED | ONWARD_ATOMIC);
    while (onward_next(ow, &role) == ONWARD_STEP) {
        double mine_s = time_onward(ow, &role, buffers);
        double theirs_s = time_allreduce(&role, buffers);
        if (role.step >= 2 && done < rounds) { /* the first ones warm up */
            onward_s[done] = mine_s;
            allreduce_s[done++] = theirs_s;
        }
    }
    if (role.rank == 0 && done > 0) {
        double mine_s = bench_median(onward_s, done), theirs_s = bench_median(allreduce_s, done);
        printf("sum %d %zu %.6f %.6f %.2f\n", role.size, buffers->length * sizeof(float), mine_s,
               theirs_s, mine_s / theirs_s);
    }
}

static int run(struct buffers *buffers, int rounds)
{
    struct onward_options options;
    struct onward *ow;
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    onward_options_init(&options);
    options.subtask_count = size > 1 ? (uint32_t)size - 1 : 1;
    options.step_count = rounds + 2;
    options.checkpoint_auto = false;
    if (onward_open(MPI_COMM_WORLD, &options, &ow) != ONWARD_OK) {
        fprintf(stderr, "bench-sum: %s\n", onward_text(NULL));
        return 1;
    }
    if (onward_is_controller(ow))
        onward_control(ow);
    else
        measure(ow, buffers, rounds);
    return onward_exit_code(onward_close(ow));
}

int main(int argc, char **argv)
{
    struct buffers buffers = {.length = (argc > 1 ? strtoull(argv[1], NULL, 10) : 1048576) / 4};
    int rounds = argc > 2 ? atoi(argv[2]) : 20, code = 1;
    rounds = rounds < 1 ? 1 : rounds > MAX_ROUNDS ? MAX_ROUNDS : rounds;
    buffers.own = malloc(buffers.length * sizeof(float));
    buffers.total = malloc(buffers.length * sizeof(float));
    MPI_Init(&argc, &argv);
    if (buffers.own && buffers.total) {
        for (size_t i = 0; i < buffers.length; i++)
            buffers.own[i] = buffers.total[i] = (float)i;
        code = run(&buffers, rounds);
    }
    MPI_Finalize();
    free(buffers.own);
    free(buffers.total);
    return code;
}
