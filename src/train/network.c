/* network.c - forward and backward passes.
 *
 * Matrix products write where their result is wanted (the gradient goes straight into the caller's
 * array); what lies between two products is one pass over the small activations: bias and ReLU
 * forward, ReLU's mask and the bias gradient backward, softmax with loss and its derivative. */
#include "network.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

enum { ALIGNMENT_BYTES = 64, ALIGNMENT_FLOATS = ALIGNMENT_BYTES / (int)sizeof(float) };

struct network {
    struct network_shape shape;
    float *activations[NETWORK_MAX_LAYERS + 1]; /* [0] is the input; the last is the output */
    float *deltas[2];                           /* derivatives, used in turn by the layers */
    int32_t *labels;
};

static size_t align_up(size_t count)
{
    return (count + ALIGNMENT_FLOATS - 1) / ALIGNMENT_FLOATS * ALIGNMENT_FLOATS;
}

float *network_floats(size_t count)
{
    size_t bytes = align_up(count ? count : 1) * sizeof(float);
    float *floats = aligned_alloc(ALIGNMENT_BYTES, bytes);
    if (floats)
        memset(floats, 0, bytes);
    return floats;
}

int network_shape_init(struct network_shape *shape, uint32_t features, const uint32_t *hidden,
                       uint32_t hidden_count, uint32_t classes, struct error *error)
{
    if (hidden_count >= NETWORK_MAX_LAYERS)
        return error_set(error, ONWARD_ERR_LIMIT, "%u hidden layers, expected at most %d",
                         hidden_count, NETWORK_MAX_LAYERS - 1);
    *shape = (struct network_shape){.layer_count = hidden_count + 1};
    shape->widths[0] = features;
    for (uint32_t layer = 0; layer < hidden_count; layer++)
        shape->widths[layer + 1] = hidden[layer];
    shape->widths[hidden_count + 1] = classes;
    size_t offset = 0;
    for (uint32_t layer = 0; layer < shape->layer_count; layer++) {
        shape->weights[layer] = offset;
        offset = align_up(offset + (size_t)shape->widths[layer] * shape->widths[layer + 1]);
        shape->biases[layer] = offset;
        offset = align_up(offset + shape->widths[layer + 1]);
    }
    shape->parameter_count = offset;
    return ONWARD_OK;
}

void network_init_parameters(const struct network_shape *shape, uint64_t seed, float *parameters)
{
    memset(parameters, 0, shape->parameter_count * sizeof *parameters);
    for (uint32_t layer = 0; layer < shape->layer_count; layer++)
        random_uniform(seed, layer, sqrtf(6.0F / (float)shape->widths[layer]),
                       parameters + shape->weights[layer],
                       (size_t)shape->widths[layer] * shape->widths[layer + 1]);
}

static int allocate(struct network *network, uint32_t max_rows)
{
    const struct network_shape *shape = &network->shape;
    size_t widest = 0;
    for (uint32_t layer = 0; layer <= shape->layer_count; layer++) {
        network->activations[layer] = network_floats((size_t)max_rows * shape->widths[layer]);
        if (!network->activations[layer])
            return ONWARD_ERR_MEMORY;
        if (layer > 0 && shape->widths[layer] > widest)
            widest = shape->widths[layer];
    }
    network->deltas[0] = network_floats(max_rows * widest);
    network->deltas[1] = network_floats(max_rows * widest);
    network->labels = calloc(max_rows, sizeof *network->labels);
    return network->deltas[0] && network->deltas[1] && network->labels ? ONWARD_OK
                                                                       : ONWARD_ERR_MEMORY;
}

int network_create(const struct network_shape *shape, uint32_t max_rows, struct network **network,
                   struct error *error)
{
    *network = calloc(1, sizeof **network);
    if (*network) {
        (*network)->shape = *shape;
        if (allocate(*network, max_rows) == ONWARD_OK)
            return ONWARD_OK;
    }
    network_destroy(*network);
    *network = NULL;
    return error_set(error, ONWARD_ERR_MEMORY, "out of memory for a network on %u rows", max_rows);
}

void network_destroy(struct network *network)
{
    if (!network)
        return;
    for (uint32_t layer = 0; layer <= network->shape.layer_count; layer++)
        free(network->activations[layer]);
    free(network->deltas[0]);
    free(network->deltas[1]);
    free(network->labels);
    free(network);
}

float *network_input(struct network *network)
{
    return network->activations[0];
}

int32_t *network_labels(struct network *network)
{
    return network->labels;
}

static void add_bias(float *restrict rows_of, const float *restrict bias, uint32_t rows,
                     uint32_t width)
{
    for (uint32_t row = 0; row < rows; row++, rows_of += width)
#pragma omp simd
        for (uint32_t column = 0; column < width; column++)
            rows_of[column] += bias[column];
}

static void add_bias_relu(float *restrict rows_of, const float *restrict bias, uint32_t rows,
                          uint32_t width)
{
    for (uint32_t row = 0; row < rows; row++, rows_of += width)
#pragma omp simd
        for (uint32_t column = 0; column < width; column++) {
            float value = rows_of[column] + bias[column];
            rows_of[column] = value > 0.0F ? value : 0.0F;
        }
}

/* Leaves the output before the softmax in the last activations. */
static void forward(struct network *network, const float *parameters, uint32_t rows)
{
    const struct network_shape *shape = &network->shape;
    for (uint32_t layer = 0; layer < shape->layer_count; layer++) {
        int inputs = (int)shape->widths[layer], outputs = (int)shape->widths[layer + 1];
        const float *bias = parameters + shape->biases[layer];
        float *output = network->activations[layer + 1];
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, outputs, inputs, 1.0F,
                    network->activations[layer], inputs, parameters + shape->weights[layer],
                    outputs, 0.0F, output, outputs);
        if (layer + 1 < shape->layer_count)
            add_bias_relu(output, bias, rows, (uint32_t)outputs);
        else
            add_bias(output, bias, rows, (uint32_t)outputs);
    }
}

/* One row: output becomes scale * (softmax(output) - one-hot(label)); returns the loss. */
static float softmax_derivative(float *output, uint32_t classes, int32_t label, float scale)
{
    float largest = output[0], sum = 0.0F;
    for (uint32_t column = 1; column < classes; column++)
        largest = output[column] > largest ? output[column] : largest;
    float of_label = output[label] - largest;
    for (uint32_t column = 0; column < classes; column++) {
        output[column] = expf(output[column] - largest);
        sum += output[column];
    }
    float factor = scale / sum;
    for (uint32_t column = 0; column < classes; column++)
        output[column] *= factor;
    output[label] -= scale;
    /* The largest output adds expf(0) = 1 to the sum: */
    /* cppcheck-suppress invalidFunctionArg */
    return logf(sum) - of_label;
}

static float loss_derivative(struct network *network, uint32_t rows, float scale)
{
    uint32_t classes = network->shape.widths[network->shape.layer_count];
    float *output = network->activations[network->shape.layer_count];
    float loss = 0.0F;
    for (uint32_t row = 0; row < rows; row++, output += classes)
        loss += softmax_derivative(output, classes, network->labels[row], scale);
    return loss;
}

static void bias_gradient(const float *restrict delta, uint32_t rows, uint32_t width,
                          float *restrict gradient)
{
    for (uint32_t row = 0; row < rows; row++, delta += width)
#pragma omp simd
        for (uint32_t column = 0; column < width; column++)
            gradient[column] += delta[column];
}

/* As bias_gradient, and delta is zero where the unit did not fire. */
static void masked_bias_gradient(float *restrict delta, const float *restrict activations,
                                 uint32_t rows, uint32_t width, float *restrict gradient)
{
    for (uint32_t row = 0; row < rows; row++, delta += width, activations += width)
#pragma omp simd
        for (uint32_t column = 0; column < width; column++) {
            delta[column] = activations[column] > 0.0F ? delta[column] : 0.0F;
            gradient[column] += delta[column];
        }
}

/* Zero from the end of the weights to the next layer: the biases, which are added to, and gaps. */
static void clear_after_weights(const struct network_shape *shape, uint32_t layer, float *gradient)
{
    size_t from = shape->weights[layer] + (size_t)shape->widths[layer] * shape->widths[layer + 1];
    size_t to = layer + 1 < shape->layer_count ? shape->weights[layer + 1] : shape->parameter_count;
    memset(gradient + from, 0, (to - from) * sizeof *gradient);
}

static void backward(struct network *network, const float *parameters, uint32_t rows,
                     float *gradient)
{
    const struct network_shape *shape = &network->shape;
    float *delta = network->activations[shape->layer_count];
    for (uint32_t layer = shape->layer_count; layer-- > 0;) {
        int inputs = (int)shape->widths[layer], outputs = (int)shape->widths[layer + 1];
        float *of_bias = gradient + shape->biases[layer];
        clear_after_weights(shape, layer, gradient);
        if (layer + 1 < shape->layer_count)
            masked_bias_gradient(delta, network->activations[layer + 1], rows, (uint32_t)outputs,
                                 of_bias);
        else
            bias_gradient(delta, rows, (uint32_t)outputs, of_bias);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, inputs, outputs, (int)rows, 1.0F,
                    network->activations[layer], inputs, delta, outputs, 0.0F,
                    gradient + shape->weights[layer], outputs);
        if (layer == 0)
            break; /* nobody asks for the derivative by the input */
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, inputs, outputs, 1.0F,
                    delta, outputs, parameters + shape->weights[layer], outputs, 0.0F,
                    network->deltas[layer % 2], inputs);
        delta = network->deltas[layer % 2];
    }
}

void network_gradient(struct network *network, const float *parameters, uint32_t rows, float scale,
                      float *gradient, float *loss)
{
    forward(network, parameters, rows);
    *loss = loss_derivative(network, rows, scale);
    backward(network, parameters, rows, gradient);
}

static uint32_t largest_of(const float *output, uint32_t classes)
{
    uint32_t largest = 0;
    for (uint32_t column = 1; column < classes; column++)
        if (output[column] > output[largest])
            largest = column;
    return largest;
}

void network_evaluate(struct network *network, const float *parameters, uint32_t rows,
                      struct network_score *score)
{
    uint32_t classes = network->shape.widths[network->shape.layer_count];
    float *output = network->activations[network->shape.layer_count];
    forward(network, parameters, rows);
    for (uint32_t row = 0; row < rows; row++, output += classes) {
        int32_t label = network->labels[row];
        score->correct += largest_of(output, classes) == (uint32_t)label ? 1.0 : 0.0;
        score->loss += (double)softmax_derivative(output, classes, label, 1.0F);
    }
}
