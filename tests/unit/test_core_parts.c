/* test_core_parts.c - roster, policy, place, restore and interval, each on its own. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "interval.h"
#include "place.h"
#include "policy.h"
#include "restore.h"
#include "roster.h"
#include "run_suite.h"

START_TEST(roster_never_uses_an_id_again)
{
    struct roster roster;
    roster_start(&roster);
    for (uint32_t id = 2; id <= 200; id += 2)
        ck_assert_ptr_nonnull(roster_add(&roster, id));
    ck_assert(roster_remove(&roster, 100));
    ck_assert(!roster_remove(&roster, 100));
    ck_assert_ptr_null(roster_add(&roster, 100));
    ck_assert_ptr_null(roster_add(&roster, 199));
    ck_assert_ptr_null(roster_find(&roster, 100));
    ck_assert_ptr_null(roster_find(&roster, 0));
    ck_assert_ptr_null(roster_find(&roster, 201));
    ck_assert_uint_eq(roster_find(&roster, 102)->shown.id, 102);
    ck_assert_uint_eq(roster.count, 99);
    ck_assert(roster_remove(&roster, 200));
    ck_assert_ptr_null(roster_add(&roster, 200));
    ck_assert_ptr_null(roster_add(&roster, UINT32_MAX));
    roster_clear(&roster);
}
END_TEST

START_TEST(roster_is_bounded)
{
    struct roster roster;
    roster_start(&roster);
    for (uint32_t id = 1; id <= CONTROLLER_MAX_MEMBERS; id++)
        ck_assert_ptr_nonnull(roster_add(&roster, id));
    ck_assert_ptr_null(roster_add(&roster, CONTROLLER_MAX_MEMBERS + 1));
    roster_clear(&roster);
}
END_TEST

static const struct {
    const char *what;
    struct controller_policy policy;
    struct policy_supply supply; /* usable, survivors, joiners, desired, max, scaled */
    uint32_t size;
} sizes[] = {
    {"first: all", {.subtask_count = 16, .min_workers = 1}, {5, 0, 5, 0, 16, false}, 5},
    {"first: spares out",
     {.subtask_count = 16, .min_workers = 1, .spare_count = 2},
     {5, 0, 5, 0, 16, false},
     3},
    {"first: minimum before spares",
     {.subtask_count = 16, .min_workers = 4, .spare_count = 2},
     {5, 0, 5, 0, 16, false},
     4},
    {"first: subtasks", {.subtask_count = 2, .min_workers = 1}, {5, 0, 5, 0, 16, false}, 2},
    {"first: maximum", {.subtask_count = 16, .min_workers = 1}, {5, 0, 5, 0, 3, false}, 3},
    {"none: shrinks",
     {.subtask_count = 16, .min_workers = 1, .spare_count = 1},
     {4, 3, 0, 4, 16, false},
     3},
    {"none: spares fill the minimum",
     {.subtask_count = 16, .min_workers = 4, .spare_count = 1},
     {4, 3, 0, 4, 16, false},
     4},
    {"none: a joiner works", {.subtask_count = 16, .min_workers = 1}, {4, 3, 1, 3, 16, false}, 4},
    {"none: a joiner becomes the spare",
     {.subtask_count = 16, .min_workers = 1, .spare_count = 1},
     {4, 3, 1, 3, 16, false},
     3},
    {"none: scaled up",
     {.subtask_count = 16, .min_workers = 1, .spare_count = 1},
     {4, 3, 0, 4, 4, true},
     4},
    {"spare: takes the role",
     {.subtask_count = 16, .min_workers = 1, .spare_count = 1, .replace = REPLACE_SPARE},
     {4, 3, 0, 4, 16, false},
     4},
    {"spare: joiner refills",
     {.subtask_count = 16, .min_workers = 1, .spare_count = 1, .replace = REPLACE_SPARE},
     {5, 4, 1, 4, 16, false},
     4},
    {"spare: grows beyond",
     {.subtask_count = 16, .min_workers = 1, .spare_count = 1, .replace = REPLACE_SPARE},
     {6, 4, 2, 4, 16, false},
     5},
    {"spare: none left",
     {.subtask_count = 16, .min_workers = 1, .replace = REPLACE_SPARE},
     {2, 2, 0, 4, 16, false},
     2},
    {"scaled down",
     {.subtask_count = 16, .min_workers = 1, .replace = REPLACE_SPAWN},
     {4, 4, 0, 2, 2, true},
     2},
};

START_TEST(size_follows_the_policy)
{
    ck_assert_msg(policy_size(&sizes[_i].policy, &sizes[_i].supply) == sizes[_i].size, "%s",
                  sizes[_i].what);
}
END_TEST

START_TEST(backoff_doubles_and_is_bounded)
{
    struct controller_policy policy = {.backoff_us = 100, .restart_budget = 2};
    struct policy_budget budget = {0};
    static const int64_t pauses[] = {100, 200, 400, 800, 1600, 3200, 6400, 6400, 6400};
    for (uint32_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        policy_spawn_failed(&policy, &budget, 1000);
        ck_assert_int_eq(budget.not_before_us, 1000 + pauses[i]);
    }
    policy_spawn_succeeded(&budget);
    policy_spawn_failed(&policy, &budget, 0);
    ck_assert_int_eq(budget.not_before_us, 100);
    ck_assert(policy_budget_left(&policy, &budget));
    budget.used = 2;
    ck_assert(!policy_budget_left(&policy, &budget));
}
END_TEST

static const struct {
    const char *hosts;
    uint32_t wanted;
    bool good;
    uint32_t count;
    const char *placed;
} place_cases[] = {
    {"", 3, true, 3, ""},
    {"n0:4", 2, true, 2, "n0:2"},
    {"n0:1,n1:3", 2, true, 2, "n1:2"},
    {"n0:2,n1:2", 3, true, 2, "n0:2"},
    {"n0:2,n1:3,n2:3", 9, true, 3, "n1:3"},
    {"full:2,n1:2", 2, true, 2, "n1:2"},
    {"full:2", 1, true, 0, ""},
    {"full:3,n1:0", 4, true, 1, "full:1"},
    {"n0", 1, false, 0, NULL},
    {"n0:", 1, false, 0, NULL},
    {":2", 1, false, 0, NULL},
    {"n0:2;n1:2", 1, false, 0, NULL},
    {"n0:99999", 1, false, 0, NULL},
};

static uint32_t two_on_full(const void *context, const char *name)
{
    (void)context;
    return strcmp(name, "full") == 0 ? 2 : 0;
}

START_TEST(free_slots_are_filled)
{
    struct placement place;
    bool good =
        place_choose(place_cases[_i].hosts, place_cases[_i].wanted, two_on_full, NULL, &place);
    ck_assert_int_eq(good, place_cases[_i].good);
    if (!good)
        return;
    ck_assert_uint_eq(place.count, place_cases[_i].count);
    ck_assert_str_eq(place.hosts, place_cases[_i].placed);
}
END_TEST

START_TEST(placement_is_bounded)
{
    char hosts[2 * PLACE_TEXT_BYTES];
    struct placement place;
    memset(hosts, 'n', PLACE_TEXT_BYTES);
    snprintf(hosts + PLACE_TEXT_BYTES, sizeof hosts - PLACE_TEXT_BYTES, ":9,n1:2");
    ck_assert(place_choose(hosts, 4, two_on_full, NULL, &place));
    ck_assert_str_eq(place.hosts, "n1:2"); /* a name that the text has no room for is passed over */
    ck_assert_uint_eq(place.count, 2);
}
END_TEST

static const struct {
    const char *hosts, *changes;
    const char *merged; /* NULL: they cannot be read */
    uint32_t added, total;
} merges[] = {
    {"n0:2,n1:2", "n2:3", "n0:2,n1:2,n2:3", 3, 7},
    {"n0:2,n1:2", "n1:0", "n0:2", 0, 2},
    {"n0:2,n1:2", "n1:0,n2:1", "n0:2,n2:1", 1, 3},
    {"n0:2,n1:2", "n1:4", "n0:2,n1:4", 2, 6},
    {"n0:2,n1:4", "n1:1,n0:2", "n0:2,n1:4", 0, 6},
    {"n0.a:2", "n0.b:10", "n0.a:10", 8, 10},
    {"n0:2", "n1:1,n1:1", "n0:2,n1:1", 1, 3},
    {"n0:1", "n0:0", "", 0, 0},
    {"", "n1:1000", "n1:1000", 1000, 1000},
    {"n0:2", "n1", NULL, 0, 0},
    {"n0", "n1:2", NULL, 0, 0},
};

START_TEST(changes_of_hosts_are_merged)
{
    char merged[64];
    uint32_t added, total;
    ck_assert_int_eq(
        place_merge(merges[_i].hosts, merges[_i].changes, "", true, merged, &added, &total),
        merges[_i].merged != NULL);
    if (!merges[_i].merged)
        return;
    ck_assert_str_eq(merged, merges[_i].merged);
    ck_assert_uint_eq(added, merges[_i].added);
    ck_assert_uint_eq(total, merges[_i].total);
}
END_TEST

START_TEST(hosts_that_a_list_does_not_have_are_passed_over)
{
    char merged[32];
    uint32_t added, total;
    ck_assert(place_merge("n0:2,n1:2", "n2:3,n1:4,n0:0", "", false, merged, &added, &total));
    ck_assert_str_eq(merged, "n1:4");
    ck_assert_uint_eq(added, 2);
    ck_assert_uint_eq(total, 4);
}
END_TEST

START_TEST(hosts_are_merged_by_any_name)
{
    static const char names[] = "10.0.0.1=n1,front.cluster=n2,localhost=n3";
    static const char *const changes[] = {"n1:4", "n1.cluster:4", "10.0.0.1:4"};
    char merged[64];
    uint32_t added, total;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        ck_assert(place_merge("n0:2,10.0.0.1:2", changes[i], names, true, merged, &added, &total));
        ck_assert_str_eq(merged, "n0:2,10.0.0.1:4");
        ck_assert_uint_eq(added, 2);
        ck_assert_uint_eq(total, 6);
    }
    ck_assert(place_merge("10.0.0.1:2,front.cluster:1", "n1:0,n2:3,n4:1", names, true, merged,
                          &added, &total));
    ck_assert_str_eq(merged, "front.cluster:3,n4:1");
    ck_assert_uint_eq(added, 3);
    ck_assert(place_is_one(names, "10.0.0.1", "n1"));
    ck_assert(place_is_one(names, "front", "n2.cluster"));
    ck_assert(!place_is_one(names, "10.0.0.1", "n2"));
    ck_assert(!place_is_one(names, "10.0.0.2", "n1"));
}
END_TEST

START_TEST(hosts_are_one_up_to_the_dot)
{
    ck_assert(place_same_host("n1", "n1.cluster"));
    ck_assert(!place_same_host("n1", "n10.cluster"));
    ck_assert(!place_same_host("n1", "n2"));
    ck_assert(place_same_host("10.0.0.1", "10.0.0.1"));
    ck_assert(!place_same_host("10.0.0.1", "10.0.0.2"));
    ck_assert(!place_same_host("10.0.0.1", "10"));
    ck_assert(place_same_host("10", "10.cluster"));
}
END_TEST

START_TEST(hosts_have_names_of_their_own)
{
    static const char names[] = "10.0.0.1=n1,front=n2.cluster";
    char own[PLACE_NAME_BYTES], name[PLACE_NAME_BYTES];
    const char *rest = "n1=,n2=n3";
    ck_assert_str_eq(place_own_name(names, "10.0.0.1", own), "n1");
    ck_assert_str_eq(place_own_name(names, "front", own), "n2.cluster");
    ck_assert_str_eq(place_own_name(names, "10.0.0", own), "10.0.0");
    ck_assert_str_eq(place_own_name("", "n1", own), "n1");
    ck_assert_str_eq(place_own_name(names, "front.cluster", own), "n2.cluster");
    ck_assert_str_eq(place_own_name("n1.b=x,n1=y", "n1", own), "y"); /* that very name */
    ck_assert_str_eq(place_listed_name(names, "n1", name), "10.0.0.1");
    ck_assert_str_eq(place_listed_name(names, "n2", name), "front");
    ck_assert_str_eq(place_listed_name(names, "n3", name), "n3");
    ck_assert_str_eq(place_listed_name("localhost=n1,127.0.1.1=n1", "n1", name), "n1");
    ck_assert(!place_next_name(&rest, name, own));
    uint32_t slots = 0;
    rest = "n1:2,n2:0";
    ck_assert(place_next_host(&rest, name, &slots) && slots == 2);
    ck_assert(place_next_host(&rest, name, &slots) && slots == 0);
    ck_assert_str_eq(name, "n2");
    ck_assert(!place_next_host(&rest, name, &slots));
}
END_TEST

START_TEST(checkpoints_stay_in_order_and_bounded)
{
    struct restore_checkpoints list = {0};
    ck_assert_int_eq(restore_newest(&list), -1);
    restore_add(&list, 20);
    restore_add(&list, 10);
    restore_add(&list, 20);
    ck_assert_uint_eq(list.count, 2);
    ck_assert_int_eq(list.steps[0], 10);
    ck_assert(!restore_remove(&list, 15));
    ck_assert(restore_remove(&list, 20));
    ck_assert_int_eq(restore_newest(&list), 10);
    for (int64_t step = 100; step < 300; step++)
        restore_add(&list, step);
    ck_assert_uint_eq(list.count, CONTROLLER_MAX_CHECKPOINTS);
    ck_assert_int_eq(restore_newest(&list), 299);
    ck_assert_int_eq(list.steps[0], 300 - CONTROLLER_MAX_CHECKPOINTS);
    restore_add(&list, 5); /* older than all, and no room */
    ck_assert_int_eq(list.steps[0], 300 - CONTROLLER_MAX_CHECKPOINTS);
}
END_TEST

/* Up to three members with what they report: step, clean, reported, copies. */
static const struct {
    const char *what;
    struct {
        int64_t step;
        bool clean, reported;
        uint32_t held_count;
        struct held_copy held[3];
    } members[3];
    int64_t checkpoint;
    bool sharded;
    struct restore_choice choice;
} restores[] = {
    {"nothing at all", {{-1, false, true, 0, {{0}}}}, -1, false, {SOURCE_FRESH, 0, 0}},
    {"the most advanced",
     {{3, true, true, 0, {{0}}}, {4, true, true, 0, {{0}}}},
     -1,
     false,
     {SOURCE_MEMBER, 2, 4}},
    {"not an unclean one",
     {{3, true, true, 0, {{0}}}, {4, false, true, 0, {{0}}}},
     -1,
     false,
     {SOURCE_MEMBER, 1, 3}},
    {"not one that did not report",
     {{3, true, true, 0, {{0}}}, {4, true, false, 0, {{0}}}},
     -1,
     false,
     {SOURCE_MEMBER, 1, 3}},
    {"a newer checkpoint", {{3, true, true, 0, {{0}}}}, 4, false, {SOURCE_CHECKPOINT, 0, 4}},
    {"a member before a checkpoint", {{4, true, true, 0, {{0}}}}, 4, false, {SOURCE_MEMBER, 1, 4}},
    {"a whole copy",
     {{-1, false, true, 1, {{7, 0, 1, LEVEL_LOCAL}}}},
     4,
     false,
     {SOURCE_HELD, 1, 7}},
    {"memory is no copy",
     {{-1, false, true, 1, {{7, 0, 1, LEVEL_MEMORY}}}},
     4,
     false,
     {SOURCE_CHECKPOINT, 0, 4}},
    {"sharded: not from a member", {{9, true, true, 0, {{0}}}}, 4, true, {SOURCE_CHECKPOINT, 0, 4}},
    {"sharded: all shards",
     {{9, true, true, 2, {{8, 0, 2, LEVEL_LOCAL}, {6, 0, 2, LEVEL_LOCAL}}},
      {9, true, true, 1, {{6, 1, 2, LEVEL_PARTNER}}}},
     4,
     true,
     {SOURCE_HELD, 0, 6}},
    {"sharded: a shard twice is no other shard",
     {{9, true, true, 1, {{6, 0, 2, LEVEL_LOCAL}}}, {9, true, true, 1, {{6, 0, 2, LEVEL_PARTNER}}}},
     4,
     true,
     {SOURCE_CHECKPOINT, 0, 4}},
    {"sharded: two splits do not mix",
     {{9, true, true, 1, {{6, 0, 2, LEVEL_LOCAL}}}, {9, true, true, 1, {{6, 1, 3, LEVEL_LOCAL}}}},
     -1,
     true,
     {SOURCE_FRESH, 0, 0}},
    {"sharded: the shards of who did not report",
     {{9, true, true, 1, {{6, 0, 2, LEVEL_LOCAL}}}, {9, true, false, 1, {{6, 1, 2, LEVEL_LOCAL}}}},
     -1,
     true,
     {SOURCE_FRESH, 0, 0}},
};

START_TEST(newest_restorable_step_is_found)
{
    struct roster roster;
    struct restore_checkpoints list = {0};
    struct restore_choice choice;
    roster_start(&roster);
    for (uint32_t i = 0; i < 3; i++) {
        struct core_member *member = &roster_add(&roster, i + 1)->shown;
        member->complete_step = restores[_i].members[i].step;
        member->clean = restores[_i].members[i].clean;
        member->reported = restores[_i].members[i].reported;
        member->held_count = restores[_i].members[i].held_count;
        for (uint32_t k = 0; k < member->held_count; k++)
            member->held[k] = restores[_i].members[i].held[k];
    }
    if (restores[_i].checkpoint >= 0)
        restore_add(&list, restores[_i].checkpoint);
    ck_assert_int_eq(restore_choose(&roster, &list, restores[_i].sharded, &choice), 0);
    ck_assert_msg(choice.source == restores[_i].choice.source &&
                      choice.member == restores[_i].choice.member &&
                      choice.step == restores[_i].choice.step,
                  "%s: source %d member %u step %d", restores[_i].what, choice.source,
                  choice.member, (int)choice.step);
    roster_clear(&roster);
}
END_TEST

START_TEST(interval_is_the_first_order_optimum)
{
    struct interval interval = {0};
    int64_t second = 1000000, hour = 3600 * second;
    /* no failure: sqrt(2 * 1 s * 86400 s) = 415.692 s */
    ck_assert_int_eq(interval_us(&interval, 0, 0), 415692000);
    interval_observe_cost(&interval, 4 * second);
    interval_observe_time(&interval, 10 * hour);
    for (int i = 0; i < 10; i++)
        interval_observe_failure(&interval);
    /* (8 * 10 h + 24 h) / 81 = 4622.222 s; sqrt(2 * 4 * 4622.222) = 192.296 s */
    ck_assert_int_eq(interval_us(&interval, 0, 0) / second, 192);
    ck_assert_int_eq(interval_us(&interval, 0, 100 * second), 100 * second);
    ck_assert_int_eq(interval_us(&interval, 300 * second, 0), 300 * second);
    ck_assert_int_eq(interval_us(&interval, 2 * hour, 0), 2 * hour);
}
END_TEST

START_TEST(interval_bears_extremes)
{
    struct interval interval = {0};
    interval_observe_cost(&interval, 0);
    ck_assert_int_ge(interval_us(&interval, 1000, 0), 1000);
    interval_observe_cost(&interval, (int64_t)1 << 53);
    for (int i = 0; i < 100; i++) {
        interval_observe_cost(&interval, (int64_t)1 << 53);
        interval_observe_time(&interval, (int64_t)1 << 53);
    }
    ck_assert_int_gt(interval_us(&interval, 0, (int64_t)1 << 53), 0);
    interval.failures = (int64_t)1 << 32;
    interval.observed_us = 0;
    ck_assert_int_ge(interval_us(&interval, 0, 0), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core parts");
    TCase *cases = tcase_create("parts");
    tcase_add_test(cases, roster_never_uses_an_id_again);
    tcase_add_test(cases, roster_is_bounded);
    tcase_add_loop_test(cases, size_follows_the_policy, 0, sizeof(sizes) / sizeof(sizes[0]));
    tcase_add_test(cases, backoff_doubles_and_is_bounded);
    tcase_add_loop_test(cases, free_slots_are_filled, 0, sizeof place_cases / sizeof *place_cases);
    tcase_add_test(cases, placement_is_bounded);
    tcase_add_loop_test(cases, changes_of_hosts_are_merged, 0, sizeof merges / sizeof *merges);
    tcase_add_test(cases, hosts_that_a_list_does_not_have_are_passed_over);
    tcase_add_test(cases, hosts_are_merged_by_any_name);
    tcase_add_test(cases, hosts_are_one_up_to_the_dot);
    tcase_add_test(cases, hosts_have_names_of_their_own);
    tcase_add_test(cases, checkpoints_stay_in_order_and_bounded);
    tcase_add_loop_test(cases, newest_restorable_step_is_found, 0,
                        sizeof(restores) / sizeof(restores[0]));
    tcase_add_test(cases, interval_is_the_first_order_optimum);
    tcase_add_test(cases, interval_bears_extremes);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
