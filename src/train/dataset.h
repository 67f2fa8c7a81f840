/* dataset.h - the two splits a trainer reads, and which samples belong to which subtask. */
#ifndef TRAIN_DATASET_H
#define TRAIN_DATASET_H

#include <stdint.h>

#include "reader.h"
#include "train_config.h"

struct dataset {
    char path[PATH_MAX]; /* as found */
    struct reader *train, *test;
    uint32_t features, classes;
    uint64_t train_rows, test_rows;
};

/* Opens both splits of config->data_file. A relative path is looked up from the working directory,
 * then from the directory of the config. The file and the key are in the text of a failure. */
int dataset_open(const struct config *config, struct dataset *dataset, struct error *error);
void dataset_close(struct dataset *dataset);

/* Part k of n of `total`: [*first, *first + *count), the parts differ by one at most. */
void dataset_part(uint64_t total, uint32_t n, uint32_t k, uint64_t *first, uint64_t *count);

#endif
