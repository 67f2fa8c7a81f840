/* stall.c - what a step of training feels of copies of the state that are on their way.
 *
 *     mpirun -n W+1 bench-stall STEPS EVERY [sharded]
 *     prints "stall FIRST_S SECOND_S COPY_S"
 *
 * The network, its data and its optimizer are as in the README (784-256-128-10, 512 samples a step,
 * 8 subtasks, SGD with momentum), with random samples; a checkpoint is taken every EVERY steps, on
 * whatever file system ONWARD_DIR is. `sharded`: beside the parameters there is an array of as many
 * floats that the workers hold in parts, whose copies go to the next host, where there is one, at
 * the steps that ONWARD_LOCAL_STEPS names.
 *
 * All that a checkpoint takes after the copy in the node-local directory, the removal of the one
 * before included, falls into the first half of the steps up to the next one, where EVERY is large
 * enough; so the mean step of the first halves is compared with that of the second halves, and a
 * step above twice the median counts as twice the median: another process had its turn. A step is
 * from its call of onward_next to the next call. The call that makes the copy is the local level,
 * which a step does wait for: it is left out, and COPY_S is the median of these. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    int parameters, momentum, parts; /* parts: -1 where there are none */
};

struct times {
    double first_s[MAX_STEPS], second_s[MAX_STEPS], copy_s[MAX_STEPS];
    int first, second, copies;
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

static void change_part(struct onward *ow, const struct loop *loop, int64_t step)
{
    uint64_t count = 0;
    float *part = loop->parts < 0 ? NULL : onward_part(ow, loop->parts, &count);
    if (part && count > 0)
        part[(uint64_t)step % count] += 1;
}

static void count_step(const struct loop *loop, struct times *times, int64_t step, double step_s,
                       double next_s)
{
    int64_t since = step % loop->every;
    if (step < WARM_UP_STEPS)
        return;
    if (since == 0)
        times->copy_s[times->copies++] = next_s;
    else
        step_s += next_s;
    if (since < loop->every / 2)
        times->first_s[times->first++] = step_s;
    else
        times->second_s[times->second++] = step_s;
}

static void work(struct onward *ow, const struct loop *loop, struct times *times)
{
    struct onward_role role;
    for (double begin_s = bench_now_s(); onward_next(ow, &role) == ONWARD_STEP;) {
        double work_s = bench_now_s();
        change_part(ow, loop, role.step);
        do_step(ow, loop, &role);
        double end_s = bench_now_s();
        count_step(loop, times, role.step, end_s - work_s, work_s - begin_s);
        begin_s = end_s;
    }
    if (role.rank != 0 || times->first == 0 || times->second == 0)
        return;
    double cap_s = 2 * bench_median(times->second_s, times->second);
    printf("stall %.9f %.9f %.9f\n", bench_capped_mean(times->first_s, times->first, cap_s),
           bench_capped_mean(times->second_s, times->second, cap_s),
           bench_median(times->copy_s, times->copies));
}

/* The floats dealt out evenly. */
static int lay_out_parts(void *context, const struct onward_role *role, struct onward_slab *slabs)
{
    const struct loop *loop = context;
    uint64_t count = loop->shape.parameter_count, rank = (uint64_t)role->rank;
    uint64_t begin = count * rank / (uint64_t)role->size;
    slabs[0] = (struct onward_slab){.start = {begin},
                                    .stride = {1},
                                    .count = {1},
                                    .block = {count * (rank + 1) / (uint64_t)role->size - begin}};
    return 1;
}

static int prepare(struct onward *ow, struct loop *loop, bool is_sharded)
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
    if (code == ONWARD_OK && is_sharded)
        code = onward_shard(ow, "parts", ONWARD_FLOAT, 1, dims, lay_out_parts, loop, &loop->parts);
    if (code == ONWARD_OK)
        network_init_parameters(&loop->shape, 1, onward_write(ow, loop->parameters));
    return loop->total ? code : ONWARD_ERR_MEMORY;
}

int main(int argc, char **argv)
{
    static struct times times;
    struct loop loop = {.steps = argc > 1 ? atoi(argv[1]) : 2000,
                        .every = argc > 2 ? atoi(argv[2]) : 20,
                        .parts = -1};
    bool is_sharded = argc > 3 && strcmp(argv[3], "sharded") == 0;
    struct onward_options options;
    struct onward *ow;
    if (loop.steps < 1 || loop.steps > MAX_STEPS - WARM_UP_STEPS || loop.every < 2)
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
    else if (prepare(ow, &loop, is_sharded) == ONWARD_OK)
        work(ow, &loop, &times);
    int code = onward_exit_code(onward_close(ow));
    network_destroy(loop.network);
    free(loop.total);
    MPI_Finalize();
    return code;
}
