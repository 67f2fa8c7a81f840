/* ridge_result.c - what the trainer `ridge` puts into result.h5:
 *
 *     weights [target, term]   of the best lambda; the last term is the constant
 *     lambdas/lambda, held_out_accuracy, held_out_squared_error, test_accuracy, test_squared_error
 *                              one row a lambda, in the order of the config; accuracies of
 *                              target: class alone; no held_out columns where nothing is held out
 *     all_weights [lambda, target, term]
 *     attributes: lambda, accuracy, squared_error (test split, of the best), held_out_rows
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "result.h"
#include "ridge_state.h"

static int put_weights(struct result *result, const struct ridge *ridge, uint32_t best,
                       struct error *error)
{
    static const char *const dim_names[] = {"lambda", "target", "term"};
    const uint64_t dims[] = {ridge->config->lambda_count, ridge->targets, ridge->terms};
    const double *weights = onward_read(ridge->ow, ridge->weights);
    int code = result_put_array(
        result,
        &(struct result_array){"weights", ONWARD_DOUBLE, 2, dims + 1, dim_names + 1, "1",
                               "of the best lambda; output = terms x weights, the last term is 1",
                               weights + best * ridge->targets * ridge->terms},
        error);
    if (code != ONWARD_OK)
        return code;
    return result_put_array(result,
                            &(struct result_array){"all_weights", ONWARD_DOUBLE, 3, dims, dim_names,
                                                   "1", "of each lambda", weights},
                            error);
}

static int put_numbers(struct result *result, const struct ridge *ridge, uint32_t best,
                       struct error *error)
{
    int code = result_put_integer(result, "step", ridge->role.step, error);
    if (code == ONWARD_OK)
        code = result_put_number(result, "lambda", ridge->config->lambdas[best], error);
    if (code == ONWARD_OK && ridge->config->target == TARGET_CLASS)
        code = result_put_number(result, "accuracy", ridge_mean(ridge, best, SCORE_TEST_CORRECT),
                                 error);
    if (code == ONWARD_OK)
        code = result_put_number(result, "squared_error",
                                 ridge_mean(ridge, best, SCORE_TEST_SQUARES), error);
    if (code == ONWARD_OK)
        code =
            result_put_integer(result, "held_out_rows", (int64_t)ridge->config->held_rows, error);
    return code;
}

/* columns: room for one more than SCORE_COLUMNS; values: [SCORE_COLUMNS, lambdas]. */
static uint32_t fill_columns(const struct ridge *ridge, double *values,
                             struct result_column *columns)
{
    static const struct {
        const char *name, *units, *description;
    } shown[SCORE_COLUMNS] = {
        [SCORE_HELD_CORRECT] = {"held_out_accuracy", "1",
                                "part of the held-out rows classified right"},
        [SCORE_HELD_SQUARES] = {"held_out_squared_error", "1",
                                "mean over held-out rows and targets"},
        [SCORE_TEST_CORRECT] = {"test_accuracy", "1", "part of the test split classified right"},
        [SCORE_TEST_SQUARES] = {"test_squared_error", "1", "mean over the test split and targets"},
    };
    uint32_t count = 0, lambdas = ridge->config->lambda_count;
    columns[count++] = (struct result_column){"lambda", ONWARD_DOUBLE, "1", "ridge parameter",
                                              ridge->config->lambdas};
    for (int c = 0; c < SCORE_COLUMNS; c++) {
        bool held = c == SCORE_HELD_CORRECT || c == SCORE_HELD_SQUARES;
        bool correct = c == SCORE_HELD_CORRECT || c == SCORE_TEST_CORRECT;
        if ((held && ridge->config->held_rows == 0) ||
            (correct && ridge->config->target != TARGET_CLASS))
            continue;
        double *column = values + (size_t)c * lambdas;
        for (uint32_t l = 0; l < lambdas; l++)
            column[l] = ridge_mean(ridge, l, (enum score_column)c);
        columns[count++] = (struct result_column){shown[c].name, ONWARD_DOUBLE, shown[c].units,
                                                  shown[c].description, column};
    }
    return count;
}

static int put_all(struct result *result, const struct ridge *ridge, struct error *error)
{
    static double values[SCORE_COLUMNS * CONFIG_MAX_LAMBDAS]; /* lives until it is saved */
    struct result_column columns[SCORE_COLUMNS + 1];
    char path[2 * PATH_MAX];
    uint32_t best = ridge_best(ridge), count = fill_columns(ridge, values, columns);
    int code = put_numbers(result, ridge, best, error);
    if (code == ONWARD_OK)
        code = put_weights(result, ridge, best, error);
    if (code == ONWARD_OK)
        code =
            result_put_table(result, "lambdas", columns, count, ridge->config->lambda_count, error);
    if (code != ONWARD_OK)
        return code;
    snprintf(path, sizeof path, "%s/result.h5", onward_run_directory(ridge->ow));
    return result_save(result, path, error);
}

int ridge_write_result(const struct ridge *ridge, struct error *error)
{
    const char *run = onward_run_directory(ridge->ow), *slash = strrchr(run, '/');
    struct result *result = NULL;
    int code = result_open(slash ? slash + 1 : run, ridge->config->text, &result, error);
    if (code == ONWARD_OK)
        code = put_all(result, ridge, error);
    result_close(result);
    return code;
}
