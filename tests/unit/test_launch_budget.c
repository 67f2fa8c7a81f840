/* test_launch_budget.c - restarts against progress: what is used, given back, and when it is over.
 */
#include <check.h>

#include "budget.h"
#include "run_suite.h"

/* One incarnation: how far it came and how long it ran; then what is used, how many were stuck, and
 * the pause before the next. */
struct row {
    int64_t step;
    double seconds;
    int used, stuck;
    double pause_s;
};

static void play(struct budget *budget, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        budget_account(budget, rows[i].step, 0, rows[i].seconds);
        ck_assert_msg(budget->used == rows[i].used && budget->stuck == rows[i].stuck,
                      "row %zu: used %d, stuck %d", i, budget->used, budget->stuck);
        ck_assert_msg(budget_pause_s(budget) == rows[i].pause_s, "row %zu: pause", i);
        budget_take(budget);
    }
}

START_TEST(counts_and_pauses)
{
    static const struct row rows[] = {{10, 1, 0, 0, 0},  {20, 1, 1, 0, 1}, {30, 1, 2, 0, 2},
                                      {40, 1, 3, 0, 4},  {50, 1, 4, 0, 8}, {60, 1, 5, 0, 16},
                                      {70, 1, 6, 0, 30}, {80, 1, 7, 0, 30}};
    struct budget budget = {.max = 5};
    play(&budget, rows, 5);
    ck_assert(!budget_allows(&budget));
    budget = (struct budget){.max = 100};
    play(&budget, rows, sizeof rows / sizeof *rows);
    ck_assert(budget_allows(&budget));
}
END_TEST

START_TEST(gives_back_by_progress)
{
    static const struct row rows[] = {{10, 1, 0, 0, 0},  {20, 1, 1, 0, 1},   {119, 1, 2, 0, 2},
                                      {219, 1, 2, 0, 2}, {220, 61, 2, 0, 2}, {520, 59, 0, 0, 0},
                                      {530, 1, 1, 0, 1}, {540, 600, 0, 0, 0}};
    struct budget budget = {.max = 100};
    play(&budget, rows, sizeof rows / sizeof *rows);
}
END_TEST

START_TEST(counts_the_stuck)
{
    static const struct row rows[] = {{10, 1, 0, 0, 0},
                                      {10, 600, 1, 1, 1},
                                      {-1, 0, 2, 2, 2},
                                      {11, 1, 3, 0, 4},
                                      {10, 1, 4, 1, 8},
                                      {11, 1, 5, 2, 16},
                                      {11, 1, 6, BUDGET_STUCK_LIMIT, 30}};
    struct budget budget = {.max = 100};
    play(&budget, rows, sizeof rows / sizeof *rows);
    ck_assert_int_eq((int)budget.best_step, 11);
}
END_TEST

/* Checkpoints are taken while steps that were lost are done again: it gets on, if slowly. */
START_TEST(counts_checkpoints_as_progress)
{
    struct budget budget = {.max = 100};
    budget_account(&budget, 5000, 3000, 1);
    budget_account(&budget, 4000, 3800, 1);
    budget_account(&budget, 4500, 4300, 61);
    ck_assert_int_eq(budget.stuck, 0);
    ck_assert_int_eq((int)budget.best_step, 5000);
    budget_account(&budget, 4900, 4300, 1);
    ck_assert_int_eq(budget.stuck, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("budget");
    TCase *tests = tcase_create("budget");
    tcase_add_test(tests, counts_and_pauses);
    tcase_add_test(tests, gives_back_by_progress);
    tcase_add_test(tests, counts_the_stuck);
    tcase_add_test(tests, counts_checkpoints_as_progress);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
