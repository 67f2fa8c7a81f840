/* test_launch_drill.c - a drill: its draws, whom its faults hit, what they cost, and that the hosts
 * which it takes down come back. The verb runs on a run directory of this test's, which is the
 * owner, with a host command that only writes down what it is asked for. */
#include <jansson.h>
#include <math.h>

#include "draw.h"
#include "drill.h"
#include "drill_costs.h"
#include "run_suite.h"
#include "rundir_fixture.h"
#include "verb.h"

static const double exit_limit_s = 20;

START_TEST(draws_the_same_from_the_same_seed)
{
    struct draw a, b, other;
    double sum = 0;
    int differ = 0, count = 20000;
    draw_start(&a, 7);
    draw_start(&b, 7);
    draw_start(&other, 8);
    for (int i = 0; i < count; i++) {
        struct draw_fault x = draw_next(&a), y = draw_next(&b), z = draw_next(&other);
        ck_assert(x.gap == y.gap && x.kind == y.kind && x.victim == y.victim &&
                  x.until_back == y.until_back);
        ck_assert(x.gap >= 0 && isfinite(x.gap) && x.kind >= 0 && x.kind < 1);
        differ += x.victim != z.victim;
        sum += x.gap;
    }
    ck_assert_int_gt(differ, count - 10);
    ck_assert_double_eq_tol(sum / count, 1, 0.05); /* 7 standard errors */
    ck_assert_uint_eq(draw_index(0, 3), 0);
    ck_assert_uint_eq(draw_index(0.34, 3), 1);
    ck_assert_uint_eq(draw_index(0.999999999999, 3), 2);
}
END_TEST

/* A controller on n1, workers on n1 to n3, a spare on n3; members 1 to 5. */
static void make_drill(struct drill *drill, uint32_t min_workers, int64_t incarnation)
{
    static const struct run_member members[] = {
        {.member = 1, .rank = -1, .is_controller = true, .role = "controller", .host = "n1"},
        {.member = 2, .rank = 0, .role = "worker", .host = "n1"},
        {.member = 3, .rank = 1, .role = "worker", .host = "n2"},
        {.member = 4, .rank = 2, .role = "worker", .host = "n3"},
        {.member = 5, .rank = -1, .role = "spare", .host = "n3"},
    };
    struct run_members taken = {.incarnation = incarnation, .epoch = 1, .count = 5};
    taken.list = malloc(sizeof members);
    ck_assert_ptr_nonnull(taken.list);
    memcpy(taken.list, members, sizeof members);
    drill->min_workers = min_workers;
    drill_take_members(drill, &taken);
    ck_assert_ptr_null(taken.list);
}

START_TEST(keeps_the_minimum_of_workers)
{
    static struct drill drill;
    make_drill(&drill, 3, 1);
    ck_assert_uint_eq(drill_choose_member(&drill, 0)->member, 1);
    ck_assert_uint_eq(drill_choose_member(&drill, 0.99)->member, 5);
    drill_note_hit(&drill, 5);
    for (double number = 0; number < 1; number += 0.1) /* the controller alone can be spared */
        ck_assert_uint_eq(drill_choose_member(&drill, number)->member, 1);
    drill_note_hit(&drill, 1);
    ck_assert_ptr_null(drill_choose_member(&drill, 0.5));
    make_drill(&drill, 3, 1); /* the same incarnation: a hit stays one */
    ck_assert_ptr_null(drill_choose_member(&drill, 0.5));
    make_drill(&drill, 3, 2);
    ck_assert_ptr_nonnull(drill_choose_member(&drill, 0.5));
    drill_clear(&drill);
}
END_TEST

START_TEST(chooses_hosts_that_can_be_spared)
{
    static struct drill drill;
    make_drill(&drill, 3, 1);
    ck_assert_str_eq(drill_choose_host(&drill, 0)->host, "n1");
    ck_assert_str_eq(drill_choose_host(&drill, 0.99)->host, "n2");
    make_drill(&drill, 2, 1);
    ck_assert_str_eq(drill_choose_host(&drill, 0.99)->host, "n3");
    strcpy(drill.down[drill.down_count++].host, "n3"); /* already down: two workers are left */
    ck_assert_ptr_null(drill_choose_host(&drill, 0.5));
    drill_clear(&drill);
}
END_TEST

START_TEST(spares_the_hosts_of_the_launcher_and_its_own)
{
    static struct drill drill;
    make_drill(&drill, 1, 1);
    strcpy(drill.owner_host, "n1.cluster");
    strcpy(drill.own_host, "n3");
    for (double number = 0; number < 1; number += 0.1)
        ck_assert_str_eq(drill_choose_host(&drill, number)->host, "n2");
    strcpy(drill.own_host, "n2.cluster.org");
    ck_assert_str_eq(drill_choose_host(&drill, 0.5)->host, "n3");
    strcpy(drill.owner_host, "n3");
    ck_assert_str_eq(drill_choose_host(&drill, 0.5)->host, "n1");
    ck_assert_uint_eq(drill_choose_member(&drill, 0)->member, 1); /* a process there may be hit */
    drill_clear(&drill);
}
END_TEST

START_TEST(tries_again_to_bring_a_host_back)
{
    static struct drill drill;
    drill_expect_back(&drill, "n1", "boot", 10);
    drill_expect_back(&drill, "n2", "heal", 20);
    ck_assert_ptr_null(drill_due(&drill, 9));
    double now_s = 10;
    for (int try = 0; try < DRILL_TRIES; try++) {
        struct drill_down *down = drill_due(&drill, now_s);
        ck_assert_ptr_nonnull(down);
        ck_assert_str_eq(down->host, "n1");
        drill_is_not_back(down, now_s);
        ck_assert_ptr_null(drill_due(&drill, now_s)); /* there is a pause */
        now_s += 1.9;
        ck_assert_ptr_null(drill_due(&drill, now_s));
        now_s += 0.1;
    }
    ck_assert_str_eq(drill_due(&drill, 1000)->host, "n2");
    drill_is_back(&drill, drill_due(&drill, 1000));
    ck_assert(!drill_has_tries(&drill));
    ck_assert_uint_eq(drill.down_count, 1); /* still down */
    drill_hurry(&drill, 2000);
    ck_assert_str_eq(drill_due(&drill, 2000)->host, "n1");
    drill_is_back(&drill, drill_due(&drill, 2000));
    ck_assert_uint_eq(drill.down_count, 0);
}
END_TEST

/* ---- which epoch answers -----------------------------------------------------------------------
 */

static bool feed(struct drill_costs *costs, int incarnation, int epoch, const char *rest)
{
    char text[256];
    struct drill_cost cost = {.epoch = -1};
    snprintf(text, sizeof text, "{\"incarnation\":%d,\"epoch\":%d,%s}", incarnation, epoch, rest);
    json_t *event = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(event);
    bool is_answer = drill_costs_event(costs, event, &cost);
    ck_assert_int_eq(cost.epoch, is_answer ? epoch : -1);
    json_decref(event);
    return is_answer;
}

#define OPENED(cause)                                                                              \
    "\"event\":\"epoch\",\"workers\":3,\"cause\":\"" cause "\",\"stall_s\":0.5,\"steps_lost\":2"
#define LOST(member, host) "\"event\":\"lost\",\"member\":" #member ",\"host\":\"" host "\""
#define AGAIN "\"event\":\"relaunch\",\"cause\":\"mpirun went down\""

START_TEST(takes_only_the_epoch_that_answers)
{
    static struct drill_costs costs;
    drill_costs_add(&costs, 1, 4, "n2");
    ck_assert(!feed(&costs, 1, 5, OPENED("spawned member 9"))); /* an earlier refill */
    ck_assert(!feed(&costs, 1, 5, LOST(3, "n2")));
    ck_assert(!feed(&costs, 1, 6, OPENED("lost member 3"))); /* another one's */
    ck_assert(!feed(&costs, 1, 6, LOST(4, "n2")));
    ck_assert(!feed(&costs, 1, 6, OPENED("lost member 3"))); /* told late, opened before */
    ck_assert_int_eq(drill_costs_unanswered(&costs), 1);
    ck_assert(feed(&costs, 1, 7, OPENED("spawned member 10"))); /* both came in one change */
    ck_assert_int_eq(drill_costs_unanswered(&costs), 0);
    ck_assert(!feed(&costs, 1, 8, OPENED("spawned member 11")));
    ck_assert_int_eq(costs.epochs, 1);
    ck_assert_int_eq(costs.steps_lost, 2);
    ck_assert_double_eq(costs.stall_s, 0.5);
}
END_TEST

START_TEST(takes_the_first_epoch_after_a_relaunch)
{
    static struct drill_costs costs;
    drill_costs_add(&costs, 1, 4, "n2");
    drill_costs_add(&costs, 1, 0, "n3");
    ck_assert(!feed(&costs, 2, 5, AGAIN)); /* names the epoch before */
    drill_costs_add(&costs, 3, 2, "n1");   /* before the events of its start were read */
    ck_assert(!feed(&costs, 3, 5, AGAIN)); /* the start before had no epoch */
    ck_assert(feed(&costs, 3, 1, OPENED("start")));
    ck_assert_int_eq(drill_costs_unanswered(&costs), 1);
    ck_assert(!feed(&costs, 3, 1, LOST(2, "n1")));
    ck_assert(feed(&costs, 3, 2, OPENED("lost member 2")));
    ck_assert(!feed(&costs, 4, 2, AGAIN)); /* a planned one, which answers nothing */
    ck_assert(feed(&costs, 4, 1, OPENED("start")));
    ck_assert_int_eq(costs.relaunches, 3);
    ck_assert_int_eq(costs.epochs, 3);
    ck_assert_int_eq(drill_costs_unanswered(&costs), 0);
}
END_TEST

START_TEST(knows_a_host_and_an_incarnation)
{
    static struct drill_costs costs;
    drill_costs_add(&costs, 2, 0, "n3.cluster");
    drill_costs_add(&costs, 2, 4, "n1");
    ck_assert(!feed(&costs, 1, 5, LOST(4, "n1"))); /* another member 4 */
    ck_assert(!feed(&costs, 2, 5, LOST(7, "n3")));
    ck_assert(feed(&costs, 2, 6, OPENED("lost member 7")));
    ck_assert_int_eq(drill_costs_unanswered(&costs), 1);
    for (int i = 0; i < DRILL_MAX_OPEN; i++)
        drill_costs_add(&costs, 2, 8, "n1");
    ck_assert_int_eq(drill_costs_unanswered(&costs), DRILL_MAX_OPEN + 1);
    ck_assert(!feed(&costs, 2, 6, LOST(8, "n1")));
    ck_assert(feed(&costs, 2, 7, OPENED("lost member 8")));
    ck_assert_int_eq(drill_costs_unanswered(&costs), 1);
}
END_TEST

/* ---- the verb
 * ------------------------------------------------------------------------------------ */

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
        strstr(text_in("said"), "    epoch 3 (lost member 1): 2 workers from step 9"));
    ck_assert_ptr_null(strstr(text_in("said"), "epoch 2 "));
}
END_TEST

static TCase *pure_tests(void)
{
    TCase *tests = tcase_create("parts");
    tcase_add_test(tests, draws_the_same_from_the_same_seed);
    tcase_add_test(tests, keeps_the_minimum_of_workers);
    tcase_add_test(tests, chooses_hosts_that_can_be_spared);
    tcase_add_test(tests, spares_the_hosts_of_the_launcher_and_its_own);
    tcase_add_test(tests, tries_again_to_bring_a_host_back);
    tcase_add_test(tests, takes_only_the_epoch_that_answers);
    tcase_add_test(tests, takes_the_first_epoch_after_a_relaunch);
    tcase_add_test(tests, knows_a_host_and_an_incarnation);
    return tests;
}

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
    LOOP(tests, waits_for_what_the_last_fault_cost, bounds);
    suite_add_tcase(suite, pure_tests());
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
