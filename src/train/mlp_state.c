/* mlp_state.c - memory of the trainer `mlp`, its initial values, and its protection. */
#include "mlp_state.h"

#include <stdlib.h>

/* Rows of an evaluation that go through the network at once, unless a subtask has more. */
enum { MIN_CHUNK = 256 };

static int allocate(struct mlp *mlp)
{
    mlp->total = network_floats(mlp->shape.parameter_count + 1);
    mlp->indices = calloc(mlp->chunk, sizeof *mlp->indices);
    return mlp->total && mlp->indices ? ONWARD_OK : ONWARD_ERR_MEMORY;
}

struct array_plan {
    const char *name;
    enum onward_type type;
    uint64_t rows, columns; /* rows 0: not needed */
    const char *dimensions;
};

static int protect(struct mlp *mlp, enum mlp_array which, const struct array_plan *plan,
                   struct error *error)
{
    const uint64_t dims[2] = {plan->rows, plan->columns};
    mlp->array[which] = -1;
    if (plan->rows == 0)
        return ONWARD_OK;
    int code = onward_alloc(mlp->ow, plan->name, plan->type, dims[1] > 1 ? 2 : 1, dims,
                            ONWARD_REPLICATED, &mlp->array[which]);
    if (code == ONWARD_OK)
        code = onward_describe(mlp->ow, plan->name, plan->dimensions, "1");
    return code == ONWARD_OK
               ? code
               : error_set(error, code, "array %s: %s", plan->name, onward_text(mlp->ow));
}

static int protect_all(struct mlp *mlp, struct error *error)
{
    uint64_t count = mlp->shape.parameter_count;
    uint64_t second = optimizer_moment_count(&mlp->config->optimizer) > 1 ? count : 0;
    uint64_t best = mlp->config->keep_best ? count : 0;
    const struct array_plan plans[ARRAY_COUNT] = {
        [ARRAY_PARAMETERS] = {"parameters", ONWARD_FLOAT, count, 1, "parameter"},
        [ARRAY_MOMENT1] = {"optimizer.moment1", ONWARD_FLOAT, count, 1, "parameter"},
        [ARRAY_MOMENT2] = {"optimizer.moment2", ONWARD_FLOAT, second, 1, "parameter"},
        [ARRAY_BEST_PARAMETERS] = {"best.parameters", ONWARD_FLOAT, best, 1, "parameter"},
        [ARRAY_BEST] = {"best", ONWARD_DOUBLE, BEST_COLUMNS, 1, "value"},
        [ARRAY_HISTORY] = {"history", ONWARD_DOUBLE, mlp->history_length, HISTORY_COLUMNS,
                           "evaluation,value"},
    };
    int code = ONWARD_OK;
    for (size_t i = 0; i < ARRAY_COUNT && code == ONWARD_OK; i++)
        code = protect(mlp, (enum mlp_array)i, &plans[i], error);
    return code;
}

/* All else starts at 0. */
static void write_initial_values(struct mlp *mlp)
{
    double *best = onward_write(mlp->ow, mlp->array[ARRAY_BEST]);
    best[BEST_STEP] = -1.0;
    network_init_parameters(&mlp->shape, (uint64_t)mlp->config->seed,
                            onward_write(mlp->ow, mlp->array[ARRAY_PARAMETERS]));
}

void mlp_read_state(struct mlp *mlp)
{
    mlp->state.parameters = onward_read(mlp->ow, mlp->array[ARRAY_PARAMETERS]);
    mlp->state.moments[0] = onward_read(mlp->ow, mlp->array[ARRAY_MOMENT1]);
    mlp->state.moments[1] = onward_read(mlp->ow, mlp->array[ARRAY_MOMENT2]);
    mlp->best_parameters = onward_read(mlp->ow, mlp->array[ARRAY_BEST_PARAMETERS]);
    mlp->best = onward_read(mlp->ow, mlp->array[ARRAY_BEST]);
    mlp->history = onward_read(mlp->ow, mlp->array[ARRAY_HISTORY]);
}

/* Shape and sizes, all fixed by config and data. */
static int measure(struct mlp *mlp, struct error *error)
{
    const struct config *config = mlp->config;
    uint64_t first, most;
    mlp->subtask_count = (uint32_t)config->subtasks;
    dataset_part((uint64_t)config->batch, mlp->subtask_count, 0, &first, &most);
    mlp->chunk = most > MIN_CHUNK ? (uint32_t)most : MIN_CHUNK;
    mlp->history_length = config_evaluation_count(config, config->steps);
    return network_shape_init(&mlp->shape, mlp->dataset->features, config->hidden,
                              config->hidden_count, mlp->dataset->classes, error);
}

static int prepare(struct mlp *mlp, struct error *error)
{
    int code = measure(mlp, error);
    if (code == ONWARD_OK && allocate(mlp) != ONWARD_OK)
        code = error_set(error, ONWARD_ERR_MEMORY, "out of memory for %zu parameters",
                         mlp->shape.parameter_count);
    if (code == ONWARD_OK)
        code = network_create(&mlp->shape, mlp->chunk, &mlp->network, error);
    if (code != ONWARD_OK)
        return code;
    code = protect_all(mlp, error);
    if (code == ONWARD_OK)
        write_initial_values(mlp);
    return code;
}

int mlp_create(struct onward *ow, const struct config *config, const struct dataset *dataset,
               struct mlp **mlp, struct error *error)
{
    *mlp = calloc(1, sizeof **mlp);
    if (!*mlp)
        return error_set(error, ONWARD_ERR_MEMORY, "out of memory for the trainer");
    (*mlp)->ow = ow;
    (*mlp)->config = config;
    (*mlp)->dataset = dataset;
    return prepare(*mlp, error);
}

void mlp_destroy(struct mlp *mlp)
{
    if (!mlp)
        return;
    network_destroy(mlp->network);
    free(mlp->indices);
    free(mlp->total);
    free(mlp);
}
