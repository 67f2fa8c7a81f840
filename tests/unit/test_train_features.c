/* test_train_features.c - random Fourier features, the normal numbers below them, and the
 * arithmetic of blocks. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "feature_map.h"
#include "random.h"
#include "run_suite.h"

enum { INPUTS = 6, WIDTH = 4096, ROWS = 300 };

static struct features *make(bool fourier, uint64_t seed, double sigma)
{
    const struct feature_plan plan = {fourier, INPUTS, WIDTH, sigma, seed};
    struct features *features;
    struct error error;
    ck_assert_int_eq(features_create(&plan, &features, &error), ONWARD_OK);
    return features;
}

static float x[ROWS * INPUTS];
static double z[ROWS * (WIDTH + 3)], again[ROWS * (WIDTH + 3)];

static void make_samples(void)
{
    random_uniform(5, 1, 1.0F, x, ROWS * INPUTS);
}

START_TEST(inner_products_approximate_the_kernel)
{
    const double sigma = 1.3;
    struct features *features = make(true, 11, sigma);
    double worst = 0;
    make_samples();
    features_make(features, x, ROWS, z, WIDTH + 3);
    for (int i = 1; i < ROWS; i++) {
        double squares = 0, product = 0;
        for (int k = 0; k < INPUTS; k++)
            squares += pow((double)x[i * INPUTS + k] - (double)x[k], 2);
        for (int k = 0; k < WIDTH; k++)
            product += z[k] * z[(size_t)i * (WIDTH + 3) + (size_t)k];
        worst = fmax(worst, fabs(product - exp(-squares / (2 * sigma * sigma))));
        ck_assert_double_eq(z[(size_t)i * (WIDTH + 3) + WIDTH], 1.0);
    }
    ck_assert_double_lt(worst, 5 / sqrt(WIDTH)); /* standard deviation at most 1 / sqrt(WIDTH) */
    features_destroy(features);
}
END_TEST

START_TEST(features_follow_from_seed_and_sample_alone)
{
    struct features *features = make(true, 11, 2), *same = make(true, 11, 2);
    struct features *other = make(true, 12, 2);
    make_samples();
    ck_assert_uint_eq(features_terms(features), WIDTH + 1);
    memset(z, 0x7f, sizeof z);
    features_make(features, x, ROWS, z, WIDTH + 3);
    features_make(same, x + 7 * INPUTS, 1, again, WIDTH + 3);
    for (int k = 0; k <= WIDTH; k++)
        ck_assert_double_eq_tol(z[7 * (WIDTH + 3) + k], again[k], 1e-14);
    double beyond;
    memset(&beyond, 0x7f, sizeof beyond);
    ck_assert_mem_eq(&z[WIDTH + 1], &beyond, sizeof beyond); /* nothing behind the terms */
    features_make(other, x + 7 * INPUTS, 1, z, WIDTH + 3);
    ck_assert_double_ne(z[0], again[0]);
    features_destroy(features);
    features_destroy(same);
    features_destroy(other);
}
END_TEST

START_TEST(raw_features_are_the_sample_and_a_constant)
{
    struct features *features = make(false, 0, 0);
    make_samples();
    ck_assert_uint_eq(features_terms(features), INPUTS + 1);
    features_make(features, x, ROWS, z, INPUTS + 2);
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < INPUTS; k++)
            ck_assert_double_eq(z[i * (INPUTS + 2) + k], (double)x[i * INPUTS + k]);
        ck_assert_double_eq(z[i * (INPUTS + 2) + INPUTS], 1.0);
    }
    features_destroy(features);
}
END_TEST

START_TEST(normal_numbers_have_their_moments)
{
    enum { COUNT = 200001 };
    double *values = calloc(COUNT, sizeof *values), moments[5] = {0};
    random_normal(3, 4, 2.0, values, COUNT);
    for (int i = 0; i < COUNT; i++)
        for (int power = 1; power <= 4; power++)
            moments[power] += pow(values[i] / 2, power) / COUNT;
    ck_assert_double_eq_tol(moments[1], 0, 0.01);
    ck_assert_double_eq_tol(moments[2], 1, 0.02);
    ck_assert_double_eq_tol(moments[3], 0, 0.05);
    ck_assert_double_eq_tol(moments[4], 3, 0.12);
    random_unit(3, 4, values, COUNT);
    moments[1] = 0;
    for (int i = 0; i < COUNT; i++) {
        ck_assert(values[i] >= 0 && values[i] < 1);
        moments[1] += values[i] / COUNT;
    }
    ck_assert_double_eq_tol(moments[1], 0.5, 0.005);
    free(values);
}
END_TEST

/* Against counting element by element. */
START_TEST(blocks_are_dealt_out_in_turn)
{
    for (uint64_t extent = 0; extent < 40; extent++)
        for (uint64_t block = 1; block < 7; block++)
            for (uint64_t size = 1; size < 6; size++)
                for (uint64_t rank = 0; rank < size; rank++) {
                    struct blocks blocks = {extent, block, rank, size};
                    uint64_t local = 0;
                    for (uint64_t i = 0; i < extent; i++) {
                        if (i % block == 0)
                            ck_assert_uint_eq(blocks_first_from(&blocks, i), local);
                        if (i / block % size == rank)
                            ck_assert_uint_eq(blocks_global(&blocks, local++), i);
                    }
                    ck_assert_uint_eq(blocks_count(&blocks), local);
                }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("train features");
    TCase *cases = tcase_create("features");
    tcase_set_timeout(cases, 60); /* sanitizers and a busy machine */
    tcase_add_test(cases, inner_products_approximate_the_kernel);
    tcase_add_test(cases, features_follow_from_seed_and_sample_alone);
    tcase_add_test(cases, raw_features_are_the_sample_and_a_constant);
    tcase_add_test(cases, normal_numbers_have_their_moments);
    tcase_add_test(cases, blocks_are_dealt_out_in_turn);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
