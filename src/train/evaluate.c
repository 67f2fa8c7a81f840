/* evaluate.c - each worker scores the parts of its own subtasks; onward_sum adds them in double. */
#include "evaluate.h"

#include "step_error.h"

static int score_part(const struct dataset *dataset, uint32_t subtask_count, uint32_t subtask,
                      uint32_t chunk, struct network *network, const float *parameters,
                      struct network_score *score, struct error *error)
{
    uint64_t first, count;
    dataset_part(dataset->test_rows, subtask_count, subtask, &first, &count);
    for (uint64_t end = first + count; first < end; first += chunk) {
        uint32_t rows = end - first < chunk ? (uint32_t)(end - first) : chunk;
        int code = reader_rows_range(dataset->test, first, rows, network_input(network),
                                     network_labels(network), error);
        if (code != ONWARD_OK)
            return code;
        network_evaluate(network, parameters, rows, score);
    }
    return ONWARD_OK;
}

int evaluate_test(struct onward *ow, const struct onward_role *role, const struct dataset *dataset,
                  uint32_t subtask_count, uint32_t chunk, struct network *network,
                  const float *parameters, struct evaluation *evaluation, struct error *error)
{
    double total[2] = {0.0, 0.0};
    int code = onward_sum_begin(ow, ONWARD_DOUBLE, 2);
    for (uint32_t k = role->first; code == ONWARD_OK && k < role->first + role->count; k++) {
        struct network_score score = {0.0, 0.0};
        code = score_part(dataset, subtask_count, k, chunk, network, parameters, &score, error);
        if (code != ONWARD_OK)
            return code;
        if (!onward_ok(ow))
            return ONWARD_ERR_LOST;
        const double contribution[2] = {score.correct, score.loss};
        code = onward_sum_add(ow, k, contribution);
    }
    if (code == ONWARD_OK)
        code = onward_sum_end(ow, total);
    if (code != ONWARD_OK)
        return step_error(ow, code, error);
    evaluation->accuracy = total[0] / (double)dataset->test_rows;
    evaluation->loss = total[1] / (double)dataset->test_rows;
    return ONWARD_OK;
}
