/* mlp_result.c - what the trainer `mlp` puts into result.h5:
 *
 *     model/layerN/weights [inputs, outputs], model/layerN/bias [outputs]   N from 0
 *     best/layerN/...      the same of the best evaluated state, with keep_best
 *     history/step, accuracy, loss, training_loss    one row an evaluation, and one for the end
 *     attributes: step, accuracy, loss (test split, after the last step), best_accuracy, best_step
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mlp_state.h"
#include "result.h"

enum { NAME_BYTES = 64 };

static int put_layer(struct result *result, const char *group, const struct mlp *mlp,
                     const float *parameters, uint32_t layer, struct error *error)
{
    static const char *const dim_names[] = {"input", "output"};
    const struct network_shape *shape = &mlp->shape;
    const uint64_t dims[2] = {shape->widths[layer], shape->widths[layer + 1]};
    char weights[NAME_BYTES], bias[NAME_BYTES];
    snprintf(weights, sizeof weights, "%s/layer%u/weights", group, layer);
    snprintf(bias, sizeof bias, "%s/layer%u/bias", group, layer);
    int code = result_put_array(result,
                                &(struct result_array){weights, ONWARD_FLOAT, 2, dims, dim_names,
                                                       "1", "output = input x weights + bias",
                                                       parameters + shape->weights[layer]},
                                error);
    if (code != ONWARD_OK)
        return code;
    return result_put_array(result,
                            &(struct result_array){bias, ONWARD_FLOAT, 1, dims + 1, dim_names + 1,
                                                   "1", "added to each output",
                                                   parameters + shape->biases[layer]},
                            error);
}

static int put_model(struct result *result, const char *group, const struct mlp *mlp,
                     const float *parameters, struct error *error)
{
    int code = ONWARD_OK;
    for (uint32_t layer = 0; layer < mlp->shape.layer_count && code == ONWARD_OK; layer++)
        code = put_layer(result, group, mlp, parameters, layer, error);
    return code;
}

static int put_numbers(struct result *result, const struct mlp *mlp, int64_t steps,
                       const struct evaluation *score, struct error *error)
{
    bool last_is_best = mlp->best[BEST_STEP] < 0.0 || score->accuracy > mlp->best[BEST_ACCURACY];
    int64_t best_step = last_is_best ? steps : (int64_t)mlp->best[BEST_STEP];
    double best = last_is_best ? score->accuracy : mlp->best[BEST_ACCURACY];
    int code = result_put_integer(result, "step", steps, error);
    if (code == ONWARD_OK)
        code = result_put_number(result, "accuracy", score->accuracy, error);
    if (code == ONWARD_OK)
        code = result_put_number(result, "loss", score->loss, error);
    if (code == ONWARD_OK)
        code = result_put_number(result, "best_accuracy", best, error);
    if (code == ONWARD_OK)
        code = result_put_integer(result, "best_step", best_step, error);
    if (code != ONWARD_OK || !mlp->best_parameters)
        return code;
    return put_model(result, "best", mlp,
                     last_is_best ? mlp->state.parameters : mlp->best_parameters, error);
}

/* The history by columns, each of `rows` elements. */
struct columns {
    uint64_t rows;
    int64_t *step;
    double *scores; /* HISTORY_COLUMNS columns, one behind the other */
};

/* The last row is the end, which has no training loss. */
static void fill_columns(const struct mlp *mlp, int64_t steps, const struct evaluation *score,
                         const struct columns *columns)
{
    uint64_t last = columns->rows - 1;
    for (uint64_t row = 0; row < last; row++) {
        columns->step[row] = (int64_t)row * mlp->config->evaluate_every;
        for (uint64_t i = 0; i < HISTORY_COLUMNS; i++)
            columns->scores[i * columns->rows + row] = mlp->history[row][i];
    }
    columns->step[last] = steps;
    columns->scores[HISTORY_ACCURACY * columns->rows + last] = score->accuracy;
    columns->scores[HISTORY_LOSS * columns->rows + last] = score->loss;
    columns->scores[HISTORY_TRAINING_LOSS * columns->rows + last] = nan("");
}

static int put_history(struct result *result, const struct columns *columns, struct error *error)
{
    const double *accuracy = columns->scores + HISTORY_ACCURACY * columns->rows;
    const double *loss = columns->scores + HISTORY_LOSS * columns->rows;
    const double *training = columns->scores + HISTORY_TRAINING_LOSS * columns->rows;
    const struct result_column table[] = {
        {"step", ONWARD_INT64, "1", "complete steps at the evaluation", columns->step},
        {"accuracy", ONWARD_DOUBLE, "1", "part of the test split classified right", accuracy},
        {"loss", ONWARD_DOUBLE, "nat", "mean cross-entropy on the test split", loss},
        {"training_loss", ONWARD_DOUBLE, "nat",
         "mean cross-entropy on the batch of the step; NaN after the last step", training},
    };
    return result_put_table(result, "history", table, sizeof table / sizeof table[0], columns->rows,
                            error);
}

static int put_all(struct result *result, const struct mlp *mlp, int64_t steps,
                   const struct evaluation *score, const struct columns *columns,
                   struct error *error)
{
    char path[2 * PATH_MAX];
    int code = put_numbers(result, mlp, steps, score, error);
    if (code == ONWARD_OK)
        code = put_model(result, "model", mlp, mlp->state.parameters, error);
    if (code == ONWARD_OK)
        code = put_history(result, columns, error);
    if (code != ONWARD_OK)
        return code;
    snprintf(path, sizeof path, "%s/result.h5", onward_run_directory(mlp->ow));
    return result_save(result, path, error);
}

/* The task ID is the name of its run directory. */
static const char *task_of(const struct mlp *mlp)
{
    const char *run = onward_run_directory(mlp->ow), *slash = strrchr(run, '/');
    return slash ? slash + 1 : run;
}

int mlp_write_result(const struct mlp *mlp, int64_t steps, const struct evaluation *score,
                     struct error *error)
{
    uint64_t evaluations = config_evaluation_count(mlp->config, steps);
    if (evaluations > mlp->history_length)
        evaluations = mlp->history_length;
    struct columns columns = {.rows = evaluations + 1};
    struct result *result = NULL;
    int code = ONWARD_OK;
    columns.step = calloc(columns.rows, sizeof *columns.step);
    columns.scores = calloc(columns.rows * HISTORY_COLUMNS, sizeof *columns.scores);
    if (!columns.step || !columns.scores)
        code = error_set(error, ONWARD_ERR_MEMORY, "result.h5: out of memory");
    else
        fill_columns(mlp, steps, score, &columns);
    if (code == ONWARD_OK)
        code = result_open(task_of(mlp), mlp->config->text, &result, error);
    if (code == ONWARD_OK)
        code = put_all(result, mlp, steps, score, &columns, error);
    result_close(result);
    free(columns.step);
    free(columns.scores);
    return code;
}
