/* dataset.c - finding and checking the data file. */
#include "dataset.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A split of at most this size is kept in memory. */
static const size_t cache_bytes = (size_t)1 << 30;

/* Path of the data file from the directory of the config; false: it does not fit. */
static bool beside_config(const struct config *config, char *path)
{
    const char *slash = strrchr(config->path, '/');
    int directory_bytes = slash ? (int)(slash - config->path) + 1 : 0;
    int wrote =
        snprintf(path, PATH_MAX, "%.*s%s", directory_bytes, config->path, config->data_file);
    return wrote > 0 && wrote < PATH_MAX;
}

static int find_file(const struct config *config, char *path, struct error *error)
{
    snprintf(path, PATH_MAX, "%s", config->data_file);
    if (access(path, R_OK) == 0)
        return ONWARD_OK;
    if (path[0] == '/')
        return error_set(error, ONWARD_ERR_INPUT, "%s: data.file: no readable file %s",
                         config->path, config->data_file);
    if (beside_config(config, path) && access(path, R_OK) == 0)
        return ONWARD_OK;
    return error_set(error, ONWARD_ERR_INPUT,
                     "%s: data.file: no readable file %s, looked up from the working directory, "
                     "nor %s, from the config's",
                     config->path, config->data_file, path);
}

static int open_split(const struct config *config, const struct dataset *dataset, const char *key,
                      const char *split, struct reader **reader, struct error *error)
{
    struct error reason;
    if (reader_open(dataset->path, split, cache_bytes, reader, &reason) == ONWARD_OK)
        return ONWARD_OK;
    int code = reason.code == ONWARD_ERR_MEMORY ? ONWARD_ERR_MEMORY : ONWARD_ERR_INPUT;
    bool is_test = strcmp(key, "data.test") == 0;
    return error_set(error, code, "%.250s: %s: %.400s%s", config->path, key, reason.text,
                     is_test ? " (a test split is required beside the training split)" : "");
}

static int check_shapes(const struct config *config, const struct dataset *dataset,
                        struct error *error)
{
    unsigned long long train = reader_features(dataset->train);
    unsigned long long test = reader_features(dataset->test);
    uint32_t train_classes = reader_classes(dataset->train);
    uint32_t test_classes = reader_classes(dataset->test);
    if (train != test || train_classes != test_classes)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%.250s: data.test: %.200s: split %s has %llu features and %u classes, "
                         "expected the %llu and %u of split %s",
                         config->path, dataset->path, config->test_split, test, test_classes, train,
                         train_classes, config->train_split);
    if (train < 1 || train > CONFIG_MAX_WIDTH || train_classes < 2)
        return error_set(
            error, ONWARD_ERR_INPUT,
            "%.250s: data.file: %.250s: %llu features and %u classes, expected 1 to %d "
            "features and at least 2 classes",
            config->path, dataset->path, train, train_classes, CONFIG_MAX_WIDTH);
    if (reader_rows(dataset->train) < 1 || reader_rows(dataset->test) < 1)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%.250s: data.file: %.250s: a split without rows, expected at least one",
                         config->path, dataset->path);
    return ONWARD_OK;
}

static int open_both(const struct config *config, struct dataset *dataset, struct error *error)
{
    int code = find_file(config, dataset->path, error);
    if (code == ONWARD_OK)
        code =
            open_split(config, dataset, "data.train", config->train_split, &dataset->train, error);
    if (code == ONWARD_OK)
        code = open_split(config, dataset, "data.test", config->test_split, &dataset->test, error);
    if (code == ONWARD_OK)
        code = check_shapes(config, dataset, error);
    return code;
}

int dataset_open(const struct config *config, struct dataset *dataset, struct error *error)
{
    *dataset = (struct dataset){.train = NULL};
    int code = open_both(config, dataset, error);
    if (code != ONWARD_OK) {
        dataset_close(dataset);
        return code;
    }
    dataset->features = (uint32_t)reader_features(dataset->train);
    dataset->classes = reader_classes(dataset->train);
    dataset->train_rows = reader_rows(dataset->train);
    dataset->test_rows = reader_rows(dataset->test);
    return ONWARD_OK;
}

void dataset_close(struct dataset *dataset)
{
    reader_close(dataset->train);
    reader_close(dataset->test);
    dataset->train = dataset->test = NULL;
}

void dataset_part(uint64_t total, uint32_t n, uint32_t k, uint64_t *first, uint64_t *count)
{
    uint64_t each = total / n, more = total % n;
    *first = k * each + (k < more ? k : more);
    *count = each + (k < more ? 1 : 0);
}
