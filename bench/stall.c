/* stall.c - what a step of training feels of a checkpoint that is on its way to the run directory.
 *
 *     mpirun -n W+1 bench-stall STEPS EVERY
 *     prints "stall BUSY_S QUIET_S COPY_S BUSY_STEPS"
 *
 * The network, its data and its optimizer are as in the README (784-256-128-10, 512 samples a step,
 * 8 subtasks, SGD with momentum), with random samples; a checkpoint is taken every EVERY steps, on
 * whatever file system ONWARD_DIR is. A step is from its call of onward_next to the next call. It
 * is busy where the master of the newest checkpoint that was taken is not there yet as it begins,
 * else quiet; a mean of each, where a step above twice the median counts as twice the median:
 * another process had its turn. The call that makes the copy is the local level, which a step does
 * wait for: it is left out, and COPY_S is the median of these. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "bench.h"
#include "error.h"
#include "network.h"
#include "onward.h"
#include "optimizer.h"

enum { BATCH = 512, SUBTASKS = 8, WARM_UP_STEPS = 100, MAX_STEPS = 100000 };

struct loop {
    int steps, every;
    struct network_shape shape;
    struct network *network;
    float *total;
    int parameters, momentum;
};

struct times {
    double busy_s[MAX_STEPS], quiet_s[MAX_STEPS], copy_s[MAX_STEPS];
    int busy, quiet, copies;
};

static void fill_samples(const struct loop *loop, uint64_t seed)
{
    float *input = network_input(loop->network);
    int32_t *labels = network_labels(loop->network);
    for (int row = 0; row < BATCH / SUBTASKS; row++) {
        labels[row] = (int32_t)(seed % 10);
        for (uint32_t i = 0; i < loop->shape.widths[0]; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            input[(uint32_t)row * loop->shape.widths[0] + i] = (float)(seed >> 40) / 16777216.0f;
        }
    }
}

static void do_step(struct onward *ow, const struct loop *loop, const struct onward_role *role)
{
    static const struct optimizer sgd = {
        .name = OPTIMIZER_SGD, .learning_rate = 0.001, .momentum = 0.9};
    struct optimizer_state state = {.parameters = onward_read(ow, loop->parameters),
                                    .moments = {onward_read(ow, loop->momentum)}};
    onward_sum_begin(ow, ONWARD_FLOAT, loop->shape.parameter_count + 1);
    for (uint32_t k = role->first; k < role->first + role->count; k++) {
        float *gradient = onward_sum_buffer(ow);
        fill_samples(loop, (uint64_t)role->step * SUBTASKS + k);
        network_gradient(loop->network, state.parameters, BATCH / SUBTASKS, 1.0f / BATCH, gradient,
                         gradient + loop->shape.parameter_count);
        onward_sum_add(ow, k, gradient);
    }
    if (onward_sum_end(ow, loop->total) != ONWARD_OK)
        return;
    struct optimizer_next next = {.parameters = onward_write(ow, loop->parameters),
                                  .moments = {onward_write(ow, loop->momentum)}};
    optimizer_update(&sgd, role->step, loop->total, &state, &next, loop->shape.parameter_count);
}

static bool is_committed(const struct onward *ow, int64_t step)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/ckpt/step-%08" PRId64 ".h5", onward_run_directory(ow), step);
    return access(path, F_OK) == 0;
}

static void work(struct onward *ow, const struct loop *loop, struct times *times)
{
    struct onward_role role;
    int64_t taken = 0; /* step of a checkpoint that may be on its way; 0: none */
    for (double begin_s = bench_now_s(); onward_next(ow, &role) == ONWARD_STEP;) {
        double next_s = bench_now_s() - begin_s;
        bool takes = role.step > 0 && role.step % loop->every == 0;
        bool is_busy = takes || (taken > 0 && !is_committed(ow, taken));
        taken = takes ? role.step : is_busy ? taken : 0;
        double work_s = bench_now_s();
        do_step(ow, loop, &role);
        double end_s = bench_now_s(), step_s = end_s - work_s + (takes ? 0 : next_s);
        begin_s = end_s;
        if (role.step < WARM_UP_STEPS)
            continue;
        if (takes)
            times->copy_s[times->copies++] = next_s;
        if (is_busy)
            times->busy_s[times->busy++] = step_s;
        else
            times->quiet_s[times->quiet++] = step_s;
    }
    if (role.rank != 0 || times->busy == 0 || times->quiet == 0)
        return;
    double cap_s = 2 * bench_median(times->quiet_s, times->quiet);
    printf("stall %.9f %.9f %.9f %d\n", bench_capped_mean(times->busy_s, times->busy, cap_s),
           bench_capped_mean(times->quiet_s, times->quiet, cap_s),
           bench_median(times->copy_s, times->copies), times->busy);
}

static int prepare(struct onward *ow, struct loop *loop)
{
    static const uint32_t hidden[] = {256, 128};
    struct error error = {.text = ""};
    int code = network_shape_init(&loop->shape, 784, hidden, 2, 10, &error);
    if (code == ONWARD_OK)
        code = network_create(&loop->shape, BATCH / SUBTASKS, &loop->network, &error);
    uint64_t dims[] = {loop->shape.parameter_count};
    loop->total = network_floats(loop->shape.parameter_count + 1);
    if (code == ONWARD_OK)
        code = onward_alloc(ow, "parameters", ONWARD_FLOAT, 1, dims, ONWARD_REPLICATED,
                            &loop->parameters);
    if (code == ONWARD_OK)
        code =
            onward_alloc(ow, "momentum", ONWARD_FLOAT, 1, dims, ONWARD_REPLICATED, &loop->momentum);
    if (code == ONWARD_OK)
        network_init_parameters(&loop->shape, 1, onward_write(ow, loop->parameters));
    return loop->total ? code : ONWARD_ERR_MEMORY;
}

int main(int argc, char **argv)
{
    static struct times times;
    struct loop loop = {.steps = argc > 1 ? atoi(argv[1]) : 2000,
                        .every = argc > 2 ? atoi(argv[2]) : 20};
    struct onward_options options;
    struct onward *ow;
    if (loop.steps < 1 || loop.steps > MAX_STEPS - WARM_UP_STEPS || loop.every < 1)
        return 2;
    MPI_Init(&argc, &argv);
    onward_options_init(&options);
    options.subtask_count = SUBTASKS;
    options.step_count = WARM_UP_STEPS + loop.steps;
    options.checkpoint_auto = false;
    options.checkpoint_steps = loop.every;
    if (onward_open(MPI_COMM_WORLD, &options, &ow) != ONWARD_OK) {
        fprintf(stderr, "bench-stall: %s\n", onward_text(NULL));
        return 1;
    }
    if (onward_is_controller(ow))
        onward_control(ow);
    else if (prepare(ow, &loop) == ONWARD_OK)
        work(ow, &loop, &times);
    int code = onward_exit_code(onward_close(ow));
    network_destroy(loop.network);
    free(loop.total);
    MPI_Finalize();
    return code;
}
