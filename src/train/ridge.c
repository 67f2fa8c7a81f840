/* ridge.c - the loop of the trainer `ridge`.
 *
 * Steps: one for each batch of samples, which adds it to Z'Z and Z'Y; one for each lambda, which
 * solves for its weights; one that scores them all. A step in which a worker was lost is left at
 * once and done again, by the grid of those that are there then. */
#include "ridge.h"

#include "ridge_state.h"

static int do_step(struct ridge *ridge, struct error *error)
{
    int64_t solving = ridge->role.step - config_batch_steps(ridge->config);
    int64_t lambdas = ridge->config->lambda_count;
    int code = ONWARD_OK; /* beyond the last step, where the task was made longer */
    if (solving < 0)
        code = ridge_accumulate(ridge, error);
    else if (solving < lambdas)
        code = ridge_solve(ridge, (uint32_t)solving, error);
    else if (solving == lambdas)
        code = ridge_score(ridge, error);
    return onward_ok(ridge->ow) ? code : ONWARD_ERR_LOST;
}

/* The first worker writes the result. */
static int finish(struct ridge *ridge, struct error *error)
{
    if (ridge->role.step < ridge->config->steps) {
        onward_warn(ridge->ow, "ridge: ended before the last step, so there is no result.h5");
        return ONWARD_OK;
    }
    uint32_t best = ridge_best(ridge);
    onward_metric(ridge->ow, "lambda", ridge->config->lambdas[best]);
    if (ridge->config->target == TARGET_CLASS)
        onward_metric(ridge->ow, "accuracy", ridge_mean(ridge, best, SCORE_TEST_CORRECT));
    onward_metric(ridge->ow, "squared_error", ridge_mean(ridge, best, SCORE_TEST_SQUARES));
    return ridge->role.rank == 0 ? ridge_write_result(ridge, error) : ONWARD_OK;
}

static int loop(struct ridge *ridge, struct error *error)
{
    struct onward_role role;
    int verdict;
    while ((verdict = onward_next(ridge->ow, &role)) > 0) {
        int code = role.changed ? ridge_take_role(ridge, &role, error) : ONWARD_OK;
        ridge->role.step = role.step;
        if (code == ONWARD_OK)
            code = verdict == ONWARD_STEP ? do_step(ridge, error) : finish(ridge, error);
        if (code == ONWARD_ERR_GAVE_UP) /* it would be so on any lineup: no use in starting again */
            onward_give_up(ridge->ow, code, error->text);
        else if (code != ONWARD_OK && code != ONWARD_ERR_LOST)
            return code;
    }
    return ONWARD_OK;
}

int ridge_run(struct onward *ow, const struct config *config, const struct dataset *dataset,
              struct error *error)
{
    struct ridge *ridge;
    int code = ridge_create(ow, config, dataset, &ridge, error);
    if (code == ONWARD_OK)
        code = loop(ridge, error);
    ridge_destroy(ridge);
    return code;
}
