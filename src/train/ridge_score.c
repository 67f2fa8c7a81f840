/* ridge_score.c - scores of all lambdas at once, so that features are made once: each worker scores
 * the rows of its own subtasks, and onward_sum adds them. */
#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "ridge_state.h"
#include "step_error.h"

/* Work space for a chunk of rows. */
struct scoring {
    double *z;       /* [RIDGE_CHUNK, terms + targets] */
    double *outputs; /* [RIDGE_CHUNK, lambdas * targets] */
};

static uint64_t largest(const double *values, uint64_t count)
{
    uint64_t best = 0;
    for (uint64_t i = 1; i < count; i++)
        if (values[i] > values[best])
            best = i;
    return best;
}

/* sums: that of the right ones, and behind it that of the squares. */
static void score_row(const struct ridge *ridge, const double *output, const double *target,
                      double *sums)
{
    for (uint64_t c = 0; c < ridge->targets; c++)
        sums[1] += (output[c] - target[c]) * (output[c] - target[c]);
    if (ridge->config->target == TARGET_CLASS)
        sums[0] += target[largest(output, ridge->targets)];
}

static void score_chunk(const struct ridge *ridge, const struct scoring *scoring, uint64_t rows,
                        enum score_column column, double *sums)
{
    uint64_t stride = ridge->terms + ridge->targets;
    uint64_t outputs = ridge->config->lambda_count * ridge->targets;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)outputs, (int)ridge->terms,
                1.0, scoring->z, (int)stride, onward_read(ridge->ow, ridge->weights),
                (int)ridge->terms, 0.0, scoring->outputs, (int)outputs);
    for (uint64_t i = 0; i < rows; i++)
        for (uint32_t l = 0; l < ridge->config->lambda_count; l++)
            score_row(ridge, scoring->outputs + i * outputs + l * ridge->targets,
                      scoring->z + i * stride + ridge->terms,
                      sums + (size_t)l * SCORE_COLUMNS + column);
}

/* Rows first .. first+count-1 of a split. */
static int score_rows(struct ridge *ridge, const struct scoring *scoring, struct reader *reader,
                      uint64_t first, uint64_t count, enum score_column column, double *sums,
                      struct error *error)
{
    for (uint64_t done = 0; done < count; done += RIDGE_CHUNK) {
        uint64_t rows = count - done < RIDGE_CHUNK ? count - done : RIDGE_CHUNK;
        int code = ridge_make_rows(ridge, reader, first + done, rows, scoring->z, error);
        if (code != ONWARD_OK)
            return code;
        score_chunk(ridge, scoring, rows, column, sums);
    }
    return ONWARD_OK;
}

static int add_subtask(struct ridge *ridge, const struct scoring *scoring, uint32_t subtask,
                       struct error *error)
{
    double sums[CONFIG_MAX_LAMBDAS * SCORE_COLUMNS] = {0};
    uint64_t first, count;
    uint32_t subtasks = (uint32_t)ridge->config->subtasks;
    dataset_part(ridge->config->held_rows, subtasks, subtask, &first, &count);
    int code = score_rows(ridge, scoring, ridge->dataset->train, ridge->learn_rows + first, count,
                          SCORE_HELD_CORRECT, sums, error);
    dataset_part(ridge->dataset->test_rows, subtasks, subtask, &first, &count);
    if (code == ONWARD_OK)
        code = score_rows(ridge, scoring, ridge->dataset->test, first, count, SCORE_TEST_CORRECT,
                          sums, error);
    if (code != ONWARD_OK)
        return code;
    code = onward_sum_add(ridge->ow, subtask, sums);
    return code == ONWARD_OK ? code : step_error(ridge->ow, code, error);
}

static int sum_scores(struct ridge *ridge, const struct scoring *scoring, double *total,
                      struct error *error)
{
    size_t length = (size_t)ridge->config->lambda_count * SCORE_COLUMNS;
    int code = onward_sum_begin(ridge->ow, ONWARD_DOUBLE, length);
    if (code != ONWARD_OK)
        return step_error(ridge->ow, code, error);
    for (uint32_t k = ridge->role.first; k < ridge->role.first + ridge->role.count; k++) {
        code = add_subtask(ridge, scoring, k, error);
        if (code != ONWARD_OK)
            return code;
    }
    code = onward_sum_end(ridge->ow, total);
    return code == ONWARD_OK ? code : step_error(ridge->ow, code, error);
}

int ridge_score(struct ridge *ridge, struct error *error)
{
    double total[CONFIG_MAX_LAMBDAS * SCORE_COLUMNS];
    size_t bytes = (size_t)ridge->config->lambda_count * SCORE_COLUMNS * sizeof *total;
    struct scoring scoring = {
        calloc((ridge->terms + ridge->targets) * RIDGE_CHUNK, sizeof(double)),
        calloc(ridge->config->lambda_count * ridge->targets * RIDGE_CHUNK, sizeof(double))};
    int code = scoring.z && scoring.outputs
                   ? sum_scores(ridge, &scoring, total, error)
                   : error_set(error, ONWARD_ERR_MEMORY, "no memory for scores");
    double *next = code == ONWARD_OK ? onward_write(ridge->ow, ridge->scores) : NULL;
    if (next)
        memcpy(next, total, bytes);
    else if (code == ONWARD_OK)
        code = step_error(ridge->ow, ONWARD_ERR_ORDER, error);
    free(scoring.z);
    free(scoring.outputs);
    return code;
}

double ridge_mean(const struct ridge *ridge, uint32_t index, enum score_column column)
{
    const double *scores = onward_read(ridge->ow, ridge->scores);
    bool held = column == SCORE_HELD_CORRECT || column == SCORE_HELD_SQUARES;
    uint64_t rows = held ? ridge->config->held_rows : ridge->dataset->test_rows;
    bool squares = column == SCORE_HELD_SQUARES || column == SCORE_TEST_SQUARES;
    return scores[(size_t)index * SCORE_COLUMNS + column] /
           (double)(squares ? rows * ridge->targets : rows);
}

/* Most right, or where there are no classes the smallest error; of equal ones the first. */
uint32_t ridge_best(const struct ridge *ridge)
{
    const double *scores = onward_read(ridge->ow, ridge->scores);
    bool classes = ridge->config->target == TARGET_CLASS;
    uint32_t best = 0;
    for (uint32_t l = 1; l < ridge->config->lambda_count; l++) {
        const double *here = scores + (size_t)l * SCORE_COLUMNS;
        const double *there = scores + (size_t)best * SCORE_COLUMNS;
        if (classes ? here[SCORE_HELD_CORRECT] > there[SCORE_HELD_CORRECT]
                    : here[SCORE_HELD_SQUARES] < there[SCORE_HELD_SQUARES])
            best = l;
    }
    return best;
}
