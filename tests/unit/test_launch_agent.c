/* test_launch_agent.c - one command on many hosts at once: those that hang cost the others nothing,
 * wherever they stand in the list, and all of them together the one limit. The agent is a script
 * that runs the command here, and hangs for hosts called so. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent.h"
#include "run_suite.h"
#include "say.h"

static char script[] = "/tmp/test-agent-XXXXXX";
static char *const command[] = {"echo", "well", NULL};

static void write_script(void)
{
    FILE *file = fdopen(mkstemp(script), "w");
    ck_assert_ptr_nonnull(file);
    fputs("[ \"$1\" = hang ] && kill -STOP $$\neval \"$2\"\n", file);
    ck_assert_int_eq(fclose(file), 0);
}

static void remove_script(void)
{
    unlink(script);
}

/* `hanging` hosts that hang, then one that does not; returns how long all of it took. */
static double ask(uint32_t hanging, double limit_s, struct agent_call *calls)
{
    struct error error;
    char agent[64];
    snprintf(agent, sizeof agent, "sh %s", script);
    double begin_s = clock_now_s();
    for (uint32_t i = 0; i <= hanging; i++)
        calls[i].host = i < hanging ? "hang" : "well";
    ck_assert_int_eq(agent_run(agent, command, calls, hanging + 1, limit_s, AGENT_PATIENT, &error),
                     ONWARD_OK);
    return clock_now_s() - begin_s;
}

/* Fewer and more than there is room for, which is twice AGENT_AT_ONCE. */
static const struct {
    uint32_t hanging;
    double limit_s;
} crowds[] = {{3, 1}, {20, 3}};

START_TEST(who_hangs_costs_the_others_nothing)
{
    char line[100];
    uint32_t hanging = crowds[_i].hanging;
    double limit_s = crowds[_i].limit_s;
    struct agent_call *calls = calloc(hanging + 1, sizeof *calls);
    ck_assert_ptr_nonnull(calls);
    double took_s = ask(hanging, limit_s, calls);
    ck_assert_msg(took_s < limit_s + 3, "took %g s", took_s);
    for (uint32_t i = 0; i < hanging; i++)
        ck_assert_msg(calls[i].timed_out && calls[i].status == -1, "host %u", i);
    agent_last_line(&calls[hanging], line, sizeof line);
    ck_assert_msg(calls[hanging].status == 0 && !calls[hanging].timed_out, "not asked: %s", line);
    ck_assert_str_eq(line, "well");
    free(calls);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent");
    TCase *tests = tcase_create("agent");
    tcase_add_unchecked_fixture(tests, write_script, remove_script);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, who_hangs_costs_the_others_nothing, 0,
                        (int)(sizeof crowds / sizeof *crowds));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
