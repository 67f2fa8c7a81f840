/* test_rundir.c - opening and owning a run directory: what is there survives every failed call, and
 * there is one owner at a time. */
#include "run_suite.h"
#include "rundir_fixture.h"

static const struct {
    const char *task;
    int code;
} task_ids[] = {
    {"a", ONWARD_OK},
    {"Mnist_2.run-7", ONWARD_OK},
    {"123456789012345678901234567890123456789012345678901234567890123", ONWARD_OK},
    {"1234567890123456789012345678901234567890123456789012345678901234", ONWARD_ERR_INPUT},
    {"", ONWARD_ERR_INPUT},
    {NULL, ONWARD_ERR_INPUT},
    {".", ONWARD_ERR_INPUT},
    {"..", ONWARD_ERR_INPUT},
    {"-x", ONWARD_ERR_INPUT},
    {"a/b", ONWARD_ERR_INPUT},
    {"a b", ONWARD_ERR_INPUT},
    {"\xc3\xa4", ONWARD_ERR_INPUT},
};

START_TEST(checks_task_ids)
{
    ck_assert_int_eq(rundir_check_task(task_ids[_i].task, &error), task_ids[_i].code);
}
END_TEST

START_TEST(takes_the_base_from_argument_environment_or_default)
{
    char path[512], here[256], expected[300];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    setenv("ONWARD_DIR", "/from/environment", 1);
    ck_assert_int_eq(rundir_base("/given", path, sizeof path, &error), ONWARD_OK);
    ck_assert_str_eq(path, "/given");
    ck_assert_int_eq(rundir_base("", path, sizeof path, &error), ONWARD_OK);
    ck_assert_str_eq(path, "/from/environment");
    unsetenv("ONWARD_DIR");
    ck_assert_int_eq(rundir_base(NULL, path, sizeof path, &error), ONWARD_OK);
    snprintf(expected, sizeof expected, "%s/onward-runs", here);
    ck_assert_str_eq(path, expected);
    ck_assert_int_eq(rundir_base("/a/longer/path", path, 5, &error), ONWARD_ERR_ARGUMENT);
}
END_TEST

START_TEST(keeps_what_was_started)
{
    struct rundir *rundir = make("t");
    struct task_record record;
    ck_assert_int_eq(rundir_read_task(rundir, &record, &error), ONWARD_OK);
    ck_assert_uint_eq(record.argument_count, 5);
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(record.arguments[i], arguments[i]);
    ck_assert_int_eq(record.step_count, -1);
    ck_assert_str_eq(record.config, "");
    ck_assert_ptr_nonnull(strchr(record.created, 'T'));
    task_record_clear(&record);
    ck_assert_int_eq(rundir_update_task(rundir, 8, 100, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_read_task(rundir, &record, &error), ONWARD_OK);
    ck_assert_uint_eq(record.subtask_count, 8);
    ck_assert_int_eq(record.step_count, 100);
    task_record_clear(&record);
    ck_assert_int_eq(rundir_update_task(rundir, 0, -1, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_read_task(rundir, &record, &error), ONWARD_OK);
    ck_assert_uint_eq(record.subtask_count, 8);
    ck_assert_int_eq(record.step_count, 100);
    task_record_clear(&record);
    rundir_close(rundir);
}
END_TEST

START_TEST(opens_nothing_that_is_not_there)
{
    struct rundir *rundir;
    ck_assert_int_eq(rundir_open(base, "t", NULL, &rundir, &error), ONWARD_ERR_NOT_FOUND);
    ck_assert_ptr_null(rundir);
    ck_assert(!is_there("t"));
}
END_TEST

static const struct {
    uint32_t subtasks;
    int64_t steps;
    int code;
} second_starts[] = {
    {8, 100, ONWARD_OK},        {0, -1, ONWARD_OK},         {8, -1, ONWARD_OK},
    {9, 100, ONWARD_ERR_INPUT}, {8, 101, ONWARD_ERR_INPUT},
};

START_TEST(refuses_another_task_in_the_same_place)
{
    struct rundir *rundir = make("t");
    ck_assert_int_eq(rundir_update_task(rundir, 8, 100, &error), ONWARD_OK);
    rundir_close(rundir);
    struct task_record record = record_of("t");
    record.subtask_count = second_starts[_i].subtasks;
    record.step_count = second_starts[_i].steps;
    ck_assert_int_eq(rundir_open(base, "t", &record, &rundir, &error), second_starts[_i].code);
    rundir_close(rundir);
}
END_TEST

START_TEST(refuses_the_directory_of_another_task)
{
    struct rundir *rundir = make("t");
    rundir_close(rundir);
    char from[128], to[128];
    snprintf(from, sizeof from, "%s/t", base);
    snprintf(to, sizeof to, "%s/u", base);
    ck_assert_int_eq(rename(from, to), 0);
    ck_assert_int_eq(rundir_open(base, "u", NULL, &rundir, &error), ONWARD_ERR_OTHER_TASK);
    struct task_record record = record_of("u");
    ck_assert_int_eq(rundir_open(base, "u", &record, &rundir, &error), ONWARD_ERR_OTHER_TASK);
}
END_TEST

static const char *const bad_records[] = {
    "",         "task: t\n", "- 1\n- 2\n", "{\n", "task: [1]\n", "task: t\nunknown: 1\n",
    "\x01\x02", "&a [*a]\n",
};

START_TEST(refuses_a_damaged_record)
{
    rundir_close(make("t"));
    write_text("t/task.yaml", bad_records[_i]);
    struct rundir *rundir;
    ck_assert_int_eq(rundir_open(base, "t", NULL, &rundir, &error), ONWARD_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.text, "task.yaml"));
    ck_assert_ptr_null(strchr(error.text, '\n'));
}
END_TEST

START_TEST(has_one_owner)
{
    struct rundir *first = make("t"), *second = reopen("t");
    int64_t incarnation = 0;
    bool owned = true;
    ck_assert_int_eq(rundir_is_owned(second, &owned, &error), ONWARD_OK);
    ck_assert(!owned);
    ck_assert_int_eq(rundir_claim(first, &incarnation, &error), ONWARD_OK);
    ck_assert_int_eq(incarnation, 1);
    ck_assert_int_eq(rundir_is_owned(second, &owned, &error), ONWARD_OK);
    ck_assert(owned);
    ck_assert_int_eq(rundir_claim(second, &incarnation, &error), ONWARD_ERR_IN_USE);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    ck_assert_msg(strstr(error.text, pid), "%s", error.text);
    ck_assert_int_eq(rundir_claim(first, &incarnation, &error), ONWARD_OK);
    ck_assert_int_eq(incarnation, 2);
    rundir_close(first);
    ck_assert_int_eq(rundir_claim(second, &incarnation, &error), ONWARD_OK);
    ck_assert_int_eq(incarnation, 3);
    rundir_close(second);
}
END_TEST

/* As a host that was cut off finds it: the lock was lost without a word. */
START_TEST(takes_nothing_back)
{
    struct rundir *first = make("t");
    struct run_request request = {.request = "stop"};
    int64_t incarnation = 0;
    bool found = true;
    char path[PATH_MAX];
    ck_assert_int_eq(rundir_claim(first, &incarnation, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_put_request(first, &request, &error), ONWARD_OK);
    snprintf(path, sizeof path, "%s/incarnation.json", rundir_path(first));
    FILE *file = fopen(path, "w");
    fputs("{\"incarnation\": 2, \"host\": \"elsewhere\", \"pid\": 1}", file);
    fclose(file);
    ck_assert_int_eq(rundir_claim(first, &incarnation, &error), ONWARD_ERR_FENCED);
    ck_assert_msg(strstr(error.text, "incarnation 2 took over"), "%s", error.text);
    ck_assert_int_eq(rundir_take_request(first, &request, &found, &error), ONWARD_ERR_FENCED);
    ck_assert(!found);
    struct rundir *second = reopen("t");
    ck_assert_int_eq(rundir_newest_incarnation(second, &incarnation, &error), ONWARD_OK);
    ck_assert_int_eq(incarnation, 2);
    ck_assert_int_eq(rundir_take_request(second, &request, &found, &error), ONWARD_OK);
    ck_assert(found);
    rundir_close(second);
    rundir_close(first);
}
END_TEST

/* Runs `sleep 100` in the place of a child; the caller kills it. */
static pid_t start_sleeper(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        execlp("sleep", "sleep", "100", (char *)NULL);
        _exit(127);
    }
    return pid;
}

static pid_t read_sleeper(void)
{
    char path[128];
    long pid = 0;
    snprintf(path, sizeof path, "%s/sleeper", base);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%ld", &pid), 1);
    fclose(file);
    ck_assert_int_gt(pid, 1);
    return (pid_t)pid;
}

START_TEST(ends_ownership_with_the_process_and_not_with_its_children)
{
    struct rundir *second;
    int64_t incarnation;
    rundir_close(make("t"));
    pid_t owner = fork();
    if (owner == 0) {
        struct rundir *first = reopen("t");
        rundir_claim(first, &incarnation, &error);
        pid_t sleeper = start_sleeper();
        usleep(200000); /* until it is sleep, which has no lock */
        char pid[32];
        snprintf(pid, sizeof pid, "%ld", (long)sleeper);
        write_text("sleeper", pid);
        kill(getpid(), sleeper > 0 ? SIGKILL : SIGTERM);
    }
    waitpid(owner, NULL, 0);
    pid_t sleeper = read_sleeper();
    second = reopen("t");
    int code = rundir_claim(second, &incarnation, &error);
    ck_assert_int_eq(kill(sleeper, SIGKILL), 0);
    ck_assert_int_eq(code, ONWARD_OK);
    ck_assert_int_eq(incarnation, 2);
    rundir_close(second);
}
END_TEST

START_TEST(fences_the_older_incarnation)
{
    struct rundir *owner = make("t"), *member = reopen("t");
    struct run_completion completion = {1, 1, 1, 1};
    struct run_status status = {.task = "t"};
    struct run_members members = {.epoch = 1};
    int64_t incarnation;
    bool complete = true;
    ck_assert_int_eq(rundir_check_fence(member, &error), ONWARD_ERR_ORDER);
    ck_assert_int_eq(rundir_join(member, 1, 0, &error), ONWARD_ERR_INPUT);
    rundir_claim(owner, &incarnation, &error);
    ck_assert_int_eq(rundir_join(member, 1, 0, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_check_fence(member, &error), ONWARD_OK);
    rundir_claim(owner, &incarnation, &error);
    ck_assert_int_eq(rundir_check_fence(member, &error), ONWARD_ERR_FENCED);
    ck_assert_int_eq(rundir_write_completion(member, &completion, &error), ONWARD_ERR_FENCED);
    ck_assert_int_eq(rundir_read_completion(owner, &completion, &complete, &error), ONWARD_OK);
    ck_assert(!complete);
    ck_assert_int_eq(rundir_write_status(member, &status, &error), ONWARD_ERR_FENCED);
    ck_assert_int_eq(rundir_read_status(owner, &status, &error), ONWARD_ERR_NOT_FOUND);
    ck_assert_int_eq(rundir_write_members(member, &members, &error), ONWARD_ERR_FENCED);
    ck_assert_int_eq(rundir_read_members(owner, &members, &error), ONWARD_ERR_NOT_FOUND);
    ck_assert_int_eq(rundir_join(member, 1, 0, &error), ONWARD_ERR_FENCED);
    rundir_close(owner);
    rundir_close(member);
}
END_TEST

/* Two starts of mpirun for one incarnation: members of the one that was given up must not begin. */
START_TEST(a_claim_is_for_one_start)
{
    struct rundir *owner = make("t"), *member = reopen("t");
    int64_t incarnation;
    rundir_name_start(owner, 1);
    rundir_name_start(owner, 2);
    rundir_claim(owner, &incarnation, &error);
    ck_assert_int_eq(rundir_join(member, 1, 1, &error), ONWARD_ERR_FENCED);
    ck_assert_msg(strstr(error.text, "start 1 of mpirun was given up for start 2"), "%s",
                  error.text);
    ck_assert_int_eq(rundir_check_fence(member, &error), ONWARD_ERR_ORDER);
    ck_assert_int_eq(rundir_join(member, 1, 2, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_join(member, 1, 0, &error), ONWARD_OK);
    rundir_close(owner);
    rundir_close(member);
}
END_TEST

static TCase *opening_tests(void)
{
    TCase *tests = tcase_create("opening");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, make_base, remove_base);
    LOOP(tests, checks_task_ids, task_ids);
    tcase_add_test(tests, takes_the_base_from_argument_environment_or_default);
    tcase_add_test(tests, keeps_what_was_started);
    tcase_add_test(tests, opens_nothing_that_is_not_there);
    LOOP(tests, refuses_another_task_in_the_same_place, second_starts);
    tcase_add_test(tests, refuses_the_directory_of_another_task);
    LOOP(tests, refuses_a_damaged_record, bad_records);
    return tests;
}

static TCase *owner_tests(void)
{
    TCase *tests = tcase_create("owner");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, make_base, remove_base);
    tcase_add_test(tests, has_one_owner);
    tcase_add_test(tests, takes_nothing_back);
    tcase_add_test(tests, ends_ownership_with_the_process_and_not_with_its_children);
    tcase_add_test(tests, fences_the_older_incarnation);
    tcase_add_test(tests, a_claim_is_for_one_start);
    return tests;
}

int main(void)
{
    Suite *suite = suite_create("rundir");
    suite_add_tcase(suite, opening_tests());
    suite_add_tcase(suite, owner_tests());
    return run_suite(suite);
}
