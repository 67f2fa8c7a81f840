/* test_launch_slurm.c - the allocation of Slurm as a job's environment describes it: what is read,
 * what is refused and how. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "run_suite.h"
#include "slurm.h"
#include "slurm_joined.h"

static void set_environment(const char *nodes, const char *tasks, const char *cpus)
{
    const char *const names[] = {"SLURM_JOB_NODELIST", "SLURM_TASKS_PER_NODE",
                                 "SLURM_JOB_CPUS_PER_NODE"};
    const char *const texts[] = {nodes, tasks, cpus};
    setenv("SLURM_JOB_ID", "17", 1);
    for (int i = 0; i < 3; i++)
        if (texts[i])
            setenv(names[i], texts[i], 1);
        else
            unsetenv(names[i]);
}

static const struct {
    const char *nodes, *tasks, *cpus, *expected;
} allocations[] = {
    {"n0", "1", NULL, "n0:1"},
    {"n[0-3]", "2(x3),1", "8(x4)", "n0:2,n1:2,n2:2,n3:1"},
    {"n[0-1,3]", "1,2(x2)", NULL, "n0:1,n1:2,n3:2"},
    {"rack1-n[08-10],login", "4(x4)", NULL, "rack1-n08:4,rack1-n09:4,rack1-n10:4,login:4"},
    {"r[1-2]n[01-02]-ib", "1(x2),3(x2)", NULL, "r1n01-ib:1,r1n02-ib:1,r2n01-ib:3,r2n02-ib:3"},
    {"n[0-1]", NULL, "48(x2)", "n0:48,n1:48"},
    {"n[0-1]", "", "2,4", "n0:2,n1:4"},
    {"n[0-1]", NULL, NULL, "n0,n1"},
    {"n0", "100000", NULL, "n0:4096"},
};

START_TEST(reads_allocations)
{
    struct hosts hosts;
    struct error error;
    set_environment(allocations[_i].nodes, allocations[_i].tasks, allocations[_i].cpus);
    ck_assert(slurm_is_inside());
    ck_assert_msg(slurm_hosts(false, &hosts, &error) == ONWARD_OK, "%s", error.text);
    char *text = hosts_text(&hosts);
    ck_assert_str_eq(text, allocations[_i].expected);
    free(text);
    hosts_clear(&hosts);
}
END_TEST

static const struct {
    const char *nodes, *tasks, *variable, *found;
} bad_allocations[] = {
    {"n[0-", "1", "SLURM_JOB_NODELIST", "[0-"},
    {"n[3-1]", "1", "SLURM_JOB_NODELIST", "3-1"},
    {"n[0-1]", "2", "SLURM_TASKS_PER_NODE", "\"2\""},
    {"n[0-1]", "2(x3)", "SLURM_TASKS_PER_NODE", "2 hosts"},
    {"n[0-1]", "2(x1)", "SLURM_TASKS_PER_NODE", "2 hosts"},
    {"n[0-1]", "2(x0),2(x2)", "SLURM_TASKS_PER_NODE", "2 hosts"},
    {"n[0-1]", "0(x2)", "SLURM_TASKS_PER_NODE", "0(x2)"},
    {"n[0-1]", "2(x2", "SLURM_TASKS_PER_NODE", "2(x2"},
    {"n[0-1]", "2(2)", "SLURM_TASKS_PER_NODE", "2(2)"},
    {"n[0-1]", "1,1,", "SLURM_TASKS_PER_NODE", "1,1,"},
    {"n[0-1]", ",1,1", "SLURM_TASKS_PER_NODE", ",1,1"},
    {"n[0-1]", "1(x2)1", "SLURM_TASKS_PER_NODE", "1(x2)1"},
    {"n[0-1]", "x", "SLURM_TASKS_PER_NODE", "\"x\""},
    {"n0", "99999999999999999999", "SLURM_TASKS_PER_NODE", "9999"},
    {"n[0-1]", "1(x4294967297)", "SLURM_TASKS_PER_NODE", "4294967297"},
};

START_TEST(refuses_allocations)
{
    struct hosts hosts;
    struct error error;
    set_environment(bad_allocations[_i].nodes, bad_allocations[_i].tasks, NULL);
    ck_assert_int_eq(slurm_hosts(false, &hosts, &error), ONWARD_ERR_INPUT);
    ck_assert_msg(strstr(error.text, bad_allocations[_i].variable) == error.text, "%s", error.text);
    ck_assert_msg(strstr(error.text, bad_allocations[_i].found) != NULL, "%s", error.text);
    ck_assert_msg(strstr(error.text, "expected") != NULL, "%s", error.text);
    ck_assert_uint_eq(hosts.count, 0);
    ck_assert_ptr_null(hosts.list);
}
END_TEST

START_TEST(is_not_inside)
{
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_JOB_NODELIST");
    ck_assert(!slurm_is_inside());
    ck_assert_ptr_null(slurm_job());
    setenv("SLURM_JOB_ID", "", 1);
    setenv("SLURM_JOB_NODELIST", "n0", 1);
    ck_assert(!slurm_is_inside());
}
END_TEST

START_TEST(keeps_slots_after_an_error)
{
    struct hosts hosts = {.list = NULL};
    struct error error;
    ck_assert_int_eq(hosts_parse_list("n[0-1]:7", "--hosts", &hosts, &error), ONWARD_OK);
    ck_assert_int_eq(slurm_take_counts("1,x", "X", &hosts, &error), ONWARD_ERR_INPUT);
    ck_assert_uint_eq(hosts.list[0].slots, 7);
    ck_assert_uint_eq(hosts.list[1].slots, 7);
    hosts_clear(&hosts);
}
END_TEST

START_TEST(knows_hosts_of_other_jobs)
{
    struct hosts hosts = {.list = NULL};
    struct error error;
    char job[SLURM_JOINED_JOB_BYTES] = "";
    unsetenv("ONWARD_JOINED");
    ck_assert(!slurm_joined_find("n2", job));
    ck_assert_int_eq(hosts_parse_list("n[2-3]:2", "--hosts", &hosts, &error), ONWARD_OK);
    ck_assert_int_eq(slurm_joined_add(&hosts, "12", &error), ONWARD_OK);
    ck_assert_int_eq(hosts_parse_list("n20", "--hosts", &hosts, &error), ONWARD_OK);
    ck_assert_int_eq(slurm_joined_add(&hosts, "13_4", &error), ONWARD_OK);
    ck_assert_str_eq(getenv("ONWARD_JOINED"), "n2=12,n3=12,n20=13_4");
    ck_assert(slurm_joined_find("n3", job));
    ck_assert_str_eq(job, "12");
    ck_assert(slurm_joined_find("n20", job));
    ck_assert_str_eq(job, "13_4");
    ck_assert(!slurm_joined_find("n", job));
    char *names = slurm_joined_names();
    ck_assert_str_eq(names, ",n2,n3,n20");
    free(names);
    ck_assert_int_eq(slurm_joined_drop("12", &error), ONWARD_OK);
    ck_assert(!slurm_joined_find("n2", job));
    ck_assert(slurm_joined_find("n20", job));
    ck_assert_int_eq(slurm_joined_drop("13_4", &error), ONWARD_OK);
    ck_assert_ptr_null(getenv("ONWARD_JOINED"));
    hosts_clear(&hosts);
}
END_TEST

START_TEST(counts_cpus_where_asked)
{
    struct hosts hosts;
    struct error error;
    set_environment("n[0-2]", "1(x3)", "2(x2),4");
    ck_assert_int_eq(slurm_hosts(true, &hosts, &error), ONWARD_OK);
    ck_assert_uint_eq(hosts_slots(&hosts), 8);
    hosts_clear(&hosts);
    unsetenv("SLURM_JOB_NODELIST");
    ck_assert_int_eq(slurm_hosts(true, &hosts, &error), ONWARD_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(error.text, "SLURM_JOB_NODELIST is not set"));
}
END_TEST

START_TEST(knows_the_end_of_the_job)
{
    set_environment("n0", "1", NULL);
    setenv("SLURM_JOB_END_TIME", "1796000000", 1);
    ck_assert_double_eq(slurm_end_time_s(), 1796000000.0);
    setenv("SLURM_JOB_END_TIME", "soon", 1);
    ck_assert_double_eq(slurm_end_time_s(), 0);
    setenv("SLURM_JOB_END_TIME", "1796000000", 1);
    unsetenv("SLURM_JOB_ID");
    ck_assert_double_eq(slurm_end_time_s(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slurm");
    TCase *tests = tcase_create("slurm");
    tcase_add_loop_test(tests, reads_allocations, 0, sizeof allocations / sizeof *allocations);
    tcase_add_loop_test(tests, refuses_allocations, 0,
                        sizeof bad_allocations / sizeof *bad_allocations);
    tcase_add_test(tests, is_not_inside);
    tcase_add_test(tests, keeps_slots_after_an_error);
    tcase_add_test(tests, knows_hosts_of_other_jobs);
    tcase_add_test(tests, counts_cpus_where_asked);
    tcase_add_test(tests, knows_the_end_of_the_job);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
