/* ridge_check.c - solves the task of a ridge config with plain BLAS and LAPACK calls on all samples
 * at once, and compares the weights with those of result files:
 *
 *     ridge_check CONFIG TOLERANCE RESULT         with the serial solution
 *     ridge_check CONFIG TOLERANCE RESULT OTHER   one with the other
 *
 * Prints the largest difference of each lambda, relative to its largest weight; exit 1 where one is
 * above the tolerance. */
#include <cblas.h>
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset.h"
#include "feature_map.h"

void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info,
             size_t uplo_size);
void dpotrs_(const char *uplo, const int *n, const int *right, const double *a, const int *lda,
             double *b, const int *ldb, int *info, size_t uplo_size);

struct problem {
    struct config config;
    struct dataset dataset;
    int terms, targets, samples;
    double *z, *y; /* [samples, terms], [samples, targets] */
};

static void *checked(void *memory)
{
    if (!memory) {
        fprintf(stderr, "ridge_check: out of memory\n");
        exit(2);
    }
    return memory;
}

static void fail(const struct error *error)
{
    fprintf(stderr, "ridge_check: %s\n", error->text);
    exit(2);
}

static void read_problem(const char *path, struct problem *problem)
{
    struct error error;
    struct config *config = &problem->config;
    if (config_load(path, config, &error) != ONWARD_OK ||
        dataset_open(config, &problem->dataset, &error) != ONWARD_OK ||
        config_set_steps(config, problem->dataset.train_rows, &error) != ONWARD_OK)
        fail(&error);
}

static void make_samples(struct problem *problem)
{
    const struct config *config = &problem->config;
    const struct dataset *dataset = &problem->dataset;
    struct feature_plan plan = {config->features == FEATURES_FOURIER, dataset->features,
                                (uint32_t)config->width, config->sigma, (uint64_t)config->seed};
    struct features *features;
    struct error error;
    size_t samples = (size_t)(dataset->train_rows - config->held_rows);
    float *x = checked(calloc(samples * dataset->features, sizeof *x));
    int32_t *labels = checked(calloc(samples, sizeof *labels));
    if (features_create(&plan, &features, &error) != ONWARD_OK ||
        reader_rows_range(dataset->train, 0, samples, x, labels, &error) != ONWARD_OK)
        fail(&error);
    size_t terms = features_terms(features);
    size_t targets = config->target == TARGET_CLASS ? dataset->classes : 1;
    problem->z = checked(calloc(samples * terms, sizeof(double)));
    problem->y = checked(calloc(samples * targets, sizeof(double)));
    features_make(features, x, samples, problem->z, terms);
    for (size_t i = 0; i < samples; i++) {
        if (config->target == TARGET_VALUE)
            problem->y[i] = labels[i];
        else
            problem->y[i * targets + (size_t)labels[i]] = 1;
    }
    problem->terms = (int)terms, problem->targets = (int)targets, problem->samples = (int)samples;
    features_destroy(features);
    free(x);
    free(labels);
}

/* weights: [targets, terms], which column-major is LAPACK's [terms, targets]. */
static void solve(const struct problem *problem, double lambda, double *weights)
{
    int terms = problem->terms, targets = problem->targets, info;
    double *gram = checked(calloc((size_t)terms * (size_t)terms, sizeof *gram));
    cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, terms, problem->samples, 1, problem->z,
                terms, 0, gram, terms);
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, terms, targets, problem->samples, 1,
                problem->z, terms, problem->y, targets, 0, weights, terms);
    for (int i = 0; i + 1 < terms; i++)
        gram[(size_t)i * (size_t)terms + (size_t)i] += lambda;
    dpotrf_("L", &terms, gram, &terms, &info, 1);
    if (info == 0)
        dpotrs_("L", &terms, &targets, gram, &terms, weights, &terms, &info, 1);
    if (info != 0)
        fprintf(stderr, "ridge_check: LAPACK's info is %d\n", info);
    free(gram);
}

static double *read_weights(const char *path, size_t count)
{
    double *weights = checked(calloc(count, sizeof *weights));
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t set = file < 0 ? -1 : H5Dopen2(file, "all_weights", H5P_DEFAULT);
    hid_t space = set < 0 ? -1 : H5Dget_space(set);
    if (space < 0 || (size_t)H5Sget_simple_extent_npoints(space) != count ||
        H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, weights) < 0) {
        fprintf(stderr, "ridge_check: %s: expected all_weights of %zu numbers\n", path, count);
        exit(2);
    }
    H5Sclose(space);
    H5Dclose(set);
    H5Fclose(file);
    return weights;
}

static double difference(const double *a, const double *b, size_t count)
{
    double most = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        if (isnan(a[i]) || isnan(b[i]))
            return INFINITY;
        most = fmax(most, fabs(a[i] - b[i]));
        largest = fmax(largest, fabs(b[i]));
    }
    return largest > 0 ? most / largest : INFINITY;
}

int main(int argc, char **argv)
{
    static struct problem problem;
    if (argc < 4 || argc > 5)
        return 2;
    double tolerance = atof(argv[2]);
    read_problem(argv[1], &problem);
    make_samples(&problem);
    size_t each = (size_t)problem.terms * (size_t)problem.targets;
    size_t count = each * problem.config.lambda_count;
    double *found = read_weights(argv[3], count);
    double *expected =
        argc == 5 ? read_weights(argv[4], count) : checked(calloc(count, sizeof *expected));
    int failed = 0;
    for (uint32_t l = 0; l < problem.config.lambda_count; l++) {
        if (argc == 4)
            solve(&problem, problem.config.lambdas[l], expected + l * each);
        double differs = difference(found + l * each, expected + l * each, each);
        printf("lambda %g: difference %.2e\n", problem.config.lambdas[l], differs);
        failed |= !(differs <= tolerance);
    }
    free(found);
    free(expected);
    free(problem.z);
    free(problem.y);
    dataset_close(&problem.dataset);
    return failed;
}
