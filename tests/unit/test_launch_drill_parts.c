/* test_launch_drill_parts.c - the parts of a drill: its draws, whom its faults hit, which epoch
 * answers them, what is told of that, and which host a name means. */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "drill.h"
#include "drill_costs.h"
#include "drill_story.h"
#include "host_names.h"
#include "run_suite.h"

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
    drill_expect_back(&drill, "n1", "10.0.0.1", "boot", 10);
    drill_expect_back(&drill, "n2", "n2", "heal", 20);
    ck_assert_ptr_null(drill_due(&drill, 9));
    double now_s = 10;
    for (int try = 0; try < DRILL_TRIES; try++) {
        struct drill_down *down = drill_due(&drill, now_s);
        ck_assert_ptr_nonnull(down);
        ck_assert_str_eq(down->host, "n1");
        ck_assert_str_eq(down->name, "10.0.0.1");
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

static struct drill_cost cost;

static bool feed(struct drill_costs *costs, int incarnation, int epoch, const char *rest)
{
    char text[256];
    cost.epoch = -1;
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
    drill_costs_add(&costs, 1, 1, 4, "n2");
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
    drill_costs_add(&costs, 1, 1, 4, "n2");
    drill_costs_add(&costs, 2, 1, 0, "n3");
    ck_assert(!feed(&costs, 2, 5, AGAIN));  /* names the epoch before */
    drill_costs_add(&costs, 3, 3, 2, "n1"); /* before the events of its start were read */
    ck_assert(!feed(&costs, 3, 5, AGAIN));  /* the start before had no epoch */
    ck_assert(feed(&costs, 3, 1, OPENED("start")));
    ck_assert_uint_eq(cost.fault_count, 2);
    ck_assert(cost.faults[0] == 1 && cost.faults[1] == 2);
    ck_assert_int_eq(drill_costs_unanswered(&costs), 1);
    ck_assert(!feed(&costs, 3, 1, LOST(2, "n1")));
    ck_assert(feed(&costs, 3, 2, OPENED("lost member 2")));
    ck_assert(cost.fault_count == 1 && cost.faults[0] == 3);
    ck_assert(!feed(&costs, 4, 2, AGAIN)); /* a planned one, which answers nothing */
    ck_assert(feed(&costs, 4, 1, OPENED("start")));
    ck_assert_uint_eq(cost.fault_count, 0);
    ck_assert_int_eq(costs.relaunches, 3);
    ck_assert_int_eq(costs.epochs, 3);
    ck_assert_int_eq(drill_costs_unanswered(&costs), 0);
}
END_TEST

START_TEST(knows_a_host_and_an_incarnation)
{
    static struct drill_costs costs;
    drill_costs_add(&costs, 1, 2, 0, "n3.cluster");
    drill_costs_add(&costs, 2, 2, 4, "n1");
    ck_assert(!feed(&costs, 1, 5, LOST(4, "n1"))); /* another member 4 */
    ck_assert(!feed(&costs, 2, 5, LOST(7, "n3")));
    ck_assert(feed(&costs, 2, 6, OPENED("lost member 7")));
    ck_assert_int_eq(drill_costs_unanswered(&costs), 1);
    for (int i = 0; i < DRILL_MAX_OPEN; i++)
        drill_costs_add(&costs, 3 + i, 2, 8, "n1");
    ck_assert_int_eq(drill_costs_unanswered(&costs), DRILL_MAX_OPEN + 1);
    ck_assert(!feed(&costs, 2, 6, LOST(8, "n1")));
    ck_assert(feed(&costs, 2, 7, OPENED("lost member 8")));
    ck_assert_int_eq(drill_costs_unanswered(&costs), 1);
}
END_TEST

/* ---- what is told
 * ------------------------------------------------------------------------------------ */

START_TEST(tells_what_each_fault_cost)
{
    char text[DRILL_STORY_BYTES];
    static struct drill_costs costs;
    struct drill_story story = {.faults = NULL};
    for (int i = 1; i <= 20; i++) {
        drill_costs_add(&costs, i, 1, i < 19 ? 4 : 5, "n2");
        drill_story_fault(&story, i, DRILL_STOP, "stop member 4");
    }
    ck_assert(!feed(&costs, 1, 5, LOST(4, "n2")));
    ck_assert(feed(&costs, 1, 6, OPENED("lost member 4")));
    drill_story_cost(&story, &cost);
    drill_story_cost_text(&cost, text, sizeof text);
    ck_assert_str_eq(text, "faults 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 and 2 "
                           "more: epoch 6 (lost member 4): 3 workers from step 0, 0.50 s, 2 steps "
                           "lost");
    drill_story_unanswered_text(&costs, text, sizeof text);
    ck_assert_str_eq(text, "faults 19, 20 brought no epoch");
    json_t *list = drill_story_json(&story), *last = json_array_get(list, 17);
    ck_assert_int_eq(json_array_size(list), 20);
    ck_assert_int_eq(json_integer_value(json_object_get(last, "fault")), 18);
    ck_assert_str_eq(json_string_value(json_object_get(last, "kind")), "stop");
    json_t *one = json_object_get(last, "cost");
    ck_assert_int_eq(json_integer_value(json_object_get(one, "epoch")), 6);
    ck_assert_double_eq(json_real_value(json_object_get(one, "stall_s")), 0.5);
    ck_assert(json_is_null(json_object_get(json_array_get(list, 18), "cost")));
    json_decref(list);
    drill_story_clear(&story);
}
END_TEST

START_TEST(tells_of_one_fault_or_none)
{
    char text[DRILL_STORY_BYTES];
    static struct drill_costs costs;
    drill_story_unanswered_text(&costs, text, sizeof text);
    ck_assert_str_eq(text, "");
    drill_costs_add(&costs, 7, 1, 4, "n2");
    drill_story_unanswered_text(&costs, text, sizeof text);
    ck_assert_str_eq(text, "fault 7 brought no epoch");
    costs.given_up = 3;
    drill_story_unanswered_text(&costs, text, sizeof text);
    ck_assert_str_eq(text, "fault 7, and 3 older brought no epoch");
    ck_assert(!feed(&costs, 2, 5, AGAIN));
    ck_assert(feed(&costs, 2, 1, OPENED("start")));
    drill_story_cost_text(&cost, text, sizeof text);
    ck_assert(!strncmp(text, "fault 7: epoch 1 (start): ", 26));
    ck_assert(!feed(&costs, 3, 5, AGAIN));
    ck_assert(feed(&costs, 3, 1, OPENED("start")));
    drill_story_cost_text(&cost, text, sizeof text);
    ck_assert(!strncmp(text, "epoch 1 (start): ", 17));
}
END_TEST

START_TEST(waits_as_long_as_the_task_takes_to_notice)
{
    ck_assert_double_eq(drill_answer_limit_s(0), drill_answer_limit_s(5)); /* the default */
    ck_assert_double_ge(drill_answer_limit_s(0.5), 20);                    /* for a start */
    ck_assert_double_ge(drill_answer_limit_s(120), 240);
}
END_TEST

START_TEST(knows_hosts_by_any_name)
{
    json_t *names =
        json_pack("{s:s, s:s, s:s}", "10.0.0.1", "n1", "front.cluster", "n2", "localhost", "n3");
    ck_assert_str_eq(host_names_listed(names, "n1"), "10.0.0.1");
    ck_assert_str_eq(host_names_listed(names, "n2.x"), "front.cluster");
    ck_assert_str_eq(host_names_listed(names, "n3"), "n3");
    ck_assert_str_eq(host_names_listed(names, "n4"), "n4");
    ck_assert_str_eq(host_names_listed(NULL, "n1"), "n1");
    ck_assert(host_names_same(names, "10.0.0.1", "n1"));
    ck_assert(host_names_same(names, "front", "n2.cluster"));
    ck_assert(host_names_same(names, "n3", "localhost"));
    ck_assert(!host_names_same(names, "10.0.0.2", "n1"));
    ck_assert(!host_names_same(NULL, "10.0.0.1", "n1"));
    json_decref(names);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("launch drill parts");
    TCase *tests = tcase_create("parts");
    tcase_add_test(tests, draws_the_same_from_the_same_seed);
    tcase_add_test(tests, keeps_the_minimum_of_workers);
    tcase_add_test(tests, chooses_hosts_that_can_be_spared);
    tcase_add_test(tests, spares_the_hosts_of_the_launcher_and_its_own);
    tcase_add_test(tests, tries_again_to_bring_a_host_back);
    tcase_add_test(tests, takes_only_the_epoch_that_answers);
    tcase_add_test(tests, takes_the_first_epoch_after_a_relaunch);
    tcase_add_test(tests, knows_a_host_and_an_incarnation);
    tcase_add_test(tests, tells_what_each_fault_cost);
    tcase_add_test(tests, tells_of_one_fault_or_none);
    tcase_add_test(tests, waits_as_long_as_the_task_takes_to_notice);
    tcase_add_test(tests, knows_hosts_by_any_name);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
