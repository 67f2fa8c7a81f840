/* feature_map.c - see feature_map.h. W x for a few hundred samples at a time is one dgemm. */
#include "feature_map.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

#include "random.h"

enum { CHUNK = 256 };
enum stream { STREAM_DIRECTIONS = 1, STREAM_PHASES = 2 };

struct features {
    struct feature_plan plan;
    uint32_t terms;
    double *directions; /* [width, inputs] */
    double *phases;     /* [width] */
    double *samples;    /* [CHUNK, inputs] */
};

static int draw(struct features *features)
{
    const struct feature_plan *plan = &features->plan;
    size_t count = (size_t)plan->width * plan->inputs;
    features->directions = calloc(count, sizeof(double));
    features->phases = calloc(plan->width, sizeof(double));
    features->samples = calloc((size_t)CHUNK * plan->inputs, sizeof(double));
    if (!features->directions || !features->phases || !features->samples)
        return ONWARD_ERR_MEMORY;
    random_normal(plan->seed, STREAM_DIRECTIONS, 1.0 / plan->sigma, features->directions, count);
    random_unit(plan->seed, STREAM_PHASES, features->phases, plan->width);
    for (uint32_t k = 0; k < plan->width; k++)
        features->phases[k] *= 2.0 * M_PI;
    return ONWARD_OK;
}

int features_create(const struct feature_plan *plan, struct features **result, struct error *error)
{
    struct features *features = calloc(1, sizeof *features);
    int code = features ? ONWARD_OK : ONWARD_ERR_MEMORY;
    if (code == ONWARD_OK) {
        features->plan = *plan;
        features->terms = (plan->fourier ? plan->width : plan->inputs) + 1;
        code = plan->fourier ? draw(features) : ONWARD_OK;
    }
    if (code != ONWARD_OK) {
        features_destroy(features);
        return error_set(error, code, "no memory for %u random features of %u inputs", plan->width,
                         plan->inputs);
    }
    *result = features;
    return ONWARD_OK;
}

void features_destroy(struct features *features)
{
    if (!features)
        return;
    free(features->directions);
    free(features->phases);
    free(features->samples);
    free(features);
}

uint32_t features_terms(const struct features *features)
{
    return features->terms;
}

static void make_fourier(struct features *features, const float *x, int rows, double *z,
                         size_t stride)
{
    int inputs = (int)features->plan.inputs, width = (int)features->plan.width;
    double scale = sqrt(2.0 / width);
    for (size_t i = 0; i < (size_t)rows * (size_t)inputs; i++)
        features->samples[i] = (double)x[i];
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < width; k++)
            z[(size_t)i * stride + (size_t)k] = features->phases[k];
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, width, inputs, 1.0,
                features->samples, inputs, features->directions, inputs, 1.0, z, (int)stride);
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < width; k++)
            z[(size_t)i * stride + (size_t)k] = scale * cos(z[(size_t)i * stride + (size_t)k]);
}

void features_make(struct features *features, const float *x, uint64_t rows, double *z,
                   size_t stride)
{
    uint32_t inputs = features->plan.inputs;
    for (uint64_t first = 0; features->plan.fourier && first < rows; first += CHUNK)
        make_fourier(features, x + first * inputs,
                     (int)(rows - first < CHUNK ? rows - first : CHUNK), z + first * stride,
                     stride);
    for (uint64_t i = 0; i < rows; i++) {
        for (uint32_t k = 0; !features->plan.fourier && k < inputs; k++)
            z[i * stride + k] = (double)x[i * inputs + k];
        z[i * stride + features->terms - 1] = 1.0;
    }
}
