/* power.c - the loop of power_plain.c, elastic: any worker, and the controller, may die; the result
 * has the same bits for any number of workers. All may die at once, too: the library keeps a copy
 * of the protected arrays, and the next start goes on from the newest step.
 *
 *     onward run -n 4 -- ./power
 *     onward run -n 4 --inject kill:worker=2@step=100 -- ./power */
#include <stdio.h>
#include <string.h>

#include "onward.h"
#include "power.h"

static double x[ORDER], part[ORDER], total[ORDER], eigenvalue;

int main(void)
{
    struct onward_options options;
    struct onward_role role;
    struct onward *ow;
    int verdict;
    onward_options_init(&options);
    options.subtask_count = BLOCKS;
    options.step_count = STEPS;
    options.wants_finish = true;
    if (onward_open(MPI_COMM_NULL, &options, &ow) != ONWARD_OK)
        return fprintf(stderr, "power: %s\n", onward_text(NULL)), 1;
    if (onward_is_controller(ow))
        return onward_control(ow), onward_exit_code(onward_close(ow));
    onward_protect(ow, "x", x, ONWARD_DOUBLE, 1, (uint64_t[]){ORDER}, ONWARD_REPLICATED);
    onward_protect(ow, "eigenvalue", &eigenvalue, ONWARD_DOUBLE, 1, (uint64_t[]){1},
                   ONWARD_REPLICATED);
    onward_describe(ow, "x", "row", "1"); /* what any HDF5 program shows of a checkpoint */
    onward_describe(ow, "eigenvalue", NULL, "1");
    start_vector(x);
    while ((verdict = onward_next(ow, &role)) > ONWARD_DONE) {
        if (verdict == ONWARD_FINISH) { /* done again where a member is lost in it */
            if (role.rank == 0)
                printf("largest eigenvalue %.12f\n", eigenvalue);
            continue;
        }
        onward_sum_begin(ow, ONWARD_DOUBLE, ORDER);
        for (uint32_t block = role.first; block < role.first + role.count; block++) {
            memset(part, 0, sizeof part);
            multiply_block((int)block, x, part);
            onward_sum_add(ow, block, part);
        }
        if (onward_sum_end(ow, total) == ONWARD_OK)
            eigenvalue = normalise(total, x);
    }
    return onward_exit_code(onward_close(ow));
}
