/* test_launch_drill.c - a drill: that it tells what its faults cost, and that the hosts which it
 * takes down come back. The verb runs on a run directory of this test's, which is the owner, with a
 * host command that only writes down what it is asked for. */
#include <jansson.h>

#include "drill.h"
#include "run_suite.h"
#include "rundir_fixture.h"
#include "verb.h"

static const double exit_limit_s = 20;

static struct rundir *rundir;
static pid_t verb; /* the drill; 0: it has ended */
static char own[RUNDIR_HOST_BYTES];

/* One worker on each of three hosts. */
static void write_task(const char *first, const char *second, const char *third)
{
    const char *const hosts[] = {first, second, third};
    struct run_member list[3] = {{.member = 0}};
    struct run_members members = {.epoch = 1, .count = 3, .list = list};
    struct run_status status = {.task = "t", .state = "running", .epoch = 1, .exit_code = -1};
    for (int i = 0; i < 3; i++) {
        list[i] = (struct run_member){.member = 1 + (uint32_t)i, .rank = i, .role = "worker"};
        snprintf(list[i].host, sizeof list[i].host, "%s", hosts[i]);
    }
    status.incarnation = members.incarnation = 1;
    ck_assert_int_eq(rundir_write_members(rundir, &members, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_write_status(rundir, &status, &error), ONWARD_OK);
}

static void start_task(void)
{
    int64_t incarnation;
    make_base();
    rundir = make("t");
    ck_assert_int_eq(rundir_claim(rundir, &incarnation, &error), ONWARD_OK);
    gethostname(own, sizeof own - 1);
    write_task("n1", "n2", "n3");
}

static void end_task(void)
{
    if (verb > 0)
        kill(verb, SIGKILL);
    rundir_close(rundir);
    remove_base();
}

/* The drill, with a script as the host command: it writes its words into `asked`, and then does
 * what is given. */
static void start_verb(const char *kinds, const char *option, const char *value, const char *does)
{
    char text[512], command[96];
    snprintf(text, sizeof text, "cd %s\necho \"$*\" >>asked\n%s\n", base, does);
    write_text("command", text);
    snprintf(command, sizeof command, "sh %s/command", base);
    const char *arguments[] = {
        "drill", "--dir", base,   "--mtbf", "0.01",           "--kind", kinds, "--seed",
        "1",     "--yes", option, value,    "--host-command", command,  "t",   NULL};
    verb = fork();
    if (verb == 0) {
        signal(SIGHUP, SIG_DFL); /* the tests may run under nohup */
        snprintf(text, sizeof text, "%s/said", base);
        if (!freopen(text, "w", stdout) || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
            _exit(127);
        int code = verb_drill((int)(sizeof arguments / sizeof *arguments) - 1, (char **)arguments);
        fflush(stdout);
        _exit(code);
    }
}

static const char *text_in(const char *name)
{
    static char text[4096];
    char path[128];
    size_t size = 0;
    snprintf(path, sizeof path, "%s/%s", base, name);
    FILE *file = fopen(path, "r");
    if (file) {
        size = fread(text, 1, sizeof text - 1, file);
        fclose(file);
    }
    text[size] = '\0';
    return text;
}

static void await_text(const char *name, const char *text)
{
    for (double passed_s = 0; !strstr(text_in(name), text); passed_s += 0.01) {
        ck_assert_msg(passed_s < exit_limit_s, "%s has no %s:\n%s", name, text, text_in(name));
        usleep(10000);
    }
}

static int count_in(const char *name, const char *text)
{
    int count = 0;
    for (const char *at = text_in(name); (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

static bool has_ended(int *status)
{
    if (waitpid(verb, status, WNOHANG) == 0)
        return false;
    verb = 0;
    return true;
}

static int await_verb(void)
{
    int status = -1;
    for (double passed_s = 0; !has_ended(&status); passed_s += 0.01) {
        ck_assert_msg(passed_s < exit_limit_s, "it goes on:\n%s", text_in("said"));
        usleep(10000);
    }
    ck_assert_msg(WIFEXITED(status), "signal %d:\n%s", WTERMSIG(status), text_in("said"));
    return WEXITSTATUS(status);
}

static const int ends[] = {SIGHUP, SIGTERM, SIGPIPE};

START_TEST(brings_a_host_back_whatever_ends_it)
{
    start_verb("host", "--count", "1", "[ $1 = kill ] || [ -e tried ] || { touch tried; exit 1; }");
    await_text("asked", "kill n");
    kill(verb, ends[_i]);
    ck_assert_int_eq(await_verb(), 0);
    ck_assert_int_eq(count_in("asked", "kill n"), 1);
    ck_assert_msg(count_in("asked", "boot n") == 2, "%s", text_in("asked"));
}
END_TEST

START_TEST(names_a_host_that_stays_down)
{
    start_verb("cut", "--count", "1", "[ $1 = cut ]");
    await_text("asked", "cut n");
    kill(verb, SIGTERM);
    ck_assert_int_eq(await_verb(), 1);
    ck_assert_int_ge(count_in("asked", "heal n"), DRILL_TRIES);
    ck_assert_msg(strstr(text_in("said"), "could not be brought back: `sh /tmp/"), "%s",
                  text_in("said"));
}
END_TEST

START_TEST(undoes_a_command_that_failed)
{
    start_verb("host", "--count", "1", "[ $1 = boot ]");
    ck_assert_int_eq(await_verb(), 0);
    ck_assert_int_eq(count_in("asked", "kill n"), 1);
    ck_assert_int_eq(count_in("asked", "boot n"), 1);
    ck_assert_ptr_nonnull(strstr(text_in("said"), "no fault: "));
    ck_assert_ptr_nonnull(strstr(text_in("said"), "\ntask t running after "));
}
END_TEST

START_TEST(takes_down_no_host_that_it_needs)
{
    write_task(own, "n2", "n2");
    write_text("t/lock", "{\"host\":\"n2.cluster\",\"pid\":1}"); /* in place: the lock stays */
    start_verb("host,cut", "--count", "3", "");
    ck_assert_int_eq(await_verb(), 0);
    ck_assert_int_eq(count_in("said", "no fault: all hosts that are left are needed"), 3);
    ck_assert(!is_there("asked"));
}
END_TEST

START_TEST(takes_down_no_host_of_an_unknown_owner)
{
    write_text("t/lock", "");
    start_verb("host", "--count", "1", "");
    ck_assert_int_eq(await_verb(), 0);
    ck_assert(!is_there("asked"));
}
END_TEST

static void write_event(const char *event, int64_t epoch, json_t *extra)
{
    ck_assert_int_eq(rundir_event(rundir, event, epoch, 9, extra, &error), ONWARD_OK);
    json_decref(extra);
}

static void write_epoch(int64_t epoch, const char *cause)
{
    write_event("epoch", epoch,
                json_pack("{s:i, s:s, s:f, s:i}", "workers", 2, "cause", cause, "stall_s", 0.25,
                          "steps_lost", 0));
}

START_TEST(reaches_a_host_as_the_list_calls_it)
{
    struct run_member list[] = {{.member = 1, .role = "worker", .host = "n1"},
                                {.member = 2, .role = "worker", .host = "n2"}};
    struct run_members members = {.incarnation = 1, .epoch = 1, .count = 2, .list = list};
    members.host_names = json_pack("{s:s}", "10.0.0.1", "n1");
    ck_assert_int_eq(rundir_write_members(rundir, &members, &error), ONWARD_OK);
    json_decref(members.host_names);
    write_text("t/lock", "{\"host\":\"n2\",\"pid\":1}");
    start_verb("cut", "--count", "1", "");
    await_text("asked", "cut 10.0.0.1\n");
    await_text("asked", "heal 10.0.0.1\n");
    kill(verb, SIGTERM);
    ck_assert_int_eq(await_verb(), 0);
    ck_assert_ptr_null(strstr(text_in("asked"), "n1"));
    ck_assert_ptr_nonnull(strstr(text_in("said"), "cut host n1\n")); /* as in the event log */
}
END_TEST

START_TEST(says_how_long_it_waits_for_an_answer)
{
    struct run_status status = {.task = "t",
                                .state = "running",
                                .epoch = 1,
                                .exit_code = -1,
                                .incarnation = 1,
                                .detect_s = 50};
    char text[64];
    ck_assert_int_eq(rundir_write_status(rundir, &status, &error), ONWARD_OK);
    snprintf(text, sizeof text, "waiting %g s at most for what the last one cost",
             drill_answer_limit_s(50));
    start_verb("host", "--count", "1", "");
    await_text("said", text);
    ck_assert_ptr_nonnull(strstr(text_in("said"), "seed 1, a fault about every 0.01 s\n"));
    kill(verb, SIGTERM);
    ck_assert_int_eq(await_verb(), 0);
    ck_assert_ptr_nonnull(strstr(text_in("said"), "    fault 1 brought no epoch\n"));
}
END_TEST

static const char *const bounds[][2] = {{"--count", "1"}, {"--for", "0.3"}};

START_TEST(waits_for_what_the_last_fault_cost)
{
    int status;
    start_verb("host", bounds[_i][0], bounds[_i][1], "");
    await_text("asked", "kill n");
    write_epoch(2, "spawned member 4");
    usleep(600000);
    ck_assert_msg(!has_ended(&status), "%s", text_in("said"));
    for (int member = 1; member <= 3; member++) {
        char host[8];
        snprintf(host, sizeof host, "n%d", member);
        write_event("lost", 2, json_pack("{s:i, s:s}", "member", member, "host", host));
    }
    write_epoch(3, "lost member 1");
    ck_assert_int_eq(await_verb(), 0);
    ck_assert_ptr_nonnull(
        strstr(text_in("said"), ": epoch 3 (lost member 1): 2 workers from step 9"));
    ck_assert_ptr_null(strstr(text_in("said"), "epoch 2 "));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("launch drill");
    TCase *tests = tcase_create("verb");
    tcase_add_checked_fixture(tests, start_task, end_task);
    tcase_set_timeout(tests, 3 * exit_limit_s);
    LOOP(tests, brings_a_host_back_whatever_ends_it, ends);
    tcase_add_test(tests, names_a_host_that_stays_down);
    tcase_add_test(tests, undoes_a_command_that_failed);
    tcase_add_test(tests, takes_down_no_host_that_it_needs);
    tcase_add_test(tests, takes_down_no_host_of_an_unknown_owner);
    tcase_add_test(tests, reaches_a_host_as_the_list_calls_it);
    tcase_add_test(tests, says_how_long_it_waits_for_an_answer);
    LOOP(tests, waits_for_what_the_last_fault_cost, bounds);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
