/* test_train_optimizer.c - updates and learning rates against values computed by hand. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "optimizer.h"
#include "run_suite.h"

enum { MAX_COUNT = 37 };

static const struct {
    const char *what;
    struct optimizer optimizer;
    int64_t step;
    double rate;
} rates[] = {
    {"constant", {.learning_rate = 0.5, .step_count = 100}, 70, 0.5},
    {"first step of the warm-up", {.learning_rate = 0.5, .warmup_steps = 10}, 0, 0.05},
    {"last step of the warm-up", {.learning_rate = 0.5, .warmup_steps = 10}, 9, 0.5},
    {"step schedule before",
     {.learning_rate = 1, .schedule = SCHEDULE_STEP, .decay_steps = 30, .decay_factor = 0.1},
     29,
     1},
    {"step schedule twice",
     {.learning_rate = 1, .schedule = SCHEDULE_STEP, .decay_steps = 30, .decay_factor = 0.1},
     60,
     0.01},
    {"cosine at its start",
     {.learning_rate = 2, .schedule = SCHEDULE_COSINE, .warmup_steps = 20, .step_count = 120},
     20,
     2},
    {"cosine half way",
     {.learning_rate = 2, .schedule = SCHEDULE_COSINE, .warmup_steps = 20, .step_count = 120},
     70,
     1},
    {"cosine beyond its end",
     {.learning_rate = 2, .schedule = SCHEDULE_COSINE, .step_count = 100},
     130,
     0},
};

START_TEST(rate_follows_the_schedule)
{
    ck_assert_msg(fabs(optimizer_rate(&rates[_i].optimizer, rates[_i].step) - rates[_i].rate) <
                      1e-12,
                  "%s", rates[_i].what);
}
END_TEST

/* Out of place, and back into the same arrays, as the tests read best. */
static void update(const struct optimizer *optimizer, int64_t step, const float *gradient,
                   float *parameters, float *const moments[OPTIMIZER_MAX_MOMENTS], size_t count)
{
    float next_parameters[MAX_COUNT], next_moments[OPTIMIZER_MAX_MOMENTS][MAX_COUNT];
    struct optimizer_state state = {parameters, {moments[0], moments[1]}};
    struct optimizer_next next = {next_parameters, {next_moments[0], next_moments[1]}};
    optimizer_update(optimizer, step, gradient, &state, &next, count);
    memcpy(parameters, next_parameters, count * sizeof *parameters);
    for (int i = 0; i < optimizer_moment_count(optimizer); i++)
        memcpy(moments[i], next_moments[i], count * sizeof *parameters);
}

START_TEST(sgd_with_momentum_and_decay)
{
    struct optimizer sgd = {
        .name = OPTIMIZER_SGD, .learning_rate = 0.1, .momentum = 0.5, .weight_decay = 0.25};
    float gradient[2] = {1.0F, -2.0F}, parameters[2] = {4.0F, 8.0F}, velocity[2] = {0.0F, 2.0F};
    float *moments[OPTIMIZER_MAX_MOMENTS] = {velocity, NULL};
    ck_assert_int_eq(optimizer_moment_count(&sgd), 1);
    update(&sgd, 0, gradient, parameters, moments, 2);
    /* velocity = 0.5 v + (g + 0.25 w): 2 and 1; w - 0.1 velocity: 3.8 and 7.9 */
    ck_assert_float_eq_tol(velocity[0], 2.0F, 1e-6F);
    ck_assert_float_eq_tol(velocity[1], 1.0F, 1e-6F);
    ck_assert_float_eq_tol(parameters[0], 3.8F, 1e-6F);
    ck_assert_float_eq_tol(parameters[1], 7.9F, 1e-6F);
}
END_TEST

/* The definition, in double: m, v, their corrections, and the decay apart from them. */
static void adam_by_definition(double gradient, double *w, double *m, double *v, int step)
{
    *m = 0.9 * *m + 0.1 * gradient;
    *v = 0.99 * *v + 0.01 * gradient * gradient;
    double corrected_m = *m / (1 - pow(0.9, step + 1)),
           corrected_v = *v / (1 - pow(0.99, step + 1));
    *w = *w - 0.01 * 0.1 * *w - 0.01 * corrected_m / (sqrt(corrected_v) + 1e-3);
}

START_TEST(adam_follows_its_definition)
{
    struct optimizer adam = {.name = OPTIMIZER_ADAM,
                             .learning_rate = 0.01,
                             .beta1 = 0.9,
                             .beta2 = 0.99,
                             .epsilon = 1e-3,
                             .weight_decay = 0.1};
    float parameter = 0.5F, first = 0.0F, second = 0.0F;
    float *moments[OPTIMIZER_MAX_MOMENTS] = {&first, &second};
    double w = 0.5, m = 0.0, v = 0.0;
    ck_assert_int_eq(optimizer_moment_count(&adam), 2);
    for (int step = 0; step < 20; step++) {
        float gradient = (float)(step % 5) - 1.5F;
        update(&adam, step, &gradient, &parameter, moments, 1);
        adam_by_definition((double)gradient, &w, &m, &v, step);
        ck_assert_double_eq_tol((double)parameter, w, 1e-5);
    }
}
END_TEST

/* How an array is cut must not show: the vector loop and its rest give the same bits. */
START_TEST(elements_do_not_depend_on_their_place)
{
    enum { COUNT = MAX_COUNT };
    struct optimizer adam = {.name = OPTIMIZER_ADAM,
                             .learning_rate = 0.013,
                             .beta1 = 0.9,
                             .beta2 = 0.999,
                             .epsilon = 1e-8,
                             .weight_decay = 0.017};
    float gradient[COUNT], parameters[COUNT], first[COUNT], second[COUNT];
    adam.name = _i;
    for (int i = 0; i < COUNT; i++) {
        gradient[i] = 0.3F;
        parameters[i] = 0.7F;
        first[i] = second[i] = 0.11F;
    }
    float *moments[OPTIMIZER_MAX_MOMENTS] = {first, second};
    update(&adam, 4, gradient, parameters, moments, COUNT);
    for (int i = 1; i < COUNT; i++)
        ck_assert_mem_eq(&parameters[i], &parameters[0], sizeof parameters[0]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("train optimizer");
    TCase *cases = tcase_create("optimizer");
    tcase_add_loop_test(cases, rate_follows_the_schedule, 0, sizeof rates / sizeof rates[0]);
    tcase_add_test(cases, sgd_with_momentum_and_decay);
    tcase_add_test(cases, adam_follows_its_definition);
    tcase_add_loop_test(cases, elements_do_not_depend_on_their_place, OPTIMIZER_SGD,
                        OPTIMIZER_ADAM + 1);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
