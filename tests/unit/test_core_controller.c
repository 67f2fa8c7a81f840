/* test_core_controller.c - the controller's bounds: bad policies, events that cannot be, saved
 * states that were damaged. What it decides is told by the transcripts and the simulator. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "controller.h"
#include "run_suite.h"

static const struct controller_policy good = {.subtask_count = 8,
                                              .step_count = 100,
                                              .min_workers = 1,
                                              .max_workers = 8,
                                              .restart_budget = 3,
                                              .backoff_us = 1000,
                                              .no_progress_limit = 5,
                                              .checkpoint_steps = 10};

START_TEST(policies_out_of_range_are_refused)
{
    struct controller_policy policy = good;
    switch (_i) {
    case 0:
        policy.subtask_count = 0;
        break;
    case 1:
        policy.step_count = -1;
        break;
    case 2:
        policy.min_workers = 0;
        break;
    case 3:
        policy.max_workers = 0;
        break;
    case 4:
        policy.replace = 3;
        break;
    case 5:
        policy.checkpoint_steps = -1;
        break;
    case 6:
        policy.checkpoint_us = INT64_MAX;
        break;
    case 7:
        policy.checkpoint_min_us = 2;
        policy.checkpoint_max_us = 1;
        break;
    case 8:
        policy.backoff_us = INT64_MAX;
        break;
    default:
        policy.no_progress_limit = 0;
    }
    ck_assert_ptr_null(controller_create(&policy));
    controller_destroy(NULL);
}
END_TEST

static int feed(struct controller *core, struct controller_event event)
{
    struct controller_actions actions;
    int answer = controller_step(core, &event, &actions);
    ck_assert_ptr_null(controller_check(core));
    return answer;
}

/* Controller 1 and workers 2 to 4 in epoch 1 at step 12, the checkpoint of step 10 in flight. */
static struct controller *running_with(const struct controller_policy *policy, int64_t end_us)
{
    struct controller *core = controller_create(policy);
    feed(core, (struct controller_event){.type = EVENT_START, .end_us = end_us});
    for (uint32_t id = 1; id <= 4; id++)
        feed(core,
             (struct controller_event){
                 .type = EVENT_REGISTERED, .member = id, .is_controller = id == 1, .step = -1});
    feed(core, (struct controller_event){.type = EVENT_GATHERED});
    feed(core, (struct controller_event){.type = EVENT_OPENED, .epoch = 1});
    for (uint32_t id = 2; id <= 4; id++)
        feed(core, (struct controller_event){
                       .type = EVENT_REPORT, .member = id, .step = 12, .clean = true});
    ck_assert_uint_eq(controller_worker_count(core), 3);
    return core;
}

static struct controller *running(void)
{
    return running_with(&good, 0);
}

/* The shards of the checkpoint in flight come at 100 s, and it is committed at 101 s. */
static struct controller_interval after_checkpoint(int64_t cost_us, int64_t took_us)
{
    struct controller *core = running_with(&good, 10000000000);
    for (uint32_t id = 2; id <= 4; id++)
        ck_assert_int_eq(feed(core, (struct controller_event){.type = EVENT_CHECKPOINT_SHARD,
                                                              .member = id,
                                                              .step = 10,
                                                              .epoch = 1,
                                                              .now_us = 100000000,
                                                              .cost_us = id == 3 ? cost_us : 1,
                                                              .took_us = id == 4 ? took_us : 0}),
                         0);
    ck_assert_int_eq(feed(core, (struct controller_event){.type = EVENT_CHECKPOINT_COMMITTED,
                                                          .step = 10,
                                                          .now_us = 101000000}),
                     0);
    ck_assert_int_eq(controller_checkpoint_step(core), 10);
    struct controller_interval interval = controller_get_interval(core);
    controller_destroy(core);
    return interval;
}

/* What is recorded as its cost is what held up the steps; how long it took in all counts where the
 * time is nearly over: the last one begins twice as long before the end. */
START_TEST(a_checkpoint_costs_what_it_held_up)
{
    struct controller_interval quick = after_checkpoint(2000, 0);
    struct controller_interval slow = after_checkpoint(2000, 30000000);
    ck_assert_int_eq(quick.cost_us, 2000);
    ck_assert_int_eq(slow.cost_us, 2000);
    ck_assert_int_eq(slow.interval_us, quick.interval_us);
    ck_assert_int_eq(quick.stop_us - slow.stop_us, 2 * (30000000 - 2000));
    slow = after_checkpoint(2000, INT64_MAX); /* longer than there was time: since the beginning */
    ck_assert_int_eq(quick.stop_us - slow.stop_us, 2 * (100000000 - 2000));
}
END_TEST

/* What is shown goes back with the workers; what is known to have been complete does not. */
START_TEST(steps_that_are_done_again_are_the_current_ones)
{
    struct controller *core = running();
    for (uint32_t id = 2; id <= 4; id++)
        feed(core, (struct controller_event){
                       .type = EVENT_CHECKPOINT_SHARD, .member = id, .step = 10, .epoch = 1});
    feed(core, (struct controller_event){.type = EVENT_CHECKPOINT_COMMITTED, .step = 10});
    ck_assert_int_eq(controller_current_step(core), 12);
    feed(core, (struct controller_event){.type = EVENT_LOST, .member = 4});
    for (uint32_t id = 2; id <= 3; id++)
        feed(core, (struct controller_event){.type = EVENT_REPORT, .member = id, .step = 13});
    ck_assert_int_eq(controller_current_step(core), 13);
    feed(core, (struct controller_event){.type = EVENT_GATHERED});
    ck_assert_int_eq(feed(core, (struct controller_event){.type = EVENT_OPENED, .epoch = 2}), 0);
    ck_assert_int_eq(controller_current_step(core), 10);
    ck_assert_int_eq(controller_best_step(core), 13);
    feed(core, (struct controller_event){.type = EVENT_REPORT, .member = 2, .step = 11});
    ck_assert_int_eq(controller_current_step(core), 11);
    controller_destroy(core);
}
END_TEST

static const struct {
    const char *what;
    struct controller_event event;
} impossible[] = {
    {"type 0", {.type = 0}},
    {"type beyond", {.type = EVENT_TICK + 1}},
    {"time before the beginning", {.type = EVENT_TICK, .now_us = -1}},
    {"time beyond all bounds", {.type = EVENT_TICK, .now_us = INT64_MAX}},
    {"start by nobody", {.type = EVENT_START, .member = 9}},
    {"an ID again", {.type = EVENT_REGISTERED, .member = 3, .step = -1}},
    {"loss of nobody", {.type = EVENT_LOST, .member = 9}},
    {"gathered in no change", {.type = EVENT_GATHERED}},
    {"opened in no change", {.type = EVENT_OPENED, .epoch = 1}},
    {"a spawn that nobody asked for", {.type = EVENT_SPAWN_RESULT, .count = 1}},
    {"a report of nobody", {.type = EVENT_REPORT, .member = 9, .step = 13}},
    {"a report that goes back", {.type = EVENT_REPORT, .member = 2, .step = 11}},
    {"a report of step -2", {.type = EVENT_REPORT, .member = 2, .step = -2}},
    {"a report of another epoch", {.type = EVENT_REPORT, .member = 2, .step = 13, .epoch = 2}},
    {"too many copies", {.type = EVENT_REPORT, .member = 2, .step = 13, .held_count = 9}},
    {"a copy of no level",
     {.type = EVENT_REPORT, .member = 2, .step = 13, .held_count = 1, .held = {{1, 0, 1, 0}}}},
    {"a shard beyond the count",
     {.type = EVENT_REPORT, .member = 2, .step = 13, .held_count = 1, .held = {{1, 1, 1, 2}}}},
    {"a shard of no checkpoint", {.type = EVENT_CHECKPOINT_SHARD, .member = 2, .step = 11}},
    {"a shard of the controller", {.type = EVENT_CHECKPOINT_SHARD, .member = 1, .step = 10}},
    {"a commit of step -1", {.type = EVENT_CHECKPOINT_COMMITTED, .step = -1}},
    {"a failure of no checkpoint", {.type = EVENT_CHECKPOINT_FAILED, .step = 11}},
    {"damage of no checkpoint", {.type = EVENT_CHECKPOINT_BAD, .step = 11}},
    {"a size refused in no change", {.type = EVENT_SIZE_REFUSED, .count = 3}},
    {"final work before the end", {.type = EVENT_FINAL_WORK_DONE, .member = 2}},
    {"request 0", {.type = EVENT_REQUEST, .request = 0}},
    {"scale to 0", {.type = EVENT_REQUEST, .request = REQUEST_SCALE, .count = 0}},
    {"scale beyond", {.type = EVENT_REQUEST, .request = REQUEST_SCALE, .count = 1u << 20}},
    {"drain of nobody", {.type = EVENT_REQUEST, .request = REQUEST_DRAIN, .member = 9}},
    {"drain of the controller", {.type = EVENT_REQUEST, .request = REQUEST_DRAIN, .member = 1}},
    {"undrain of who works", {.type = EVENT_REQUEST, .request = REQUEST_UNDRAIN, .member = 2}},
};

/* How many are to be spawned as the event is answered. */
static uint32_t spawns(struct controller *core, struct controller_event event)
{
    struct controller_actions actions;
    uint32_t count = 0;
    ck_assert_int_eq(controller_step(core, &event, &actions), 0);
    ck_assert_ptr_null(controller_check(core));
    for (uint32_t i = 0; i < actions.count; i++)
        count += actions.items[i].type == ACTION_SPAWN ? actions.items[i].count : 0;
    return count;
}

/* Two are wanted, and spawned one by one: the second is ordered without a pause, and without a
 * policy to replace anybody, as the first was. One that fails has to wait. */
START_TEST(who_was_not_tried_is_ordered_again)
{
    struct controller_policy policy = good;
    policy.can_spawn = true;
    struct controller *core = running_with(&policy, 0);
    ck_assert_uint_eq(spawns(core, (struct controller_event){.type = EVENT_REQUEST,
                                                             .request = REQUEST_SCALE,
                                                             .count = 5}),
                      2);
    ck_assert_uint_eq(
        spawns(core, (struct controller_event){.type = EVENT_SPAWN_RESULT, .count = 1, .tried = 1}),
        0);
    feed(core, (struct controller_event){.type = EVENT_REGISTERED, .member = 5, .step = -1});
    feed(core, (struct controller_event){.type = EVENT_GATHERED});
    ck_assert_uint_eq(spawns(core, (struct controller_event){.type = EVENT_OPENED, .epoch = 2}), 1);
    ck_assert_uint_eq(controller_worker_count(core), 4);
    ck_assert_uint_eq(
        spawns(core, (struct controller_event){.type = EVENT_SPAWN_RESULT, .tried = 1}), 0);
    ck_assert_uint_eq(spawns(core, (struct controller_event){.type = EVENT_TICK}), 0);
    controller_destroy(core);
}
END_TEST

START_TEST(events_that_cannot_be_change_nothing)
{
    struct controller *core = running();
    size_t size = controller_save(core, NULL, 0);
    unsigned char *before = calloc(1, size), *after = calloc(1, size);
    controller_save(core, before, size);
    ck_assert_msg(feed(core, impossible[_i].event) == -1, "%s", impossible[_i].what);
    ck_assert_uint_eq(controller_save(core, after, size), size);
    ck_assert_msg(memcmp(before, after, size) == 0, "%s changed the state", impossible[_i].what);
    free(before);
    free(after);
    controller_destroy(core);
}
END_TEST

START_TEST(nothing_happens_before_the_start_or_after_the_end)
{
    struct controller *core = controller_create(&good);
    ck_assert_int_eq(feed(core, (struct controller_event){.type = EVENT_TICK}), -1);
    feed(core, (struct controller_event){.type = EVENT_START});
    ck_assert_int_eq(feed(core, (struct controller_event){.type = EVENT_GATHERED}),
                     0); /* too few */
    ck_assert_int_eq(feed(core, (struct controller_event){.type = EVENT_TICK}), -1);
    controller_destroy(core);
}
END_TEST

START_TEST(a_loaded_state_is_the_saved_one)
{
    struct controller *core = running();
    size_t size = controller_save(core, NULL, 0);
    unsigned char *bytes = malloc(size), *again = malloc(size);
    memset(bytes, 7, size);
    ck_assert_uint_eq(controller_save(core, bytes, size - 1), size);
    ck_assert_uint_eq(bytes[0], 7); /* too small: nothing was written */
    controller_save(core, bytes, size);
    struct controller *loaded = controller_load(bytes, size);
    ck_assert_ptr_nonnull(loaded);
    ck_assert_uint_eq(controller_save(loaded, again, size), size);
    ck_assert_int_eq(memcmp(bytes, again, size), 0);
    ck_assert_int_eq(controller_best_step(loaded), 12);
    ck_assert_uint_eq(controller_next_member_id(loaded), 5);
    controller_destroy(loaded);
    controller_destroy(core);
    free(bytes);
    free(again);
}
END_TEST

START_TEST(a_cut_state_is_refused)
{
    struct controller *core = running();
    size_t size = controller_save(core, NULL, 0);
    unsigned char *bytes = calloc(1, size + 1);
    controller_save(core, bytes, size);
    ck_assert_ptr_null(controller_load(NULL, 0));
    ck_assert_ptr_null(controller_load(bytes, size + 1));
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *part = malloc(cut + 1); /* so that reading beyond is seen */
        memcpy(part, bytes, cut);
        ck_assert_ptr_null(controller_load(part, cut));
        free(part);
    }
    controller_destroy(core);
    free(bytes);
}
END_TEST

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* A few events on whatever was let in: it must bear them, and its invariants must hold. */
static void use(struct controller *core, uint32_t *random)
{
    ck_assert_ptr_null(controller_check(core));
    feed(core, (struct controller_event){.type = EVENT_OPENED, .epoch = 1});
    feed(core, (struct controller_event){.type = EVENT_START, .member = 2});
    for (uint32_t i = 0; i < 20; i++) {
        struct controller_event event = {.type = (uint8_t)(next_random(random) % 15)};
        event.member = next_random(random) % 8;
        event.step = (int64_t)(next_random(random) % 120) - 1;
        event.epoch = next_random(random) % 4;
        event.count = next_random(random) % 12;
        event.request = (uint8_t)(next_random(random) % 6);
        event.clean = next_random(random) % 2;
        event.in_change = next_random(random) % 2;
        event.now_us = next_random(random);
        feed(core, event);
    }
}

/* Bytes flipped at random: refused, or a state that is sound all the same. */
START_TEST(a_damaged_state_is_refused_or_sound)
{
    struct controller *core = running();
    size_t size = controller_save(core, NULL, 0);
    unsigned char *bytes = malloc(size);
    uint32_t random = (uint32_t)_i + 1;
    for (uint32_t round = 0; round < 3000; round++) {
        controller_save(core, bytes, size);
        for (uint32_t flips = 1 + next_random(&random) % 3; flips > 0; flips--)
            bytes[next_random(&random) % size] = (unsigned char)next_random(&random);
        struct controller *loaded = controller_load(bytes, size);
        if (loaded != NULL)
            use(loaded, &random);
        controller_destroy(loaded);
    }
    free(bytes);
    controller_destroy(core);
}
END_TEST

START_TEST(random_events_keep_every_invariant)
{
    uint32_t random = (uint32_t)_i + 1;
    struct controller *core = running();
    for (uint32_t round = 0; round < 100; round++)
        use(core, &random);
    controller_destroy(core);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core controller");
    TCase *cases = tcase_create("controller");
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, policies_out_of_range_are_refused, 0, 10);
    tcase_add_loop_test(cases, events_that_cannot_be_change_nothing, 0,
                        sizeof(impossible) / sizeof(impossible[0]));
    tcase_add_test(cases, who_was_not_tried_is_ordered_again);
    tcase_add_test(cases, a_checkpoint_costs_what_it_held_up);
    tcase_add_test(cases, steps_that_are_done_again_are_the_current_ones);
    tcase_add_test(cases, nothing_happens_before_the_start_or_after_the_end);
    tcase_add_test(cases, a_loaded_state_is_the_saved_one);
    tcase_add_test(cases, a_cut_state_is_refused);
    tcase_add_loop_test(cases, a_damaged_state_is_refused_or_sound, 0, 8);
    tcase_add_loop_test(cases, random_events_keep_every_invariant, 0, 50);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
