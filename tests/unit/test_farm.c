/* test_farm.c - which commands of a farm are executed without a shell, and the keeper that runs
 * them: results, timeouts, and that nothing is left. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "farm.h"
#include "run_suite.h"

static char directory[] = "/tmp/onward-test-keeper.XXXXXX";

static void check_split(const char *command, int expected, const char *last)
{
    char text[256], *words[9];
    snprintf(text, sizeof text, "%s", command);
    bool split = farm_split(text, words, 8);
    ck_assert_int_eq(split, expected > 0);
    if (!split)
        return;
    ck_assert_str_eq(words[expected - 1], last);
    ck_assert_ptr_null(words[expected]);
}

START_TEST(plain_words_need_no_shell)
{
    check_split("/bin/true", 1, "/bin/true");
    check_split("  a\tb  c ", 3, "c");
    check_split("prog --size=3 x,y:z@w %", 4, "%");
    check_split("1 2 3 4 5 6 7 8", 8, "8");
    check_split("1 2 3 4 5 6 7 8 9", 0, NULL); /* more than there is room for */
    check_split("", 0, NULL);
    check_split(" \t", 0, NULL);
}
END_TEST

START_TEST(what_a_shell_would_see_needs_one)
{
    static const char *const commands[] = {
        "a 'b'", "a \"b\"", "a $b", "a `b`",  "a|b",   "a&",     "a;b",      "a>b",   "a<b",
        "(a)",   "a *",     "a ?",  "a [b",   "a {b}", "a ~/b",  "a # b",    "! a",   "a\nb",
        "a\\ b", "A=1 b",   "cd /", "exit 3", "if a",  "exec b", ". ./file", "kill 1"};
    check_split(commands[_i], 0, NULL);
}
END_TEST

/* An order is a shell command. */
struct order {
    struct keeper_name name;
    char text[200];
};

struct context {
    char output[64], error_output[64], option[4], shell[8];
    char *arguments[4];
};

static void setup(void *context, const void *bytes, size_t size)
{
    (void)context;
    (void)bytes;
    (void)size;
}

static int prepare(void *taken, const void *bytes, struct keeper_launch *launch,
                   struct error *error)
{
    struct context *context = taken;
    const struct order *order = bytes;
    if (!*order->text)
        return error_set(error, ONWARD_ERR_CORRUPT, "an empty order");
    snprintf(context->output, sizeof context->output, "%s/%u.out", directory, order->name.id);
    snprintf(context->error_output, sizeof context->error_output, "%s/%u.err", directory,
             order->name.id);
    context->arguments[0] = strcpy(context->shell, "/bin/sh");
    context->arguments[1] = strcpy(context->option, "-c");
    context->arguments[2] = (char *)order->text;
    launch->arguments = context->arguments;
    launch->environment = environ;
    launch->output = context->output;
    launch->error_output = context->error_output;
    return ONWARD_OK;
}

static struct keeper *start_keeper(double timeout_s, double grace_s)
{
    static struct context context;
    struct keeper_settings settings = {.order_bytes = sizeof(struct order),
                                       .timeout_s = timeout_s,
                                       .grace_s = grace_s,
                                       .context = &context,
                                       .setup = setup,
                                       .prepare = prepare};
    struct keeper *keeper;
    struct error error;
    ck_assert_int_eq(keeper_start(&settings, &keeper, &error), ONWARD_OK);
    return keeper;
}

static void give(struct keeper *keeper, uint32_t id, const char *text)
{
    struct order order = {.name = {id, 1}};
    snprintf(order.text, sizeof order.text, "%s", text);
    ck_assert(keeper_give(keeper, &order, 1));
}

/* Several may come at once. */
static struct keeper_result take(struct keeper *keeper)
{
    static struct keeper_result results[KEEPER_RESULTS_AT_ONCE];
    static int next, count;
    struct pollfd fd = {keeper_fd(keeper), POLLIN, 0};
    if (next == count) {
        ck_assert_int_eq(poll(&fd, 1, 30000), 1);
        next = 0;
        count = keeper_take(keeper, results, KEEPER_RESULTS_AT_ONCE);
        ck_assert_int_gt(count, 0);
    }
    return results[next++];
}

static long number_in(uint32_t id)
{
    char path[64];
    long number = 0;
    snprintf(path, sizeof path, "%s/%u.out", directory, id);
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%ld", &number) != 1)
            number = 0;
        fclose(file);
    }
    return number;
}

static bool is_gone(long pid)
{
    for (int i = 0; i < 500; i++) {
        if (kill((pid_t)pid, 0) != 0 && errno == ESRCH)
            return true;
        usleep(10000);
    }
    return false;
}

START_TEST(results_say_how_it_ended)
{
    struct keeper *keeper = start_keeper(0, 1);
    give(keeper, 1, "printf 12345; exit 3");
    struct keeper_result result = take(keeper);
    ck_assert_uint_eq(result.name.id, 1);
    ck_assert_uint_eq(result.exit_status, 3);
    ck_assert_uint_eq(result.out_bytes, 5);
    ck_assert_uint_eq(result.err_bytes, 0);
    ck_assert_int_eq(number_in(1), 12345);
    give(keeper, 2, "kill -9 $$");
    ck_assert_uint_eq(take(keeper).signal, 9);
    ck_assert_int_eq(number_in(2), 0); /* nothing was written: no file */
    give(keeper, 3, "");
    result = take(keeper);
    ck_assert_uint_eq(result.exit_status, 126);
    keeper_stop(keeper, true);
}
END_TEST

START_TEST(a_late_one_is_ended_with_all_it_started)
{
    struct keeper *keeper = start_keeper(0.3, 0.2);
    give(keeper, 1, "trap '' TERM; setsid sleep 1000 & echo $!; sleep 1000");
    struct keeper_result result = take(keeper);
    ck_assert_uint_eq(result.timed_out, 1);
    ck_assert_uint_eq(result.signal, 9);
    ck_assert_int_ge(result.run_us, 450000);
    ck_assert(is_gone(number_in(1)));
    keeper_stop(keeper, true);
}
END_TEST

START_TEST(what_is_left_behind_is_killed)
{
    struct keeper *keeper = start_keeper(0, 1);
    give(keeper, 1, "setsid sh -c 'trap \"\" TERM; sleep 1000' & echo $!");
    ck_assert_uint_eq(take(keeper).exit_status, 0);
    ck_assert(is_gone(number_in(1)));
    keeper_stop(keeper, true);
}
END_TEST

/* Gives a command that runs when this returns. */
static void give_running(struct keeper *keeper, uint32_t id, const char *text)
{
    char whole[160], path[64];
    snprintf(path, sizeof path, "%s/9.out", directory);
    unlink(path);
    snprintf(whole, sizeof whole, "echo 1 >%s; %s", path, text);
    give(keeper, id, whole);
    for (int i = 0; i < 500 && number_in(9) == 0; i++)
        usleep(10000);
    ck_assert_int_eq(number_in(9), 1);
}

START_TEST(what_waits_can_be_dropped)
{
    struct keeper *keeper = start_keeper(0, 1);
    give_running(keeper, 1, "sleep 0.5");
    give(keeper, 2, "echo 2");
    ck_assert(keeper_drop(keeper));
    struct keeper_result first = take(keeper), second = take(keeper);
    ck_assert_uint_eq(first.name.id == 2 ? first.ended : second.ended, 1);
    ck_assert_uint_eq(first.name.id == 1 ? first.ended : second.ended, 0);
    ck_assert_int_eq(number_in(2), 0);
    give(keeper, 3, "echo 3");
    ck_assert_uint_eq(take(keeper).exit_status, 0);
    give_running(keeper, 4, "exec sleep 1000");
    ck_assert(keeper_end_all(keeper));
    second = take(keeper);
    ck_assert_uint_eq(second.ended, 1);
    ck_assert_uint_eq(second.signal, 15);
    keeper_stop(keeper, true);
}
END_TEST

/* The worker dies: the socket is closed, without a word. */
START_TEST(nothing_outlives_the_worker)
{
    struct keeper *keeper = start_keeper(0, 100);
    char text[160];
    snprintf(text, sizeof text, "trap '' TERM HUP; sleep 1000 & echo $! >%s/8.out; sleep 1000",
             directory);
    give(keeper, 1, text);
    for (int i = 0; i < 500 && number_in(8) == 0; i++)
        usleep(10000);
    ck_assert_int_gt(number_in(8), 0);
    keeper_stop(keeper, false);
    ck_assert(is_gone(number_in(8)));
}
END_TEST

int main(void)
{
    if (!mkdtemp(directory))
        return 1;
    Suite *suite = suite_create("farm");
    TCase *cases = tcase_create("farm");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, plain_words_need_no_shell);
    tcase_add_loop_test(cases, what_a_shell_would_see_needs_one, 0, 26);
    tcase_add_test(cases, results_say_how_it_ended);
    tcase_add_test(cases, a_late_one_is_ended_with_all_it_started);
    tcase_add_test(cases, what_is_left_behind_is_killed);
    tcase_add_test(cases, what_waits_can_be_dropped);
    tcase_add_test(cases, nothing_outlives_the_worker);
    suite_add_tcase(suite, cases);
    int failed = run_suite(suite);
    char remove[64];
    snprintf(remove, sizeof remove, "rm -r %s", directory);
    return failed || system(remove) != 0;
}
