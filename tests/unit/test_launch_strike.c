/* test_launch_strike.c - the faults of a drill hit the task's processes and no others, here and
 * through an agent, and the operator's command gets its two words. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run_suite.h"
#include "strike.h"

/* Does on this machine what it would have done on the host. */
#define AGENT "f() { [ \"$1\" = far ] && sh -c \"$2\"; }; f"

static const struct strike strike = {.task = "t", .agent = AGENT};

/* A process of a task, ready once its environment is in place. It waits for ever on a pipe that it
 * holds both ends of: in the middle of an exec, of a sleep say, /proc shows no environment. */
static struct run_member start_member(const char *host, const char *task)
{
    struct run_member member = {.member = 2, .role = "worker"};
    int ready[2], never[2];
    char byte;
    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(pipe(never), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char variable[80];
        snprintf(variable, sizeof variable, "ONWARD_TASK=%s", task);
        char *const environment[] = {variable, NULL};
        dup2(never[0], STDIN_FILENO);
        dup2(ready[1], STDOUT_FILENO);
        execle("/bin/sh", "sh", "-c", "echo; read word", NULL, environment);
        _exit(127);
    }
    close(never[0]);
    close(never[1]);
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    member.pid = pid;
    if (host)
        snprintf(member.host, sizeof member.host, "%s", host);
    else
        gethostname(member.host, sizeof member.host - 1);
    return member;
}

static int signal_that_ended(const struct run_member *member)
{
    int status = 0;
    ck_assert_int_eq(waitpid((pid_t)member->pid, &status, 0), member->pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static const char *const hosts[] = {NULL, "far"};

START_TEST(kills_a_member)
{
    struct error error;
    struct run_member member = start_member(hosts[_i], "t");
    ck_assert_int_eq(strike_member(&strike, &member, SIGKILL, &error), ONWARD_OK);
    ck_assert_int_eq(signal_that_ended(&member), SIGKILL);
    ck_assert_int_ne(strike_member(&strike, &member, SIGKILL, &error), ONWARD_OK); /* gone */
}
END_TEST

START_TEST(stops_a_member)
{
    struct error error;
    int status;
    struct run_member member = start_member(hosts[_i], "t");
    ck_assert_int_eq(strike_member(&strike, &member, SIGSTOP, &error), ONWARD_OK);
    ck_assert_int_eq(waitpid((pid_t)member.pid, &status, WUNTRACED), member.pid);
    ck_assert(WIFSTOPPED(status));
    kill((pid_t)member.pid, SIGKILL);
    signal_that_ended(&member);
}
END_TEST

/* The task, another one, and where that runs. */
static const struct {
    const char *task, *other, *host;
} others[] = {
    {"t", "t2", NULL},
    {"t", "t2", "far"},
    {"t", "2t", "far"},
    {"a.b", "aXb", "far"},
};

START_TEST(spares_the_process_of_another_task)
{
    struct error error;
    struct strike mine = {.task = others[_i].task, .agent = AGENT};
    struct run_member member = start_member(others[_i].host, others[_i].other);
    ck_assert_int_ne(strike_member(&mine, &member, SIGKILL, &error), ONWARD_OK);
    struct run_members members = {.count = 1, .list = &member};
    ck_assert_int_ne(strike_host(&mine, &members, member.host, &error), ONWARD_OK);
    ck_assert_int_eq(waitpid((pid_t)member.pid, NULL, WNOHANG), 0);
    kill((pid_t)member.pid, SIGKILL);
    signal_that_ended(&member);
}
END_TEST

START_TEST(kills_all_of_a_host)
{
    struct error error;
    struct run_member list[3] = {start_member(hosts[_i], "t"), start_member("elsewhere", "t"),
                                 start_member(hosts[_i], "t")};
    struct run_members members = {.count = 3, .list = list};
    ck_assert_int_eq(strike_host(&strike, &members, list[0].host, &error), ONWARD_OK);
    ck_assert_int_eq(signal_that_ended(&list[0]), SIGKILL);
    ck_assert_int_eq(signal_that_ended(&list[2]), SIGKILL);
    ck_assert_int_eq(waitpid((pid_t)list[1].pid, NULL, WNOHANG), 0);
    kill((pid_t)list[1].pid, SIGKILL);
    signal_that_ended(&list[1]);
}
END_TEST

START_TEST(reaches_a_host_as_the_list_calls_it)
{
    struct error error;
    json_t *names = json_pack("{s:s}", "far", "n7.cluster");
    struct strike by_name = {.task = "t", .agent = AGENT, .names = names};
    struct run_member member = start_member("n7", "t");
    struct run_members members = {.count = 1, .list = &member};
    ck_assert_int_ne(strike_member(&strike, &member, SIGSTOP, &error), ONWARD_OK);
    ck_assert_int_eq(strike_member(&by_name, &member, SIGSTOP, &error), ONWARD_OK);
    ck_assert_int_eq(strike_host(&by_name, &members, "n7", &error), ONWARD_OK);
    ck_assert_int_eq(signal_that_ended(&member), SIGKILL);
    json_decref(names);
}
END_TEST

static const struct {
    const char *command;
    int code;
} commands[] = {
    {"f() { test \"$1 $2 $#\" = 'kill n3 2'; }; f", ONWARD_OK},
    {"test {}-{} = kill-n3", ONWARD_OK},
    {"test {}-{} = kill-n4", ONWARD_ERR_IO},
    {"exit 7;", ONWARD_ERR_IO},
};

START_TEST(runs_the_operators_command)
{
    struct error error = {.text = ""};
    struct strike by = {.task = "t", .agent = "false", .host_command = commands[_i].command};
    ck_assert_int_eq(strike_by_command(&by, "kill", "n3", &error), commands[_i].code);
    if (commands[_i].code != ONWARD_OK)
        ck_assert_ptr_nonnull(strstr(error.text, "kill n3"));
}
END_TEST

#define LOOP(tests, test, table)                                                                   \
    tcase_add_loop_test(tests, test, 0, (int)(sizeof table / sizeof *table))

int main(void)
{
    Suite *suite = suite_create("launch strike");
    TCase *tests = tcase_create("strike");
    LOOP(tests, kills_a_member, hosts);
    LOOP(tests, stops_a_member, hosts);
    LOOP(tests, spares_the_process_of_another_task, others);
    LOOP(tests, kills_all_of_a_host, hosts);
    tcase_add_test(tests, reaches_a_host_as_the_list_calls_it);
    LOOP(tests, runs_the_operators_command, commands);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
