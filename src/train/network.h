/* network.h - a multi-layer perceptron in float32: ReLU between layers, softmax cross-entropy at
 * the end, matrix products by sgemm.
 *
 * All parameters lie in one array. The weights of layer l are [inputs, outputs] row-major at
 * weights[l], its biases follow at biases[l]; each starts on a multiple of 64 bytes and the gaps
 * are zero and stay so. A gradient has the same layout. The shape of every matrix product follows
 * from the number of rows alone, so the same rows give the same bits on every worker. */
#ifndef TRAIN_NETWORK_H
#define TRAIN_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum { NETWORK_MAX_LAYERS = 65 };

struct network_shape {
    uint32_t layer_count;
    uint32_t widths[NETWORK_MAX_LAYERS + 1]; /* features, hidden ..., classes */
    size_t weights[NETWORK_MAX_LAYERS];      /* offsets into the parameters */
    size_t biases[NETWORK_MAX_LAYERS];
    size_t parameter_count; /* with the gaps */
};

/* Lays out features -> hidden[0] -> ... -> classes. */
int network_shape_init(struct network_shape *shape, uint32_t features, const uint32_t *hidden,
                       uint32_t hidden_count, uint32_t classes, struct error *error);

/* Weights uniform within +-sqrt(6 / inputs) (He et al.), keyed by (seed, layer, index); biases 0.
 */
void network_init_parameters(const struct network_shape *shape, uint64_t seed, float *parameters);

/* Work space for up to max_rows rows. */
struct network;
int network_create(const struct network_shape *shape, uint32_t max_rows, struct network **network,
                   struct error *error);
void network_destroy(struct network *network);

/* Where the caller puts the rows ([rows, features]) and their classes before a pass. */
float *network_input(struct network *network);
int32_t *network_labels(struct network *network);

/* gradient = scale * d(sum of the losses of the rows) / d parameters, every element written;
 * *loss is the sum of the losses, not scaled. */
void network_gradient(struct network *network, const float *parameters, uint32_t rows, float scale,
                      float *gradient, float *loss);

struct network_score {
    double correct, loss; /* sums over rows */
};

/* Adds the score of the rows to *score. */
void network_evaluate(struct network *network, const float *parameters, uint32_t rows,
                      struct network_score *score);

/* Array of `count` zero floats at a multiple of 64 bytes, which is free()d; NULL: no memory. */
float *network_floats(size_t count);

#endif
