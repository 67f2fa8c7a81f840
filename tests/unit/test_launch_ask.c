/* test_launch_ask.c - what came of a request, the draws of a drill, and whom its faults hit. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "draw.h"
#include "drill.h"
#include "run_suite.h"

#define REQUEST "{\"event\":\"request\",\"name\":\"r\",\"epoch\":1,\"step\":9,\"accepted\":"
#define CHANGES REQUEST "true,\"changes\":true}"
#define EPOCH(workers)                                                                             \
    "{\"event\":\"epoch\",\"epoch\":2,\"step\":120,\"workers\":" #workers                          \
    ",\"stall_s\":0.1,\"steps_lost\":0}"
#define STOPPED "{\"event\":\"stopped\"}"
#define RELAUNCH "{\"event\":\"relaunch\"}"
#define FIRST_EPOCH "{\"event\":\"epoch\",\"epoch\":1,\"step\":120,\"workers\":4}"
#define DRAINED(member) "{\"event\":\"drained\",\"member\":" #member "}"
#define JOINED(member) "{\"event\":\"joined\",\"member\":" #member "}"

static const struct {
    struct run_request request;
    const char *events[5];
    bool done;
    int exit_code;
    const char *text;
} answers[] = {
    {{.request = "drain", .host = "n3"},
     {CHANGES, DRAINED(4), DRAINED(5), EPOCH(3)},
     true,
     0,
     "drain n3: members 4 and 5 left the lineup at step 120, 3 workers go on"},
    {{.request = "drain", .member = 4},
     {CHANGES, DRAINED(4), JOINED(6), EPOCH(1)},
     true,
     0,
     "drain 4: member 4 left the lineup at step 120, member 6 joined the lineup at step 120, 1 "
     "worker goes on"},
    {{.request = "drain", .member = 4},
     {CHANGES, EPOCH(3)},
     true,
     1,
     "drain 4: forgotten, since the controller was lost meanwhile; ask again"},
    {{.request = "drain", .member = 4},
     {REQUEST "true,\"changes\":false}"},
     true,
     0,
     "drain 4: is drained already, 7 workers go on"},
    {{.request = "undrain", .member = 4},
     {CHANGES, JOINED(4), EPOCH(4)},
     true,
     0,
     "undrain 4: member 4 joined the lineup at step 120, 4 workers go on"},
    {{.request = "scale", .count = 9},
     {CHANGES, JOINED(4), JOINED(5), JOINED(6), EPOCH(6)},
     true,
     0,
     "scale 9: members 4, 5 and 6 joined the lineup at step 120, 6 workers go on, as many as there "
     "are"},
    {{.request = "scale", .count = 2},
     {CHANGES, EPOCH(2)},
     true,
     0,
     "scale 2: from step 120 2 workers go on"},
    {{.request = "scale", .count = 4},
     {REQUEST "true,\"changes\":true,\"expected\":4}", JOINED(4), EPOCH(3), JOINED(7), EPOCH(4)},
     true,
     0,
     "scale 4: members 4 and 7 joined the lineup at step 120, 4 workers go on"},
    {{.request = "scale", .count = 7},
     {REQUEST "true,\"changes\":false}"},
     true,
     0,
     "scale 7: 7 workers go on"},
    {{.request = "scale", .count = 1},
     {REQUEST "false,\"reason\":\"too few\"}"},
     true,
     1,
     "scale 1: refused: too few"},
    {{.request = "scale", .count = 1},
     {"{\"event\":\"complete\"}"},
     true,
     1,
     "scale 1: not done: the task is complete"},
    /* a planned start comes in between, before or after the answer */
    {{.request = "scale", .count = 4},
     {STOPPED, RELAUNCH, REQUEST "true,\"changes\":false}"},
     true,
     0,
     "scale 4: 7 workers go on"},
    {{.request = "scale", .count = 4},
     {REQUEST "true,\"changes\":true,\"expected\":4}", STOPPED, RELAUNCH, FIRST_EPOCH},
     true,
     0,
     "scale 4: from step 120 4 workers go on"},
    {{.request = "drain", .host = "n3"},
     {CHANGES, STOPPED, RELAUNCH, FIRST_EPOCH},
     true,
     0,
     "drain n3: from step 120 4 workers go on"},
    {{.request = "undrain", .host = "n3"},
     {REQUEST "true,\"changes\":true,\"expected\":4}", STOPPED, RELAUNCH, FIRST_EPOCH},
     true,
     0,
     "undrain n3: from step 120 4 workers go on"},
    {{.request = "undrain", .host = "n3"},
     {REQUEST "true,\"changes\":false,\"reason\":\"nobody more is needed\"}"},
     true,
     0,
     "undrain n3: nobody more is needed, 7 workers go on"},
    {{.request = "scale", .count = 4}, {STOPPED}, false, 0, NULL},
    /* another's answer, an epoch of before it, and no end */
    {{.request = "scale", .count = 1},
     {"{\"event\":\"request\",\"name\":\"other\",\"accepted\":false}", EPOCH(3), JOINED(4)},
     false,
     0,
     NULL},
};

START_TEST(says_what_came_of_a_request)
{
    struct answer answer;
    struct run_request request = answers[_i].request;
    struct run_status status = {.workers = 7};
    char text[ANSWER_TEXT_BYTES];
    strcpy(request.name, "r");
    answer_start(&answer, &request);
    for (int i = 0; i < 5 && answers[_i].events[i]; i++) {
        json_t *event = json_loads(answers[_i].events[i], 0, NULL);
        ck_assert_ptr_nonnull(event);
        answer_event(&answer, event);
        json_decref(event);
    }
    ck_assert_int_eq(answer.done, answers[_i].done);
    if (!answer.done)
        return;
    ck_assert_int_eq(answer_text(&answer, &status, text, sizeof text), answers[_i].exit_code);
    ck_assert_str_eq(text, answers[_i].text);
    json_t *root = answer_json(&answer, "t", text);
    ck_assert_str_eq(json_string_value(json_object_get(root, "text")), text);
    json_decref(root);
}
END_TEST

START_TEST(bounds_a_long_list)
{
    struct answer answer;
    struct run_request request = {.request = "drain", .host = "n3", .name = "r"};
    struct run_status status = {.workers = 7};
    char text[ANSWER_TEXT_BYTES];
    answer_start(&answer, &request);
    json_t *event = json_loads(CHANGES, 0, NULL);
    answer_event(&answer, event);
    json_decref(event);
    for (int i = 0; i < 1000; i++) {
        event = json_pack("{s:s, s:i}", "event", "drained", "member", i + 2);
        answer_event(&answer, event);
        json_decref(event);
    }
    event = json_loads(EPOCH(3), 0, NULL);
    answer_event(&answer, event);
    json_decref(event);
    ck_assert_int_eq(answer_text(&answer, &status, text, sizeof text), 0);
    ck_assert_ptr_nonnull(strstr(text, ", 16, 17 and 984 more left the lineup"));
}
END_TEST

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

int main(void)
{
    Suite *suite = suite_create("launch ask");
    TCase *tests = tcase_create("ask");
    tcase_add_loop_test(tests, says_what_came_of_a_request, 0,
                        (int)(sizeof answers / sizeof *answers));
    tcase_add_test(tests, bounds_a_long_list);
    tcase_add_test(tests, draws_the_same_from_the_same_seed);
    tcase_add_test(tests, keeps_the_minimum_of_workers);
    tcase_add_test(tests, chooses_hosts_that_can_be_spared);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
