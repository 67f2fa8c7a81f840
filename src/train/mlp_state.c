/* mlp_state.c - memory of the trainer `mlp`, its initial values, and its protection. */
#include "mlp_state.h"

#include <stdlib.h>

/* Rows of an evaluation that go through the network at once, unless a subtask has more. */
enum { MIN_CHUNK = 256 };

static int allocate(struct mlp *mlp)
{
    size_t count = mlp->shape.parameter_count;
    mlp->parameters = network_floats(count);
    mlp->total = network_floats(count + 1);
    mlp->indices = calloc(mlp->chunk, sizeof *mlp->indices);
    bool complete = mlp->parameters && mlp->total && mlp->indices;
    for (int i = 0; i < optimizer_moment_count(&mlp->config->optimizer); i++) {
        mlp->moments[i] = network_floats(count);
        complete = complete && mlp->moments[i];
    }
    if (mlp->config->keep_best) {
        mlp->best_parameters = network_floats(count);
        complete = complete && mlp->best_parameters;
    }
    if (mlp->history_length > 0) {
        mlp->history = calloc(mlp->history_length, sizeof *mlp->history);
        complete = complete && mlp->history;
    }
    return complete ? ONWARD_OK : ONWARD_ERR_MEMORY;
}

static int protect(struct mlp *mlp, const char *name, void *data, enum onward_type type,
                   uint64_t rows, uint64_t columns)
{
    const uint64_t dims[2] = {rows, columns};
    if (!data)
        return ONWARD_OK;
    return onward_protect(mlp->ow, name, data, type, columns > 1 ? 2 : 1, dims,
                          ONWARD_REPLICATED | ONWARD_ATOMIC);
}

static int protect_all(struct mlp *mlp, struct error *error)
{
    uint64_t count = mlp->shape.parameter_count;
    const struct {
        const char *name;
        void *data;
        enum onward_type type;
        uint64_t rows, columns;
    } arrays[] = {
        {"parameters", mlp->parameters, ONWARD_FLOAT, count, 1},
        {"optimizer.moment1", mlp->moments[0], ONWARD_FLOAT, count, 1},
        {"optimizer.moment2", mlp->moments[1], ONWARD_FLOAT, count, 1},
        {"best.parameters", mlp->best_parameters, ONWARD_FLOAT, count, 1},
        {"best", mlp->best, ONWARD_DOUBLE, BEST_COLUMNS, 1},
        {"history", mlp->history, ONWARD_DOUBLE, mlp->history_length, HISTORY_COLUMNS},
    };
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        int code = protect(mlp, arrays[i].name, arrays[i].data, arrays[i].type, arrays[i].rows,
                           arrays[i].columns);
        if (code != ONWARD_OK)
            return error_set(error, code, "array %s: %s", arrays[i].name, onward_text(mlp->ow));
    }
    return ONWARD_OK;
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
    mlp->best[BEST_STEP] = -1.0;
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
    network_init_parameters(&mlp->shape, (uint64_t)mlp->config->seed, mlp->parameters);
    return protect_all(mlp, error);
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
    for (int i = 0; i < OPTIMIZER_MAX_MOMENTS; i++)
        free(mlp->moments[i]);
    free(mlp->parameters);
    free(mlp->best_parameters);
    free(mlp->history);
    free(mlp->indices);
    free(mlp->total);
    free(mlp);
}
