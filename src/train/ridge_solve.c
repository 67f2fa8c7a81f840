/* ridge_solve.c - the weights of one lambda: Z'Z + lambda I is factored in a copy, so that the same
 * Z'Z serves every lambda, and a worker that is lost in it costs this step alone. */
#include <stdlib.h>
#include <string.h>

#include "ridge_state.h"
#include "step_error.h"

/* Copies of the own parts, at least one element each. */
struct copies {
    double *matrix, *solution;
};

static double *copy_part(const struct ridge *ridge, int array)
{
    uint64_t count = 0;
    const double *part = onward_part(ridge->ow, array, &count);
    double *copy = malloc((count + 1) * sizeof *copy);
    if (copy && count > 0)
        memcpy(copy, part, count * sizeof *copy);
    return copy;
}

/* On the own part of the diagonal; the constant term, the last, is not penalised. */
static void add_lambda(const struct ridge *ridge, double lambda, double *matrix)
{
    const struct blocks rows = ridge_rows(ridge, ridge->role.rank);
    const struct blocks columns = ridge_columns(ridge, ridge->role.rank);
    for (uint64_t j = 0; j < ridge->share.columns; j++) {
        uint64_t global = blocks_global(&columns, j), block = global / ridge->block;
        uint64_t i = blocks_first_from(&rows, block * ridge->block) + global % ridge->block;
        if (global + 1 < ridge->terms && i < ridge->share.rows && blocks_global(&rows, i) == global)
            matrix[j * ridge->share.rows + i] += lambda;
    }
}

/* Puts the own part of the solution to its place in [targets, terms]. */
static void spread(const struct ridge *ridge, const double *solution, double *weights)
{
    const struct blocks rows = ridge_rows(ridge, ridge->role.rank);
    const struct blocks right = ridge_right(ridge, ridge->role.rank);
    memset(weights, 0, ridge->targets * ridge->terms * sizeof *weights);
    for (uint64_t c = 0; c < ridge->share.right; c++)
        for (uint64_t i = 0; i < ridge->share.rows; i++)
            weights[blocks_global(&right, c) * ridge->terms + blocks_global(&rows, i)] =
                solution[c * ridge->share.rows + i];
}

static int keep_weights(struct ridge *ridge, uint32_t index, const double *solution,
                        struct error *error)
{
    uint64_t each = ridge->targets * ridge->terms;
    double *next = onward_write(ridge->ow, ridge->weights);
    if (!next)
        return step_error(ridge->ow, ONWARD_ERR_ORDER, error);
    memcpy(next, onward_read(ridge->ow, ridge->weights),
           each * ridge->config->lambda_count * sizeof *next);
    spread(ridge, solution, next + index * each);
    return grid_sum(ridge->role.comm, next + index * each, (int)each);
}

/* Collective; a worker without memory must not leave the others in it. */
static int factor_and_solve(struct ridge *ridge, const struct copies *copies, int *minor,
                            struct error *error)
{
    if (!ridge->grid) {
        int code = grid_open(ridge->role.comm, &ridge->grid, error);
        if (code != ONWARD_OK)
            return code;
    }
    const struct grid_system system = {(int)ridge->terms, (int)ridge->targets, (int)ridge->block,
                                       copies->matrix, copies->solution};
    return grid_solve(ridge->grid, &system, minor);
}

/* Little is kept of a text that ends the task, and the directory would take most of it. */
static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int ridge_solve(struct ridge *ridge, uint32_t index, struct error *error)
{
    int minor = 0;
    double lambda = ridge->config->lambdas[index];
    struct copies copies = {copy_part(ridge, ridge->gram), copy_part(ridge, ridge->moments)};
    int code = copies.matrix && copies.solution
                   ? ONWARD_OK
                   : error_set(error, ONWARD_ERR_MEMORY, "no memory to factor the Gram matrix");
    if (code == ONWARD_OK) {
        add_lambda(ridge, lambda, copies.matrix);
        code = factor_and_solve(ridge, &copies, &minor, error);
    }
    if (code == ONWARD_ERR_ARGUMENT)
        code = error_set(error, ONWARD_ERR_GAVE_UP,
                         "ScaLAPACK refuses a system of %llu terms in blocks of %llu",
                         (unsigned long long)ridge->terms, (unsigned long long)ridge->block);
    if (code == ONWARD_OK && minor > 0)
        code = error_set(error, ONWARD_ERR_GAVE_UP,
                         "%.80s: train.lambda: with %g the Gram matrix of %llu terms is not "
                         "positive definite (leading minor %d), expected a larger one",
                         name_of(ridge->config->path), lambda, (unsigned long long)ridge->terms,
                         minor);
    if (code == ONWARD_OK)
        code = keep_weights(ridge, index, copies.solution, error);
    free(copies.matrix);
    free(copies.solution);
    return code;
}
