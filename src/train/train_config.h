/* train_config.h - the YAML file of `onward-train`: what is known of a task before anything runs.
 *
 * Every key has its kind, range and default in one table (train_config.c). What does not fit it is
 * one line with file, line where it is known, key, and what was expected: ONWARD_ERR_INPUT. */
#ifndef TRAIN_TRAIN_CONFIG_H
#define TRAIN_TRAIN_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "network.h"
#include "optimizer.h"

enum {
    CONFIG_NAME_BYTES = 64,
    CONFIG_MAX_BYTES = 1 << 16,
    CONFIG_MAX_WIDTH = 1 << 20,
    CONFIG_MAX_EVALUATIONS = 1 << 20,
    CONFIG_MAX_LAMBDAS = 64
};

/* In the order of their words in train_config.c. */
enum config_trainer { TRAINER_MLP, TRAINER_RIDGE };
enum config_features { FEATURES_RAW, FEATURES_FOURIER };
enum config_target { TARGET_CLASS, TARGET_VALUE };

struct config {
    char path[PATH_MAX];             /* of the config itself */
    char text[CONFIG_MAX_BYTES + 1]; /* as it was read */
    int trainer;                     /* enum config_trainer */
    char data_file[PATH_MAX];
    char train_split[CONFIG_NAME_BYTES], test_split[CONFIG_NAME_BYTES];
    uint32_t hidden[NETWORK_MAX_LAYERS - 1];
    uint32_t hidden_count;
    int64_t seed;
    int64_t batch, subtasks; /* samples and subtasks of a step */
    int64_t epochs, steps;   /* one of them is 0 */
    int64_t evaluate_every;  /* steps; 0: at the end alone */
    bool keep_best;
    struct optimizer optimizer; /* step_count is filled in by config_set_steps */

    /* ridge */
    int features, target; /* enum config_features, config_target */
    int64_t width;        /* of random Fourier features */
    double sigma;
    double lambdas[CONFIG_MAX_LAMBDAS];
    uint32_t lambda_count;
    double held_out;    /* part of the training rows that chooses lambda */
    uint64_t held_rows; /* the last rows of the split; filled in by config_set_steps */
};

int config_load(const char *path, struct config *config, struct error *error);

/* The same from memory; name stands for the file in messages. */
int config_parse(const char *text, size_t size, const char *name, struct config *config,
                 struct error *error);

/* Settles the number of steps once the number of training rows is known: epochs become the steps
 * that read every row so many times; ridge has a step for each batch of the rows that it learns
 * from, one for each lambda, and one that scores them all. */
int config_set_steps(struct config *config, uint64_t rows, struct error *error);

/* ridge: how many steps accumulate, once config_set_steps knows the rows. */
int64_t config_batch_steps(const struct config *config);

/* How many evaluations fall into so many steps (at the start of each step that is a multiple of
 * evaluate_every), without the one after the last step. */
uint64_t config_evaluation_count(const struct config *config, int64_t step_count);

#endif
