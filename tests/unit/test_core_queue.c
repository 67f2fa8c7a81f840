/* test_core_queue.c - a farm's subtasks: done exactly once, whatever is lost on the way. */
#include <check.h>

#include "queue.h"
#include "run_suite.h"

static struct queue *create(uint32_t subtasks, uint32_t slots, uint32_t give, uint32_t tries,
                            uint32_t losses)
{
    return queue_create(&(struct queue_limits){subtasks, slots, give, tries, losses});
}

START_TEST(what_was_lost_is_given_again)
{
    struct queue *queue = create(5, 3, 2, 3, 3);
    uint32_t subtask, blamed;
    ck_assert(queue_give(queue, 0, &subtask) && subtask == 0);
    ck_assert(queue_give(queue, 0, &subtask) && subtask == 1);
    ck_assert(!queue_give(queue, 0, &subtask)); /* has as many as it may */
    ck_assert(queue_give(queue, 1, &subtask) && subtask == 2);
    ck_assert_uint_eq(queue_lost(queue, 0, &blamed), 2);
    ck_assert_uint_eq(blamed, QUEUE_NONE); /* either may have done it */
    ck_assert_ptr_null(queue_check(queue));
    ck_assert(!queue_done(queue, 0, 0)); /* too late: somebody else will have it */
    ck_assert(queue_give(queue, 2, &subtask) && subtask == 1);
    ck_assert(queue_done(queue, 2, 1));
    ck_assert(!queue_done(queue, 2, 1));
    ck_assert(!queue_failed(queue, 2, 1));
    ck_assert_int_eq(queue_state(queue, 1), QUEUE_DONE);
    ck_assert_uint_eq(queue_count(queue, QUEUE_OPEN), 3);
    queue_destroy(queue);
}
END_TEST

START_TEST(a_suspect_is_given_alone)
{
    struct queue *queue = create(6, 2, 3, 3, 3);
    uint32_t subtask, blamed;
    ck_assert(queue_give(queue, 0, &subtask) && queue_give(queue, 0, &subtask));
    queue_lost(queue, 0, NULL);
    ck_assert(queue_give(queue, 1, &subtask) && subtask < 2);
    ck_assert(!queue_give(queue, 1, &subtask)); /* nothing beside a suspect */
    ck_assert_uint_eq(queue_lost(queue, 1, &blamed), 1);
    ck_assert_uint_eq(blamed, subtask = 1);
    ck_assert_uint_eq(queue_attempts(queue, 1), 1);
    ck_assert(queue_give(queue, 0, &subtask) && subtask == 1);
    ck_assert(queue_failed(queue, 0, 1)); /* it ended, and nothing was lost: no suspect any more */
    ck_assert(queue_give(queue, 0, &subtask) && subtask == 0);
    ck_assert(queue_done(queue, 0, 0));
    ck_assert(queue_give(queue, 0, &subtask) && subtask == 1);
    ck_assert(queue_give(queue, 0, &subtask) && subtask == 2);
    ck_assert_ptr_null(queue_check(queue));
    queue_destroy(queue);
}
END_TEST

START_TEST(what_kills_again_and_again_is_poison)
{
    struct queue *queue = create(1, 2, 1, 3, 3);
    uint32_t subtask, blamed;
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert(!queue_is_settled(queue));
        ck_assert(queue_give(queue, i % 2, &subtask));
        ck_assert_uint_eq(queue_lost(queue, i % 2, &blamed), 1);
        ck_assert_uint_eq(blamed, 0);
    }
    ck_assert(!queue_give(queue, 0, &subtask));
    ck_assert_int_eq(queue_state(queue, 0), QUEUE_POISON);
    ck_assert(queue_is_settled(queue));
    queue_destroy(queue);
}
END_TEST

START_TEST(what_fails_again_and_again_has_failed)
{
    struct queue *queue = create(1, 1, 1, 2, 3);
    uint32_t subtask;
    for (uint32_t i = 0; i < 2; i++)
        ck_assert(queue_give(queue, 0, &subtask) && queue_failed(queue, 0, subtask));
    ck_assert_int_eq(queue_state(queue, 0), QUEUE_FAILED);
    ck_assert_uint_eq(queue_attempts(queue, 0), 2);
    queue_destroy(queue);
}
END_TEST

START_TEST(what_a_journal_says_is_not_given)
{
    struct queue *queue = create(5, 1, 5, 2, 2);
    uint32_t subtask;
    ck_assert(queue_restore(queue, 0, QUEUE_DONE, 0, 0));
    ck_assert(!queue_restore(queue, 0, QUEUE_DONE, 0, 0));
    ck_assert(!queue_restore(queue, 5, QUEUE_DONE, 0, 0));
    ck_assert(queue_restore(queue, 2, QUEUE_OPEN, 1, 0));
    ck_assert(queue_restore(queue, 3, QUEUE_OPEN, 0, 2));
    ck_assert_int_eq(queue_state(queue, 3), QUEUE_POISON);
    ck_assert(queue_give(queue, 0, &subtask) && subtask == 1);
    ck_assert(!queue_restore(queue, 4, QUEUE_DONE, 0, 0)); /* too late */
    ck_assert(queue_give(queue, 0, &subtask) && subtask == 2);
    ck_assert(queue_failed(queue, 0, 2));
    ck_assert_int_eq(queue_state(queue, 2), QUEUE_FAILED);
    ck_assert_ptr_null(queue_check(queue));
    queue_destroy(queue);
}
END_TEST

/* A controller that took over learns from the workers what they have. */
START_TEST(what_a_worker_has_is_held)
{
    struct queue *queue = create(6, 2, 3, 3, 3);
    uint32_t subtask, blamed;
    ck_assert(queue_hold(queue, 0, 3) && queue_hold(queue, 0, 1));
    ck_assert(!queue_hold(queue, 1, 3));
    ck_assert_uint_eq(queue_first(queue, 0), 3);
    ck_assert_uint_eq(queue_next(queue, 0, 3), 1);
    ck_assert_uint_eq(queue_next(queue, 0, 1), QUEUE_NONE);
    ck_assert(queue_return(queue, 0, 3));
    ck_assert_uint_eq(queue_lost(queue, 0, &blamed), 1);
    ck_assert_uint_eq(blamed, 1);
    ck_assert_ptr_null(queue_check(queue));
    for (uint32_t expected = 0; expected < 4; expected += 2)
        ck_assert(queue_give(queue, 1, &subtask) && subtask == expected);
    ck_assert(queue_give(queue, 0, &subtask) && subtask == 1); /* alone */
    ck_assert_ptr_null(queue_check(queue));
    queue_destroy(queue);
}
END_TEST

START_TEST(bad_bounds_are_refused)
{
    ck_assert_ptr_null(create(1, 0, 1, 1, 1));
    ck_assert_ptr_null(create(1, 1, 0, 1, 1));
    ck_assert_ptr_null(create(1, 1, 1, 0, 1));
    ck_assert_ptr_null(create(1, 1, 1, 1, 0));
    ck_assert_ptr_null(create(1, 1, 1, QUEUE_MAX_TRIES + 1, 1));
    ck_assert_ptr_null(create(1, 1, 1, 1, QUEUE_MAX_LOSSES + 1));
    ck_assert_ptr_null(create(1, QUEUE_MAX_SLOTS + 1, 1, 1, 1));
    ck_assert_ptr_null(create(QUEUE_MAX_SUBTASKS + 1u, 1, 1, 1, 1));
    queue_destroy(NULL);
}
END_TEST

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Random gives, results, failures and losses: the queue stays sound and settles. */
START_TEST(random_life_keeps_every_invariant)
{
    enum { SUBTASKS = 60, SLOTS = 5 };
    struct queue *queue = create(SUBTASKS, SLOTS, 4, 50, 3);
    uint32_t random = (uint32_t)_i, done[SUBTASKS] = {0}, subtask;
    for (uint32_t i = 0; i < 20000 && !queue_is_settled(queue); i++) {
        uint32_t slot = next_random(&random) % SLOTS, what = next_random(&random) % SUBTASKS;
        switch (next_random(&random) % 8) {
        case 0:
            queue_lost(queue, slot, NULL);
            break;
        case 1:
            queue_failed(queue, slot, what);
            queue_return(queue, slot, (what + 1) % SUBTASKS);
            break;
        case 2:
        case 3:
        case 4:
            done[what] += queue_done(queue, slot, what);
            break;
        default:
            queue_give(queue, slot, &subtask);
        }
        ck_assert_ptr_null(queue_check(queue));
    }
    ck_assert(queue_is_settled(queue));
    for (uint32_t i = 0; i < SUBTASKS; i++)
        ck_assert_uint_eq(done[i], queue_state(queue, i) == QUEUE_DONE);
    queue_destroy(queue);
}
END_TEST

START_TEST(a_million_subtasks_are_quick)
{
    struct queue *queue = create(1000000, 64, 16, 3, 3);
    uint32_t subtask, given = 0;
    for (uint32_t slot = 0; queue_give(queue, slot, &subtask); slot = (slot + 1) % 64, given++)
        ck_assert(queue_done(queue, slot, subtask));
    ck_assert_uint_eq(given, 1000000);
    ck_assert_ptr_null(queue_check(queue));
    queue_destroy(queue);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core queue");
    TCase *cases = tcase_create("queue");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, what_was_lost_is_given_again);
    tcase_add_test(cases, a_suspect_is_given_alone);
    tcase_add_test(cases, what_kills_again_and_again_is_poison);
    tcase_add_test(cases, what_fails_again_and_again_has_failed);
    tcase_add_test(cases, what_a_worker_has_is_held);
    tcase_add_test(cases, what_a_journal_says_is_not_given);
    tcase_add_test(cases, bad_bounds_are_refused);
    tcase_add_loop_test(cases, random_life_keeps_every_invariant, 1, 21);
    tcase_add_test(cases, a_million_subtasks_are_quick);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
