/* test_launch_refill.c - how long a lineup that lacks members waits for a planned start. */
#include <check.h>

#include "refill.h"
#include "run_suite.h"

/* Each start that fills the lineup up, after an incarnation that ran so long; then the next wait.
 */
struct row {
    double ran_s;
    bool fills;
    double wait_s;
};

static void play(const struct row *rows, size_t count)
{
    struct refill refill = {.doublings = 0};
    ck_assert(refill_wait_s(&refill, 0) == 10);
    for (size_t i = 0; i < count; i++) {
        refill_wait_s(&refill, rows[i].ran_s);
        refill.since_s = 1;
        refill_begin(&refill, rows[i].fills);
        ck_assert(refill.since_s == 0);
        double wait_s = refill_wait_s(&refill, 0);
        ck_assert_msg(wait_s == rows[i].wait_s, "row %zu: %g s", i, wait_s);
    }
}

START_TEST(each_start_doubles_the_next_wait)
{
    static const struct row rows[] = {{11, true, 20},   {21, true, 40},   {41, true, 80},
                                      {81, true, 160},  {161, true, 320}, {321, true, 640},
                                      {641, true, 640}, {641, true, 640}};
    play(rows, sizeof rows / sizeof *rows);
}
END_TEST

/* A loss that mpirun or the controller made good, or a host that was added. */
START_TEST(another_start_does_not)
{
    static const struct row rows[] = {
        {11, true, 20}, {3, false, 20}, {3, false, 20}, {21, true, 40}};
    play(rows, sizeof rows / sizeof *rows);
}
END_TEST

START_TEST(a_long_calm_begins_anew)
{
    static const struct row rows[] = {
        {11, true, 20}, {199, true, 40}, {399, true, 80}, {801, true, 20}, {201, false, 10}};
    play(rows, sizeof rows / sizeof *rows);
}
END_TEST

START_TEST(what_was_asked_for_does_not_count)
{
    struct refill refill = {.is_asked = true, .doublings = 1};
    refill_begin(&refill, true);
    ck_assert(refill_wait_s(&refill, 0) == 20 && !refill.is_asked);
}
END_TEST

START_TEST(the_fewer_are_missing_the_longer)
{
    ck_assert(refill_wait_for_s(10, 4, 4) == 10);
    ck_assert(refill_wait_for_s(10, 1, 4) == 10);
    ck_assert(refill_wait_for_s(10, 1, 8) == 20);
    ck_assert(refill_wait_for_s(20, 1, 100) == 500);
    ck_assert(refill_wait_for_s(10, 1u << 31, 1u << 31) == 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("refill");
    TCase *tests = tcase_create("refill");
    tcase_add_test(tests, each_start_doubles_the_next_wait);
    tcase_add_test(tests, another_start_does_not);
    tcase_add_test(tests, a_long_calm_begins_anew);
    tcase_add_test(tests, what_was_asked_for_does_not_count);
    tcase_add_test(tests, the_fewer_are_missing_the_longer);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
