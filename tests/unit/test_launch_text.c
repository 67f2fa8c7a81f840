/* test_launch_text.c - what people read: progress, events, the end, and which of mpirun's lines are
 * shown. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "noise.h"
#include "progress.h"
#include "run_suite.h"

static const struct {
    double seconds;
    const char *text;
} durations[] = {
    {0, "0.00 s"},      {0.0234, "0.02 s"},  {1.26, "1.3 s"},
    {9.96, "10 s"},     {41.4, "41 s"},      {60, "1 min 0 s"},
    {185, "3 min 5 s"}, {7440, "2 h 4 min"}, {359999, "99 h 59 min"},
};

START_TEST(writes_durations)
{
    char text[32];
    progress_duration(durations[_i].seconds, text, sizeof text);
    ck_assert_str_eq(text, durations[_i].text);
}
END_TEST

static const struct {
    struct run_status status;
    const char *text;
} statuses[] = {
    {{.step = 300,
      .step_count = 600,
      .workers = 3,
      .epoch = 2,
      .steps_per_s = 100,
      .eta_s = 12,
      .metric_count = 3,
      .metrics = {{"samples_per_step", 512}, {"loss", 0.41234}, {"accuracy", 0.871}}},
     "step 300/600  loss 0.4123  accuracy 0.871  3 workers  epoch 2  51200 samples/s  12 s left"},
    {{.step = 0, .workers = 1, .spares = 2, .epoch = 1, .eta_s = -1},
     "step 0  1 worker + 2 spare  epoch 1"},
    {{.step = 5, .step_count = 9, .workers = 2, .epoch = 1, .steps_per_s = 0.5, .eta_s = 8},
     "step 5/9  2 workers  epoch 1  0.5 steps/s  8.0 s left"},
};

START_TEST(writes_a_status)
{
    char text[PROGRESS_LINE_BYTES];
    progress_status(&statuses[_i].status, text, sizeof text);
    ck_assert_str_eq(text, statuses[_i].text);
}
END_TEST

START_TEST(cuts_a_long_status)
{
    char text[16];
    progress_status(&statuses[0].status, text, sizeof text);
    ck_assert_str_eq(text, "step 300/600  l");
}
END_TEST

/* Events in order; the line that the last one gives, or NULL. */
static const struct {
    const char *events[4];
    const char *text;
} stories[] = {
    {{"{\"event\":\"epoch\",\"step\":0,\"workers\":4,\"cause\":\"start\"}"},
     "4 workers from step 0"},
    {{"{\"event\":\"lost\",\"member\":4,\"rank\":2,\"host\":\"n1\"}"}, NULL},
    {{"{\"event\":\"lost\",\"member\":4,\"rank\":2,\"host\":\"n1\"}",
      "{\"event\":\"epoch\",\"step\":300,\"workers\":3,\"cause\":\"lost member 4\","
      "\"stall_s\":0.0234,\"steps_lost\":0}"},
     "lost worker 2 (member 4, host n1): going on with 3 workers from step 300, 0 steps lost, "
     "0.02 s"},
    {{"{\"event\":\"lost\",\"member\":1,\"rank\":-1,\"host\":\"n1\"}",
      "{\"event\":\"lost\",\"member\":3,\"rank\":0,\"host\":\"\"}",
      "{\"event\":\"epoch\",\"step\":7,\"workers\":1,\"cause\":\"lost member 3\","
      "\"stall_s\":1.5,\"steps_lost\":1}"},
     "lost member 1 (no worker, host n1), worker 0 (member 3): going on with 1 worker from step 7, "
     "1 step lost, 1.5 s"},
    {{"{\"event\":\"lost\",\"member\":4,\"rank\":2,\"host\":\"n1\"}",
      "{\"event\":\"epoch\",\"step\":3,\"workers\":3,\"cause\":\"lost member 4\"}",
      "{\"event\":\"epoch\",\"step\":9,\"workers\":4,\"cause\":\"joined\",\"stall_s\":0.1}"},
     "joined: going on with 4 workers from step 9, 0 steps lost, 0.10 s"},
    {{"{\"event\":\"warning\",\"text\":\"the disk is full\"}"}, "warning: the disk is full"},
    {{"{\"event\":\"request\",\"request\":\"stop\",\"by\":\"ann@n1\"}"},
     "stop was asked for by ann@n1"},
    {{"{\"event\":\"request\",\"request\":\"drain\",\"by\":\"ann@n1\",\"host\":\"n3\","
      "\"accepted\":true,\"changes\":true}"},
     "drain n3 was asked for by ann@n1"},
    {{"{\"event\":\"request\",\"request\":\"scale\",\"by\":\"ann@n1\",\"count\":1,"
      "\"accepted\":false,\"reason\":\"too few\"}"},
     "scale 1 was asked for by ann@n1 and refused: too few"},
    {{"{\"event\":\"drained\",\"member\":4,\"host\":\"n3\"}"}, "member 4 (host n3) is drained"},
    {{"{\"event\":\"joined\",\"member\":4,\"host\":\"n3\"}"},
     "member 4 (host n3) joined the lineup"},
    {{"{\"event\":\"relaunch\",\"cause\":\"mpirun went down (signal 9)\",\"incarnation\":2,"
      "\"step\":40}"},
     "mpirun went down (signal 9) at step 40: starting again"},
    {{"{\"event\":\"relaunch\",\"cause\":\"mpirun went down\",\"step\":40,\"hosts\":3}"},
     "mpirun went down at step 40: starting again on 3 hosts"},
    {{"{\"event\":\"request\",\"request\":\"hosts\",\"by\":\"ann@n1\",\"count\":6,"
      "\"hosts\":\"n2:2\",\"accepted\":true}"},
     "hosts 6 (n2:2) was asked for by ann@n1"},
    {{"{\"event\":\"checkpoint\",\"checkpoint_step\":4}"}, NULL},
    {{"{\"event\":5}"}, NULL},
};

START_TEST(tells_events)
{
    struct progress_events events = {.losses = ""};
    char text[PROGRESS_LINE_BYTES] = "";
    bool told = false;
    for (int i = 0; i < 4 && stories[_i].events[i]; i++) {
        json_t *event = json_loads(stories[_i].events[i], 0, NULL);
        ck_assert_ptr_nonnull(event);
        told = progress_event(&events, event, text, sizeof text);
        json_decref(event);
    }
    ck_assert_int_eq(told, stories[_i].text != NULL);
    if (told)
        ck_assert_str_eq(text, stories[_i].text);
}
END_TEST

static const struct {
    const char *source, *text, *copies;
} resumptions[] = {
    {"local",
     "3 workers from step 120 after 1.2 s, 0 steps lost (from local copies and those of partners)",
     "[{\"host\": \"a\", \"local\": [0], \"partner\": []}, {\"host\": \"b\", \"local\": [1], "
     "\"partner\": [2]}]"},
    {"local", "3 workers from step 120 after 1.2 s, 0 steps lost (from local copies)",
     "[{\"host\": \"a\", \"local\": [0, 1, 2], \"partner\": []}]"},
    {"local", "3 workers from step 120 after 1.2 s, 0 steps lost (from local copies)", NULL},
    {"checkpoint", "3 workers from step 120 after 1.2 s, 0 steps lost (from the checkpoint)", NULL},
    {"start", "3 workers from step 120 after 1.2 s, 0 steps lost (from the start)", NULL},
    {"memory", "3 workers from step 120 after 1.2 s, 0 steps lost", NULL},
};

/* Some steps have ended when the event is written. */
START_TEST(tells_where_a_relaunch_goes_on)
{
    struct progress_events events = {.restart_s = 1.2, .step_before = 120};
    char text[PROGRESS_LINE_BYTES];
    json_t *event =
        json_pack("{s:s, s:s, s:i, s:i, s:i, s:s}", "event", "epoch", "cause", "start", "workers",
                  3, "step", 123, "resume_step", 120, "source", resumptions[_i].source);
    if (resumptions[_i].copies)
        json_object_set_new(event, "copies", json_loads(resumptions[_i].copies, 0, NULL));
    ck_assert(progress_event(&events, event, text, sizeof text));
    ck_assert_str_eq(text, resumptions[_i].text);
    json_decref(event);
}
END_TEST

START_TEST(bounds_many_losses)
{
    struct progress_events events = {.losses = ""};
    char text[PROGRESS_LINE_BYTES];
    json_t *event = json_pack("{s:s, s:i, s:i, s:s}", "event", "lost", "member", 4, "rank", 2,
                              "host", "a-host-with-a-name-of-some-length");
    for (int i = 0; i < 1000; i++)
        ck_assert(!progress_event(&events, event, text, sizeof text));
    json_object_set_new(event, "event", json_string("epoch"));
    ck_assert(progress_event(&events, event, text, sizeof text));
    json_decref(event);
}
END_TEST

static const struct {
    struct progress_end end;
    const char *text;
} ends[] = {
    {{"t", "complete", "", 600, 600, 41, 1, 0, "/runs/t/result.h5"},
     "task t complete after 600 steps, 41 s, 1 member lost: /runs/t/result.h5"},
    {{"t", "stopped", "as asked", 74, 600, 7.2, 0, 2, "/runs/t"},
     "task t stopped after 74 of 600 steps, 7.2 s, 0 members lost, 2 restarts: as asked"},
};

START_TEST(tells_the_end)
{
    char text[PROGRESS_LINE_BYTES];
    progress_end_line(&ends[_i].end, text, sizeof text);
    ck_assert_str_eq(text, ends[_i].text);
}
END_TEST

#define DASHES "--------------------------------------------------------------------------"

/* Lines in, lines shown. */
static const struct {
    const char *lines, *shown;
} outputs[] = {
    {"hello\n\nworld\n", "hello\n\nworld\n"},
    {"a\n" DASHES "\nprterun noticed that process rank 2 exited on\nsignal 9 (Killed).\n" DASHES
     "\nb\n",
     "a\nb\n"},
    {DASHES "\nMPI_ABORT was invoked on rank 1\n" DASHES "\n" DASHES
            "\nPRTE has lost communication with a remote daemon.\n" DASHES "\nb\n",
     "b\n"},
    {DASHES "\nmy own table\n" DASHES "\n", DASHES "\nmy own table\n" DASHES "\n"},
    {DASHES "\nnever closed\n", DASHES "\nnever closed\n"},
    {"-----\nshort dashes\n-----\n", "-----\nshort dashes\n-----\n"},
    {DASHES "-\nPMIx\n" DASHES "-\nb\n", DASHES "-\nPMIx\n" DASHES "-\nb\n"},
    {"[n1:123] PMIX ERROR: UNREACHABLE in file x.c\nb\n", "b\n"},
    {"[n1:123] 1 more process has sent help message help-prte.txt\n", ""},
    {"[n1:123] *** Process received signal ***\n", "[n1:123] *** Process received signal ***\n"},
    {"[info] PMIx is nice: said the program\n", "[info] PMIx is nice: said the program\n"},
    {"[warn] Epoll MOD(4) on fd 24 failed.\n", ""},
    {"LAUNCHER JOB OBJECT NOT FOUND\nb\n[vm:1] plm:ssh: Warning: setpgid(1,1) failed in parent\n",
     "b\n"},
    {"NBC_Progress: an error 77 was found during schedule 0x5 at row-offset 0\n\nb\n\n", "b\n\n"},
    {"mpirun: Forwarding signal 18 to job\nloss 0.3\n", "loss 0.3\n"},
};

static char shown[4 * NOISE_BLOCK_BYTES];

static void show(void *context, const char *text, size_t bytes)
{
    (void)context;
    strncat(shown, text, bytes);
    strcat(shown, "\n");
}

START_TEST(shows_what_is_the_programs)
{
    static struct noise noise;
    char line[256];
    shown[0] = '\0';
    for (const char *rest = outputs[_i].lines; *rest;) {
        size_t length = strcspn(rest, "\n");
        memcpy(line, rest, length);
        line[length] = '\0';
        noise_line(&noise, line, length, show, NULL);
        rest += length + 1;
    }
    noise_end(&noise, show, NULL);
    ck_assert_str_eq(shown, outputs[_i].shown);
}
END_TEST

START_TEST(shows_a_block_that_grows_too_long)
{
    static struct noise noise;
    shown[0] = '\0';
    noise_line(&noise, DASHES, strlen(DASHES), show, NULL);
    for (int i = 0; i < NOISE_BLOCK_BYTES; i++)
        noise_line(&noise, "x", 1, show, NULL);
    noise_end(&noise, show, NULL);
    ck_assert_uint_eq(strlen(shown), strlen(DASHES) + 1 + 2 * NOISE_BLOCK_BYTES);
}
END_TEST

#define LOOP(tests, test, table)                                                                   \
    tcase_add_loop_test(tests, test, 0, (int)(sizeof table / sizeof *table))

int main(void)
{
    Suite *suite = suite_create("launch text");
    TCase *tests = tcase_create("text");
    LOOP(tests, writes_durations, durations);
    LOOP(tests, writes_a_status, statuses);
    tcase_add_test(tests, cuts_a_long_status);
    LOOP(tests, tells_events, stories);
    tcase_add_test(tests, bounds_many_losses);
    LOOP(tests, tells_where_a_relaunch_goes_on, resumptions);
    LOOP(tests, tells_the_end, ends);
    LOOP(tests, shows_what_is_the_programs, outputs);
    tcase_add_test(tests, shows_a_block_that_grows_too_long);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
