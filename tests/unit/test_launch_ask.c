/* test_launch_ask.c - what came of a request. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
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

int main(void)
{
    Suite *suite = suite_create("launch ask");
    TCase *tests = tcase_create("ask");
    tcase_add_loop_test(tests, says_what_came_of_a_request, 0,
                        (int)(sizeof answers / sizeof *answers));
    tcase_add_test(tests, bounds_a_long_list);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
