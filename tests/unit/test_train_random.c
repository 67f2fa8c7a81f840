/* test_train_random.c - the counter-based generator against published vectors, and the order of the
 * samples. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "run_suite.h"

/* The known-answer vectors of Random123 for philox4x32 with 10 rounds. */
static const struct {
    uint32_t counter[4], key[2], out[4];
} vectors[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

START_TEST(philox_gives_the_published_numbers)
{
    uint32_t out[4];
    random_philox(vectors[_i].counter, vectors[_i].key, out);
    for (int word = 0; word < 4; word++)
        ck_assert_uint_eq(out[word], vectors[_i].out[word]);
}
END_TEST

START_TEST(uniform_numbers_depend_on_their_place_alone)
{
    float long_run[1003], short_run[6];
    double sum = 0.0;
    random_uniform(7, 3, 0.25F, long_run, 1003);
    random_uniform(7, 3, 0.25F, short_run, 6);
    ck_assert_mem_eq(long_run, short_run, sizeof short_run);
    for (int i = 0; i < 1003; i++) {
        ck_assert(long_run[i] >= -0.25F && long_run[i] < 0.25F);
        sum += (double)long_run[i];
    }
    ck_assert_double_lt(sum / 1003 < 0 ? -sum / 1003 : sum / 1003, 0.02);
    random_uniform(7, 4, 0.25F, short_run, 6);
    ck_assert(memcmp(long_run, short_run, sizeof short_run) != 0);
    random_uniform(8, 3, 0.25F, short_run, 6);
    ck_assert(memcmp(long_run, short_run, sizeof short_run) != 0);
}
END_TEST

static const uint64_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 100, 1000, 1024, 1025, 60000};

START_TEST(order_holds_every_sample_once)
{
    uint64_t size = sizes[_i];
    unsigned char *seen = calloc(size, 1);
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        struct random_order order;
        random_order_init(&order, 42, epoch, size);
        memset(seen, 0, size);
        for (uint64_t place = 0; place < size; place++) {
            uint64_t sample = random_order_at(&order, place);
            ck_assert_uint_lt(sample, size);
            ck_assert_uint_eq(seen[sample]++, 0);
        }
    }
    free(seen);
}
END_TEST

/* How many of 0 .. 999 are at the same place in two orders; about 1 in a random pair. */
static int same_places(uint64_t seed, uint64_t epoch, uint64_t other_seed, uint64_t other_epoch)
{
    struct random_order one, other;
    int same = 0;
    random_order_init(&one, seed, epoch, 1000);
    random_order_init(&other, other_seed, other_epoch, 1000);
    for (uint64_t place = 0; place < 1000; place++)
        same += random_order_at(&one, place) == random_order_at(&other, place);
    return same;
}

START_TEST(order_differs_by_seed_and_epoch_of_data)
{
    ck_assert_int_eq(same_places(1, 0, 1, 0), 1000);
    ck_assert_int_lt(same_places(1, 0, 1, 1), 10);
    ck_assert_int_lt(same_places(1, 0, 2, 0), 10);
}
END_TEST

/* Neighbours in the order are not neighbours in the data, and halves are mixed. */
START_TEST(order_is_mixed)
{
    struct random_order order;
    int low = 0, ascending = 0;
    random_order_init(&order, 5, 0, 10000);
    for (uint64_t place = 0; place < 5000; place++) {
        uint64_t sample = random_order_at(&order, place);
        low += sample < 5000;
        ascending += random_order_at(&order, place + 1) > sample;
    }
    ck_assert_int_gt(low, 2350);
    ck_assert_int_lt(low, 2650);
    ck_assert_int_gt(ascending, 2350);
    ck_assert_int_lt(ascending, 2650);
}
END_TEST

START_TEST(order_of_a_huge_split_is_inside)
{
    struct random_order order;
    uint64_t size = (UINT64_C(1) << 40) + 1;
    random_order_init(&order, 5, 9, size);
    for (uint64_t place = size - 1000; place < size; place++)
        ck_assert_uint_lt(random_order_at(&order, place), size);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("train random");
    TCase *cases = tcase_create("random");
    tcase_set_timeout(cases, 60); /* sanitizers and a busy machine */
    tcase_add_loop_test(cases, philox_gives_the_published_numbers, 0, 3);
    tcase_add_test(cases, uniform_numbers_depend_on_their_place_alone);
    tcase_add_loop_test(cases, order_holds_every_sample_once, 0, sizeof sizes / sizeof sizes[0]);
    tcase_add_test(cases, order_differs_by_seed_and_epoch_of_data);
    tcase_add_test(cases, order_is_mixed);
    tcase_add_test(cases, order_of_a_huge_split_is_inside);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
