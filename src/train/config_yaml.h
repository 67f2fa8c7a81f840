/* config_yaml.h - the config as text: every value a string, placed by libcyaml's schema. */
#ifndef TRAIN_CONFIG_YAML_H
#define TRAIN_CONFIG_YAML_H

#include <stddef.h>

#include "error.h"

/* NULL where a key is absent. */
struct config_yaml {
    char *trainer;
    struct {
        char *file, *train, *test;
    } data;
    struct {
        char **hidden;
        unsigned hidden_count;
        char *seed, *features, *width, *sigma, *target;
    } model;
    struct {
        char *batch, *epochs, *steps, *subtasks, *evaluate_every, *keep_best;
        char **lambda;
        unsigned lambda_count;
        char *held_out;
        struct {
            char *name, *learning_rate, *momentum, *beta1, *beta2, *epsilon, *weight_decay;
            char *schedule, *warmup_steps, *decay_steps, *decay_factor;
        } optimizer;
    } train;
};

/* Parses YAML; *yaml is the caller's to free. name stands for the file in messages. */
int config_yaml_parse(const char *text, size_t size, const char *name, struct config_yaml **yaml,
                      struct error *error);
void config_yaml_free(struct config_yaml *yaml);

/* The line (from 1) on which the key of a path such as "train.batch" stands; 0: not found, as in
 * a mapping written on one line that spells the key otherwise. */
unsigned config_yaml_line(const char *text, size_t size, const char *path);

#endif
