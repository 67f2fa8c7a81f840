/* mlp.c - the loop of the trainer `mlp`.
 *
 * A step: on every evaluate_every-th, score the state on the test split; sum the gradients of the
 * subtasks; write the next state. A step in which a member was lost is left at once and done again
 * in the role that onward_next gives.
 *
 * The samples of all epochs of data form one sequence: sample number s is the one at place s %
 * rows of the order of epoch s / rows. Step t takes numbers t * batch and on, and subtask k a fixed
 * slice of these, so who computes it does not matter. */
#include "mlp.h"

#include <math.h>
#include <string.h>

#include "mlp_state.h"
#include "random.h"
#include "step_error.h"

/* The samples of one subtask of a step, as rows of the training split. */
static uint32_t choose_samples(const struct mlp *mlp, int64_t step, uint32_t subtask)
{
    uint64_t rows = mlp->dataset->train_rows, batch = (uint64_t)mlp->config->batch;
    uint64_t first, count;
    struct random_order order;
    dataset_part(batch, mlp->subtask_count, subtask, &first, &count);
    first += (uint64_t)step * batch;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t place = (first + i) % rows;
        if (i == 0 || place == 0)
            random_order_init(&order, (uint64_t)mlp->config->seed, (first + i) / rows, rows);
        mlp->indices[i] = random_order_at(&order, place);
    }
    return (uint32_t)count;
}

/* The contribution of a subtask is built where onward_sum wants it. */
static int add_subtask(struct mlp *mlp, int64_t step, uint32_t subtask, struct error *error)
{
    float *contribution = onward_sum_buffer(mlp->ow);
    if (!contribution)
        return step_error(mlp->ow, ONWARD_ERR_ORDER, error);
    uint32_t count = choose_samples(mlp, step, subtask);
    int code = reader_rows_at(mlp->dataset->train, mlp->indices, count, network_input(mlp->network),
                              network_labels(mlp->network), error);
    if (code != ONWARD_OK)
        return code;
    network_gradient(mlp->network, mlp->state.parameters, count, 1.0F / (float)mlp->config->batch,
                     contribution, contribution + mlp->shape.parameter_count);
    code = onward_sum_add(mlp->ow, subtask, contribution);
    return code == ONWARD_OK ? code : step_error(mlp->ow, code, error);
}

/* Leaves the gradient and the sum of the losses of the whole batch in mlp->total. */
static int sum_gradient(struct mlp *mlp, const struct onward_role *role, struct error *error)
{
    int code = onward_sum_begin(mlp->ow, ONWARD_FLOAT, mlp->shape.parameter_count + 1);
    if (code != ONWARD_OK)
        return step_error(mlp->ow, code, error);
    for (uint32_t k = role->first; k < role->first + role->count; k++) {
        if (!onward_ok(mlp->ow))
            return ONWARD_ERR_LOST;
        code = add_subtask(mlp, role->step, k, error);
        if (code != ONWARD_OK)
            return code;
    }
    code = onward_sum_end(mlp->ow, mlp->total);
    return code == ONWARD_OK ? code : step_error(mlp->ow, code, error);
}

static int evaluate(struct mlp *mlp, const struct onward_role *role, struct evaluation *score,
                    struct error *error)
{
    return evaluate_test(mlp->ow, role, mlp->dataset, mlp->subtask_count, mlp->chunk, mlp->network,
                         mlp->state.parameters, score, error);
}

static bool evaluates_at(const struct mlp *mlp, int64_t step)
{
    return mlp->history && step % mlp->config->evaluate_every == 0;
}

/* Where the next state of an array goes; NULL, with the failure, where onward refuses. */
static void *next_of(struct mlp *mlp, enum mlp_array array, struct error *error)
{
    void *next = onward_write(mlp->ow, mlp->array[array]);
    if (!next)
        step_error(mlp->ow, ONWARD_ERR_ORDER, error);
    return next;
}

static int keep_history(struct mlp *mlp, uint64_t row, const struct evaluation *score,
                        double training_loss, struct error *error)
{
    double(*next)[HISTORY_COLUMNS] = next_of(mlp, ARRAY_HISTORY, error);
    if (!next)
        return ONWARD_ERR_ORDER;
    memcpy(next, mlp->history, mlp->history_length * sizeof *next);
    next[row][HISTORY_ACCURACY] = score->accuracy;
    next[row][HISTORY_LOSS] = score->loss;
    next[row][HISTORY_TRAINING_LOSS] = training_loss;
    return ONWARD_OK;
}

static int keep_best(struct mlp *mlp, int64_t step, double accuracy, struct error *error)
{
    double *best = next_of(mlp, ARRAY_BEST, error);
    float *parameters = mlp->best_parameters ? next_of(mlp, ARRAY_BEST_PARAMETERS, error) : NULL;
    if (!best || (mlp->best_parameters && !parameters))
        return ONWARD_ERR_ORDER;
    best[BEST_ACCURACY] = accuracy;
    best[BEST_STEP] = (double)step;
    if (parameters)
        memcpy(parameters, mlp->state.parameters, mlp->shape.parameter_count * sizeof *parameters);
    return ONWARD_OK;
}

/* The parameters that were scored are those before the update. */
static int keep_score(struct mlp *mlp, int64_t step, const struct evaluation *score,
                      double training_loss, struct error *error)
{
    uint64_t row = (uint64_t)(step / mlp->config->evaluate_every);
    int code = ONWARD_OK;
    if (row < mlp->history_length) /* not where the task is longer than its config says */
        code = keep_history(mlp, row, score, training_loss, error);
    if (code == ONWARD_OK &&
        (mlp->best[BEST_STEP] < 0.0 || score->accuracy > mlp->best[BEST_ACCURACY]))
        code = keep_best(mlp, step, score->accuracy, error);
    return code;
}

static int update(struct mlp *mlp, int64_t step, struct error *error)
{
    struct optimizer_next next = {.parameters = next_of(mlp, ARRAY_PARAMETERS, error)};
    bool complete = next.parameters;
    for (int i = 0; i < optimizer_moment_count(&mlp->config->optimizer); i++) {
        next.moments[i] = next_of(mlp, ARRAY_MOMENT1 + i, error);
        complete = complete && next.moments[i];
    }
    if (!complete)
        return ONWARD_ERR_ORDER;
    optimizer_update(&mlp->config->optimizer, step, mlp->total, &mlp->state, &next,
                     mlp->shape.parameter_count);
    return ONWARD_OK;
}

static void report(struct mlp *mlp, const char *name, double value)
{
    if (isfinite(value)) /* status.json cannot hold another */
        (void)onward_metric(mlp->ow, name, value);
}

/* The one place where the next state is written. score is NULL where nothing was evaluated. */
static int commit_step(struct mlp *mlp, int64_t step, const struct evaluation *score,
                       struct error *error)
{
    double loss = (double)mlp->total[mlp->shape.parameter_count] / (double)mlp->config->batch;
    int code = update(mlp, step, error);
    if (code == ONWARD_OK && score)
        code = keep_score(mlp, step, score, loss, error);
    if (code != ONWARD_OK)
        return code;
    if (score)
        report(mlp, "accuracy", score->accuracy);
    report(mlp, "loss", loss);
    return ONWARD_OK;
}

/* ONWARD_ERR_LOST: the step will be done again. Another error is this worker's own. */
static int do_step(struct mlp *mlp, const struct onward_role *role, struct error *error)
{
    struct evaluation score;
    bool evaluates = evaluates_at(mlp, role->step);
    int code = evaluates ? evaluate(mlp, role, &score, error) : ONWARD_OK;
    if (code == ONWARD_OK)
        code = sum_gradient(mlp, role, error);
    if (code == ONWARD_OK && !onward_ok(mlp->ow))
        code = ONWARD_ERR_LOST;
    if (code == ONWARD_OK)
        code = commit_step(mlp, role->step, evaluates ? &score : NULL, error);
    return code;
}

/* Scores the state after the last step; the first worker writes the result. */
static int finish(struct mlp *mlp, const struct onward_role *role, struct error *error)
{
    struct evaluation score;
    int code = evaluate(mlp, role, &score, error);
    if (code != ONWARD_OK)
        return code;
    if (!onward_ok(mlp->ow))
        return ONWARD_ERR_LOST;
    report(mlp, "accuracy", score.accuracy);
    return role->rank == 0 ? mlp_write_result(mlp, role->step, &score, error) : ONWARD_OK;
}

static int loop(struct mlp *mlp, struct error *error)
{
    struct onward_role role;
    int verdict;
    report(mlp, "samples_per_step", (double)mlp->config->batch);
    while ((verdict = onward_next(mlp->ow, &role)) > 0) {
        mlp_read_state(mlp);
        int code = verdict == ONWARD_STEP ? do_step(mlp, &role, error) : finish(mlp, &role, error);
        if (code != ONWARD_OK && code != ONWARD_ERR_LOST)
            return code;
    }
    return ONWARD_OK;
}

int mlp_run(struct onward *ow, const struct config *config, const struct dataset *dataset,
            struct error *error)
{
    struct mlp *mlp;
    int code = mlp_create(ow, config, dataset, &mlp, error);
    if (code == ONWARD_OK)
        code = loop(mlp, error);
    mlp_destroy(mlp);
    return code;
}
