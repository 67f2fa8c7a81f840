/* test_inject.c - the grammar of --inject: what is read, and what is refused with which words. */
#include <check.h>
#include <string.h>

#include "inject.h"
#include "run_suite.h"

static const struct {
    const char *text;
    struct inject_fault fault;
} good[] = {
    {"kill:worker=2@step=300",
     {.kind = INJECT_KILL, .target = INJECT_WORKER, .trigger = INJECT_AT_STEP, 0, 2, 300, ""}},
    {"kill:controller@step=50",
     {.kind = INJECT_KILL, .target = INJECT_CONTROLLER, .trigger = INJECT_AT_STEP, 0, 0, 50, ""}},
    {"kill:host=n3@step=40",
     {.kind = INJECT_KILL, .target = INJECT_HOST, .trigger = INJECT_AT_STEP, 0, 0, 40, "n3"}},
    {"stop:worker=1@step=9",
     {.kind = INJECT_STOP, .target = INJECT_WORKER, .trigger = INJECT_AT_STEP, 0, 1, 9, ""}},
    {"kill:worker=0@phase=sum",
     {INJECT_KILL, INJECT_WORKER, INJECT_AT_PHASE, INJECT_PHASE_SUM, 0, 0, ""}},
    {"kill:worker=0@phase=checkpoint",
     {INJECT_KILL, INJECT_WORKER, INJECT_AT_PHASE, INJECT_PHASE_CHECKPOINT, 0, 0, ""}},
    {"stop:controller@phase=reform",
     {INJECT_STOP, INJECT_CONTROLLER, INJECT_AT_PHASE, INJECT_PHASE_REFORM, 0, 0, ""}},
    {"kill:newcomer@phase=join",
     {INJECT_KILL, INJECT_NEWCOMER, INJECT_AT_PHASE, INJECT_PHASE_JOIN, 0, 0, ""}},
    {"kill:spare@phase=agree",
     {INJECT_KILL, INJECT_SPARE, INJECT_AT_PHASE, INJECT_PHASE_AGREE, 0, 0, ""}},
    {"kill:controller@phase=spawn",
     {INJECT_KILL, INJECT_CONTROLLER, INJECT_AT_PHASE, INJECT_PHASE_SPAWN, 0, 0, ""}},
    {"kill:worker=7@phase=finish",
     {INJECT_KILL, INJECT_WORKER, INJECT_AT_PHASE, INJECT_PHASE_FINISH, 7, 0, ""}},
};

START_TEST(reads_a_fault)
{
    struct inject_fault fault;
    struct error error = {.text = ""};
    int count = 9;
    ck_assert_int_eq(inject_parse(good[_i].text, &fault, 1, &count, &error), ONWARD_OK);
    ck_assert_int_eq(count, 1);
    ck_assert_int_eq(fault.kind, good[_i].fault.kind);
    ck_assert_int_eq(fault.target, good[_i].fault.target);
    ck_assert_int_eq(fault.trigger, good[_i].fault.trigger);
    ck_assert_int_eq(fault.phase, good[_i].fault.phase);
    ck_assert_int_eq(fault.index, good[_i].fault.index);
    ck_assert_str_eq(fault.host, good[_i].fault.host);
    ck_assert_int_eq(fault.step, good[_i].fault.step);
}
END_TEST

static const char *const bad[] = {
    "",
    "kill",
    "kill:worker=1",
    "burn:worker=1@step=3",
    "kill:worker@step=3",
    "kill:worker=-1@step=3",
    "kill:worker=9999999999@step=3",
    "kill:host=@step=3",
    "kill:worker=1@step=x",
    "kill:worker=1@step=99999999999999999999",
    "kill:worker=1@phase=lunch",
    "kill:newcomer@step=3",
    "kill:spare@step=3",
    "kill:spare@phase=sum",
    "kill:newcomer@phase=spawn",
    "kill:spare=1@phase=agree",
    "kill:newcomer=1@phase=join",
    "kill:worker=1@when=3",
    "kill:worker=1@step=3,",
    "kill@step=3:worker=1",
};

START_TEST(refuses_and_says_why)
{
    struct inject_fault faults[4];
    struct error error = {.text = ""};
    int count = 9;
    ck_assert_int_eq(inject_parse(bad[_i], faults, 4, &count, &error), ONWARD_ERR_INPUT);
    ck_assert_int_eq(count, 0);
    ck_assert_msg(strstr(error.text, "expected kill|stop:"), "%s: %s", bad[_i], error.text);
}
END_TEST

START_TEST(counts)
{
    struct inject_fault faults[2];
    struct error error = {.text = ""};
    int count = 9;
    ck_assert_int_eq(inject_parse(NULL, faults, 2, &count, &error), ONWARD_OK);
    ck_assert_int_eq(count, 0);
    const char *two = "kill:worker=1@step=3,stop:controller@phase=sum";
    ck_assert_int_eq(inject_parse(two, faults, 2, &count, &error), ONWARD_OK);
    ck_assert_int_eq(count, 2);
    ck_assert_int_eq(faults[1].kind, INJECT_STOP);
    ck_assert_int_eq(inject_parse(two, faults, 1, &count, &error), ONWARD_ERR_INPUT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inject");
    TCase *tests = tcase_create("grammar");
    tcase_add_loop_test(tests, reads_a_fault, 0, (int)(sizeof good / sizeof *good));
    tcase_add_loop_test(tests, refuses_and_says_why, 0, (int)(sizeof bad / sizeof *bad));
    tcase_add_test(tests, counts);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
