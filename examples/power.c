/* power.c - the loop of power_plain.c, elastic: any worker, and the controller, may die; the result
 * has the same bits for any number of workers. Vector and eigenvalue are in onward's memory, so
 * that all processes may die at once, too, and the next start goes on from the newest step.
 *
 *     onward run -n 4 -- ./power
 *     onward run -n 4 --inject kill:worker=2@step=100 -- ./power */
#include <stdio.h>
#include <string.h>

#include "onward.h"
#include "power.h"

static double part[ORDER], total[ORDER];
static int vector, eigenvalue; /* arrays of onward_alloc */

static void do_step(struct onward *ow, const struct onward_role *role)
{
    const double *x = onward_read(ow, vector);
    onward_sum_begin(ow, ONWARD_DOUBLE, ORDER);
    for (uint32_t block = role->first; block < role->first + role->count; block++) {
        memset(part, 0, sizeof part);
        multiply_block((int)block, x, part);
        onward_sum_add(ow, block, part);
    }
    if (onward_sum_end(ow, total) == ONWARD_OK)
        *(double *)onward_write(ow, eigenvalue) = normalise(total, onward_write(ow, vector));
}

static void work(struct onward *ow)
{
    static const uint64_t order[] = {ORDER}, one[] = {1};
    struct onward_role role;
    int verdict;
    if (onward_alloc(ow, "x", ONWARD_DOUBLE, 1, order, ONWARD_REPLICATED, &vector) != ONWARD_OK ||
        onward_alloc(ow, "eigenvalue", ONWARD_DOUBLE, 1, one, ONWARD_REPLICATED, &eigenvalue) !=
            ONWARD_OK)
        return;
    start_vector(onward_write(ow, vector));
    while ((verdict = onward_next(ow, &role)) > ONWARD_DONE) {
        if (verdict == ONWARD_STEP)
            do_step(ow, &role);
        else if (role.rank == 0) /* ONWARD_FINISH */
            printf("largest eigenvalue %.12f\n", *(const double *)onward_read(ow, eigenvalue));
    }
}

int main(void)
{
    struct onward_options options;
    struct onward *ow;
    onward_options_init(&options);
    options.subtask_count = BLOCKS;
    options.step_count = STEPS;
    options.wants_finish = true;
    if (onward_open(MPI_COMM_NULL, &options, &ow) != ONWARD_OK) {
        fprintf(stderr, "power: %s\n", onward_text(NULL));
        return 1;
    }
    if (onward_is_controller(ow))
        onward_control(ow);
    else
        work(ow);
    return onward_exit_code(onward_close(ow));
}
