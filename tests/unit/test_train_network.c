/* test_train_network.c - the gradient against finite differences of the same network written in
 * double precision, and what a trainer relies on besides. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"
#include "random.h"
#include "run_suite.h"

enum { ROWS = 7, MAX_WIDTH = 32 };

static const struct {
    uint32_t features, hidden[3], hidden_count, classes;
} shapes[] = {
    {5, {0}, 0, 3},
    {6, {9}, 1, 4},
    {11, {17, 8}, 2, 10},
    {3, {5, 4, 6}, 3, 2},
};

static void make_shape(int i, struct network_shape *shape)
{
    int code = network_shape_init(shape, shapes[i].features, shapes[i].hidden,
                                  shapes[i].hidden_count, shapes[i].classes, NULL);
    ck_assert_int_eq(code, ONWARD_OK);
}

static void fill_rows(const struct network_shape *shape, float *x, int32_t *labels)
{
    random_uniform(11, 0, 1.0F, x, (size_t)ROWS * shape->widths[0]);
    for (int row = 0; row < ROWS; row++)
        labels[row] = (int32_t)((uint32_t)(row * 5 + 1) % shape->widths[shape->layer_count]);
}

static void layer_in_double(const struct network_shape *shape, const double *parameters,
                            uint32_t layer, const double *in, double *out)
{
    uint32_t inputs = shape->widths[layer], outputs = shape->widths[layer + 1];
    for (uint32_t j = 0; j < outputs; j++) {
        out[j] = parameters[shape->biases[layer] + j];
        for (uint32_t i = 0; i < inputs; i++)
            out[j] += in[i] * parameters[shape->weights[layer] + (size_t)i * outputs + j];
        if (layer + 1 < shape->layer_count && out[j] < 0.0)
            out[j] = 0.0;
    }
}

static double loss_in_double(const struct network_shape *shape, const double *parameters,
                             const float *x, const int32_t *labels)
{
    double loss = 0.0, in[MAX_WIDTH], out[MAX_WIDTH];
    for (int row = 0; row < ROWS; row++) {
        for (uint32_t i = 0; i < shape->widths[0]; i++)
            in[i] = (double)x[(uint32_t)row * shape->widths[0] + i];
        for (uint32_t layer = 0; layer < shape->layer_count; layer++) {
            layer_in_double(shape, parameters, layer, in, out);
            memcpy(in, out, sizeof in);
        }
        double sum = 0.0;
        for (uint32_t j = 0; j < shape->widths[shape->layer_count]; j++)
            sum += exp(out[j]);
        loss += log(sum) - out[labels[row]];
    }
    return loss;
}

struct bench {
    struct network_shape shape;
    struct network *network;
    float *parameters, *gradient, loss;
    double *precise;
};

static void set_up(struct bench *bench, int i, float scale)
{
    make_shape(i, &bench->shape);
    size_t count = bench->shape.parameter_count;
    ck_assert_int_eq(network_create(&bench->shape, ROWS, &bench->network, NULL), ONWARD_OK);
    bench->parameters = network_floats(count);
    bench->gradient = network_floats(count);
    bench->precise = calloc(count, sizeof *bench->precise);
    network_init_parameters(&bench->shape, 3, bench->parameters);
    for (uint32_t layer = 0; layer < bench->shape.layer_count; layer++)
        random_uniform(9, layer, 0.3F, bench->parameters + bench->shape.biases[layer],
                       bench->shape.widths[layer + 1]);
    fill_rows(&bench->shape, network_input(bench->network), network_labels(bench->network));
    for (size_t k = 0; k < count; k++) {
        bench->precise[k] = (double)bench->parameters[k];
        bench->gradient[k] = NAN; /* every element must be written */
    }
    network_gradient(bench->network, bench->parameters, ROWS, scale, bench->gradient, &bench->loss);
}

static void tear_down(struct bench *bench)
{
    network_destroy(bench->network);
    free(bench->parameters);
    free(bench->gradient);
    free(bench->precise);
}

START_TEST(gradient_is_that_of_finite_differences)
{
    const double nudge = 1e-6, scale = 0.25;
    struct bench bench;
    set_up(&bench, _i, (float)scale);
    const float *x = network_input(bench.network);
    const int32_t *labels = network_labels(bench.network);
    ck_assert_double_eq_tol((double)bench.loss,
                            loss_in_double(&bench.shape, bench.precise, x, labels), 1e-4);
    for (size_t k = 0; k < bench.shape.parameter_count; k++) {
        double here = bench.precise[k];
        bench.precise[k] = here + nudge;
        double above = loss_in_double(&bench.shape, bench.precise, x, labels);
        bench.precise[k] = here - nudge;
        double below = loss_in_double(&bench.shape, bench.precise, x, labels);
        bench.precise[k] = here;
        double expected = scale * (above - below) / (2.0 * nudge);
        ck_assert_double_eq_tol((double)bench.gradient[k], expected, 2e-5);
    }
    tear_down(&bench);
}
END_TEST

START_TEST(same_rows_give_the_same_bits)
{
    struct bench one, other;
    set_up(&one, _i, 1.0F);
    set_up(&other, _i, 1.0F);
    network_gradient(other.network, other.parameters, ROWS, 1.0F, other.gradient, &other.loss);
    ck_assert_mem_eq(one.gradient, other.gradient,
                     one.shape.parameter_count * sizeof *one.gradient);
    ck_assert_mem_eq(&one.loss, &other.loss, sizeof one.loss);
    tear_down(&one);
    tear_down(&other);
}
END_TEST

START_TEST(tensors_are_aligned_and_apart)
{
    struct network_shape shape;
    size_t end = 0;
    make_shape(_i, &shape);
    for (uint32_t layer = 0; layer < shape.layer_count; layer++) {
        ck_assert_uint_ge(shape.weights[layer], end);
        end = shape.weights[layer] + (size_t)shape.widths[layer] * shape.widths[layer + 1];
        ck_assert_uint_ge(shape.biases[layer], end);
        end = shape.biases[layer] + shape.widths[layer + 1];
        ck_assert_uint_eq(shape.weights[layer] % 16, 0);
        ck_assert_uint_eq(shape.biases[layer] % 16, 0);
    }
    ck_assert_uint_ge(shape.parameter_count, end);
}
END_TEST

/* One layer with unit weights: the class of a row is the larger of its two features. */
START_TEST(evaluation_counts_and_adds)
{
    struct network_shape shape;
    struct network *network;
    struct network_score score = {10.0, 100.0};
    const float rows[8] = {1.0F, 0.0F, 0.0F, 1.0F, 3.0F, 2.0F, 0.0F, 0.0F};
    const int32_t labels[4] = {0, 1, 1, 0};
    network_shape_init(&shape, 2, NULL, 0, 2, NULL);
    ck_assert_int_eq(network_create(&shape, 4, &network, NULL), ONWARD_OK);
    float *parameters = network_floats(shape.parameter_count);
    parameters[shape.weights[0]] = parameters[shape.weights[0] + 3] = 1.0F;
    memcpy(network_input(network), rows, sizeof rows);
    memcpy(network_labels(network), labels, sizeof labels);
    network_evaluate(network, parameters, 4, &score);
    ck_assert_double_eq(score.correct, 13.0);
    /* log(1 + e^-1) twice, log(1 + e), log(2) */
    double expected = 2.0 * log(1.0 + exp(-1.0)) + log(1.0 + exp(1.0)) + log(2.0);
    ck_assert_double_eq_tol(score.loss - 100.0, expected, 1e-5);
    free(parameters);
    network_destroy(network);
}
END_TEST

START_TEST(initial_weights_are_in_their_range)
{
    struct network_shape shape;
    make_shape(2, &shape);
    float *parameters = network_floats(shape.parameter_count);
    network_init_parameters(&shape, 3, parameters);
    for (uint32_t layer = 0; layer < shape.layer_count; layer++) {
        float limit = sqrtf(6.0F / (float)shape.widths[layer]), largest = 0.0F;
        for (size_t k = shape.weights[layer]; k < shape.biases[layer]; k++)
            largest = fmaxf(largest, fabsf(parameters[k]));
        ck_assert_float_le(largest, limit);
        ck_assert_float_gt(largest, 0.8F * limit);
        for (uint32_t j = 0; j < shape.widths[layer + 1]; j++)
            ck_assert_float_eq(parameters[shape.biases[layer] + j], 0.0F);
    }
    free(parameters);
}
END_TEST

START_TEST(too_many_layers_are_refused)
{
    uint32_t hidden[NETWORK_MAX_LAYERS] = {1};
    struct network_shape shape;
    struct error error;
    int code = network_shape_init(&shape, 2, hidden, NETWORK_MAX_LAYERS, 2, &error);
    ck_assert_int_eq(code, ONWARD_ERR_LIMIT);
    ck_assert_str_eq(error.text, "65 hidden layers, expected at most 64");
}
END_TEST

int main(void)
{
    const int count = sizeof shapes / sizeof shapes[0];
    Suite *suite = suite_create("train network");
    TCase *cases = tcase_create("network");
    tcase_add_loop_test(cases, gradient_is_that_of_finite_differences, 0, count);
    tcase_add_loop_test(cases, same_rows_give_the_same_bits, 0, count);
    tcase_add_loop_test(cases, tensors_are_aligned_and_apart, 0, count);
    tcase_add_test(cases, evaluation_counts_and_adds);
    tcase_add_test(cases, initial_weights_are_in_their_range);
    tcase_add_test(cases, too_many_layers_are_refused);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
