/* test_store_trace.c - where a worker was is read after its death, and by nobody as something else.
 */
#include "store_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#include "run_suite.h"
#include "trace.h"

enum { RUN = 77 };

static struct local_id id_of(int64_t incarnation)
{
    return (struct local_id){
        .directory = scratch, .task = "task-1", .run = RUN, .incarnation = incarnation};
}

static const char *task_directory(void)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/onward-%d/task-1.%016x", scratch, (int)geteuid(), RUN);
    return path;
}

/* A process of that incarnation that begins the step, enters the subtask and is killed. */
static pid_t leave(int64_t incarnation, int64_t step, int64_t subtask)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct local_id id = id_of(incarnation);
        struct trace *trace;
        if (trace_open(&id, &trace, NULL) != ONWARD_OK)
            _exit(1);
        trace_step(trace, step - 1);
        trace_subtask(trace, 1);
        trace_step(trace, step);
        if (subtask >= 0)
            trace_subtask(trace, subtask);
        kill(getpid(), SIGKILL);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    return pid;
}

static void expect(int64_t incarnation, pid_t pid, int64_t step, int64_t subtask)
{
    struct local_id id = id_of(incarnation);
    struct trace_point point;
    ck_ok(trace_read(&id, pid, &point));
    ck_assert_int_eq(point.step, step);
    ck_assert_int_eq(point.subtask, subtask);
}

static void expect_none(int64_t incarnation, pid_t pid)
{
    struct local_id id = id_of(incarnation);
    struct trace_point point;
    ck_assert_int_eq(trace_read(&id, pid, &point), ONWARD_ERR_NOT_FOUND);
}

START_TEST(outlives_its_process)
{
    pid_t first = leave(1, 40, 5), second = leave(1, 41, TRACE_NO_SUBTASK);
    expect(1, first, 40, 5);
    expect(1, second, 41, TRACE_NO_SUBTASK);
    expect_none(2, first);
    expect_none(1, getpid());
}
END_TEST

START_TEST(goes_with_the_next_incarnation)
{
    pid_t first = leave(9, 40, 5), second = leave(10, 40, 5);
    expect_none(9, first);
    expect(10, second, 40, 5);
}
END_TEST

START_TEST(goes_with_the_files_of_the_task)
{
    struct local_id id = id_of(1);
    pid_t pid = leave(1, 40, 5);
    local_remove_older(&id);
    expect(1, pid, 40, 5);
    local_remove_all(&id);
    expect_none(1, pid);
    ck_assert_int_eq(count_entries(scratch), 0);
}
END_TEST

START_TEST(leaves_nothing_when_it_is_closed)
{
    struct local_id id = id_of(1);
    struct trace *trace;
    ck_ok(trace_open(&id, &trace, &failure));
    expect(1, getpid(), 0, TRACE_NO_SUBTASK);
    trace_close(trace);
    ck_assert_int_eq(count_entries(scratch), 0);
    trace_close(NULL);
    trace_step(NULL, 1);
    trace_subtask(NULL, 1);
}
END_TEST

/* What else may be there under the name of a trace. */
static const char *const others[] = {"", "onwardT", "onwardX\0aaaaaaaaaaaaaaaa"};
static const size_t sizes[] = {0, 8, 24};

START_TEST(takes_nothing_else_for_one)
{
    char path[600];
    pid_t pid = leave(1, 40, 5);
    snprintf(path, sizeof path, "%s/i1.%d.trace", task_directory(), (int)pid);
    int fd = open(path, O_WRONLY | O_TRUNC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, others[_i], sizes[_i]), (ssize_t)sizes[_i]);
    close(fd);
    expect_none(1, pid);
}
END_TEST

START_TEST(names_a_directory_that_is_missing)
{
    struct local_id id = id_of(1);
    struct trace *trace;
    id.directory = in_scratch("nowhere");
    ck_assert_int_eq(trace_open(&id, &trace, &failure), ONWARD_ERR_IO);
    ck_assert_ptr_null(trace);
    ck_assert_ptr_nonnull(strstr(failure.text, "nowhere"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store trace");
    TCase *cases = tcase_create("trace");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, make_scratch, remove_scratch);
    tcase_add_test(cases, outlives_its_process);
    tcase_add_test(cases, goes_with_the_next_incarnation);
    tcase_add_test(cases, goes_with_the_files_of_the_task);
    tcase_add_test(cases, leaves_nothing_when_it_is_closed);
    tcase_add_loop_test(cases, takes_nothing_else_for_one, 0, sizeof others / sizeof *others);
    tcase_add_test(cases, names_a_directory_that_is_missing);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
