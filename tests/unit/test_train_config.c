/* test_train_config.c - a table of configs and the line that each one gets. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_suite.h"
#include "train_config.h"

#define GOOD_DATA "trainer: mlp\ndata: {file: a.h5}\n"
#define GOOD_TRAIN "train:\n  batch: 64\n  steps: 5\n  optimizer:\n    learning_rate: 0.1\n"
#define RIDGE_DATA "trainer: ridge\ndata: {file: a.h5}\n"
#define RIDGE_MODEL "model: {width: 32, sigma: 2.5}\n"
#define RIDGE_TRAIN "train: {batch: 64, lambda: [1]}\n"

static const struct {
    const char *text, *line;
} bad[] = {
    {"", "c: is empty, expected a mapping with data"},
    {"trainer: mlp\ndata:\n  file: a\n  fiel: b\n",
     "c:4: data.fiel: unknown key, expected one of file, train, test"},
    {"trainer: mlp\n\n# one, bath: 3\nbath: 3\n",
     "c:4: bath: unknown key, expected one of trainer, data, model, train"},
    {GOOD_DATA "train:\n  optimizer: {name: sgd, rate: 3}\n",
     "c:4: train.optimizer.rate: unknown key, expected one of name, learning_rate, momentum, "
     "beta1, "
     "beta2, epsilon, weight_decay, schedule, warmup_steps, decay_steps, decay_factor"},
    {GOOD_DATA "train: 3\n", "c:3: train: expected a mapping of keys to values, found a single "
                             "value"},
    {GOOD_DATA "train:\n  batch: [1, 2]\n",
     "c:4: train.batch: expected a single value, found a list"},
    {GOOD_DATA "model:\n  hidden: 3\n" GOOD_TRAIN,
     "c:4: model.hidden: expected a list, found a single value"},
    {GOOD_DATA GOOD_TRAIN "trainer: mlp\n", "c:1: trainer: given twice, expected once"},
    {"- a\n- b\n", "c:1: the file: expected a mapping of keys to values, found a list"},
    {GOOD_DATA GOOD_TRAIN "---\nmore: 1\n", "c: more than one document, expected one"},
    {"trainer: cnn\ndata: {file: a}\n", "c:1: trainer: \"cnn\", expected mlp or ridge"},
    {"trainer: mlp\n" GOOD_TRAIN,
     "c: data.file: is missing, expected the path of a data file made by onward import"},
    {"trainer: mlp\ndata:\n  file: \"\"\n" GOOD_TRAIN,
     "c:3: data.file: \"\", expected the path of a data file made by onward import"},
    {GOOD_DATA "train:\n  batch: 1.5\n",
     "c:4: train.batch: \"1.5\", expected a whole number from 1 to 16777216"},
    {GOOD_DATA "train:\n  batch: 0\n",
     "c:4: train.batch: \"0\", expected a whole number from 1 to 16777216"},
    {GOOD_DATA "train:\n  batch: 64\n  steps: 0\n",
     "c:5: train.steps: \"0\", expected a whole number from 1 to 100000000000"},
    {GOOD_DATA "train:\n  batch: 64\n  steps: 99999999999999999999999\n",
     "c:5: train.steps: \"99999999999999999999999\", expected a whole number from 1 to "
     "100000000000"},
    {GOOD_DATA "train:\n  batch: 64\n  epochs: 3\n  steps: 3\n  optimizer: {learning_rate: 1}\n",
     "c:6: train.steps: given beside train.epochs, expected one of the two"},
    {GOOD_DATA "train:\n  batch: 64\n  optimizer: {learning_rate: 1}\n",
     "c: train.epochs: is missing, and so is train.steps, expected one of the two"},
    {GOOD_DATA "train:\n  batch: 8\n  steps: 3\n  optimizer: {learning_rate: 1}\n",
     "c: train.subtasks: 16, expected at most the batch of 8 samples"},
    {GOOD_DATA GOOD_TRAIN "  subtasks: 65\n",
     "c:8: train.subtasks: 65, expected at most the batch of 64 samples"},
    {GOOD_DATA GOOD_TRAIN "  keep_best: maybe\n",
     "c:8: train.keep_best: \"maybe\", expected true or false"},
    {GOOD_DATA GOOD_TRAIN "  keep_best: true\n",
     "c:8: train.keep_best: true, expected train.evaluate_every above 0 beside it"},
    {GOOD_DATA "train:\n  batch: 64\n  steps: 3\n",
     "c: train.optimizer.learning_rate: is missing, expected a number from 1e-12 to 1000000"},
    {GOOD_DATA GOOD_TRAIN "    momentum: nan\n",
     "c:8: train.optimizer.momentum: \"nan\", expected a number from 0 to 0.999999"},
    {GOOD_DATA GOOD_TRAIN "    beta1: 0.5\n",
     "c:8: train.optimizer.beta1: is for train.optimizer.name: adam, and that is sgd"},
    {GOOD_DATA GOOD_TRAIN "    decay_steps: 5\n",
     "c:8: train.optimizer.decay_steps: is for train.optimizer.schedule: step, and that is "
     "constant"},
    {GOOD_DATA GOOD_TRAIN "    schedule: linear\n",
     "c:8: train.optimizer.schedule: \"linear\", expected constant or step or cosine"},
    {GOOD_DATA "model: {hidden: [12, 0]}\n" GOOD_TRAIN,
     "c:3: model.hidden: \"0\", expected whole numbers from 1 to 1048576"},
    {GOOD_DATA "model: {width: 3}\n" GOOD_TRAIN,
     "c:3: model.width: is for trainer: ridge, and that is mlp"},
    {GOOD_DATA GOOD_TRAIN "  lambda: [1]\n",
     "c:8: train.lambda: is for trainer: ridge, and that is mlp"},
    {RIDGE_DATA RIDGE_MODEL "train: {batch: 64, steps: 3, lambda: [1]}\n",
     "c:4: train.steps: is for trainer: mlp, and that is ridge"},
    {RIDGE_DATA "model: {hidden: [3], width: 9, sigma: 1}\n" RIDGE_TRAIN,
     "c:3: model.hidden: is for trainer: mlp, and that is ridge"},
    {RIDGE_DATA "model: {sigma: 5}\n" RIDGE_TRAIN,
     "c: model.width: is missing, expected the number of random Fourier features"},
    {RIDGE_DATA "model: {width: 5}\n" RIDGE_TRAIN,
     "c: model.sigma: is missing, expected the width of the kernel, above 0"},
    {RIDGE_DATA "model: {width: 5, sigma: 0}\n" RIDGE_TRAIN,
     "c:3: model.sigma: \"0\", expected a number from 1e-12 to 1e+12"},
    {RIDGE_DATA "model: {features: raw, sigma: 2}\n" RIDGE_TRAIN,
     "c:3: model.sigma: is for model.features: fourier, and that is raw"},
    {RIDGE_DATA "model: {features: cosine}\n" RIDGE_TRAIN,
     "c:3: model.features: \"cosine\", expected raw or fourier"},
    {RIDGE_DATA RIDGE_MODEL "train: {batch: 64}\n",
     "c: train.lambda: is missing or empty, expected a list of numbers"},
    {RIDGE_DATA RIDGE_MODEL "train: {batch: 64, lambda: []}\n",
     "c:4: train.lambda: is missing or empty, expected a list of numbers"},
    {RIDGE_DATA RIDGE_MODEL "train: {batch: 64, lambda: 1}\n",
     "c:4: train.lambda: expected a list, found a single value"},
    {RIDGE_DATA RIDGE_MODEL "train: {batch: 64, lambda: [one]}\n",
     "c:4: train.lambda: \"one\", expected numbers from 0 to 1e+15"},
    {RIDGE_DATA "model: {width: 9, sigma: 1, depth: 3}\n" RIDGE_TRAIN,
     "c:3: model.depth: unknown key, expected one of hidden, seed, features, width, sigma, target"},
    {RIDGE_DATA "model: {width: nine, sigma: 1}\n" RIDGE_TRAIN,
     "c:3: model.width: \"nine\", expected a whole number from 1 to 131072"},
    {RIDGE_DATA "model: {width: 9, sigma: nan}\n" RIDGE_TRAIN,
     "c:3: model.sigma: \"nan\", expected a number from 1e-12 to 1e+12"},
    {RIDGE_DATA "model: {width: 9, sigma: 1, target: kind}\n" RIDGE_TRAIN,
     "c:3: model.target: \"kind\", expected class or value"},
    {RIDGE_DATA RIDGE_MODEL "train: {batch: 64, lambda: [1, -2]}\n",
     "c:4: train.lambda: \"-2\", expected numbers from 0 to 1e+15"},
    {RIDGE_DATA RIDGE_MODEL "train: {batch: 64, lambda: [1, 2], held_out: 0}\n",
     "c:4: train.held_out: 0, expected a part above 0 to choose from several train.lambda by"},
    {RIDGE_DATA RIDGE_MODEL "train: {batch: 4, lambda: [1]}\n",
     "c: train.subtasks: 16, expected at most the batch of 4 samples"},
    {"trainer: mlp\ndata: {file: a, train: x, test: x}\n" GOOD_TRAIN,
     "c:2: data.test: the same split as data.train: \"x\""},
};

START_TEST(bad_config_gets_its_line)
{
    struct error error = {.text = ""};
    static struct config config, untouched;
    memset(&config, 7, sizeof config);
    memset(&untouched, 7, sizeof untouched);
    int code = config_parse(bad[_i].text, strlen(bad[_i].text), "c", &config, &error);
    ck_assert_str_eq(error.text, bad[_i].line);
    ck_assert_int_eq(code, ONWARD_ERR_INPUT);
    ck_assert_mem_eq(&config, &untouched, sizeof config);
}
END_TEST

/* What libyaml itself refuses: its words are its own, the rest is one line that names the file. */
static const char *const not_yaml[] = {"trainer: mlp\n\tdata: 1\n", "trainer: [mlp\n",
                                       "trainer: \xff\xfe\n", "trainer: &a mlp\ndata: *a\n"};

START_TEST(broken_yaml_gets_one_line)
{
    struct error error = {.text = ""};
    static struct config config;
    int code = config_parse(not_yaml[_i], strlen(not_yaml[_i]), "c", &config, &error);
    ck_assert_int_eq(code, ONWARD_ERR_INPUT);
    ck_assert_int_eq(strncmp(error.text, "c:", 2), 0);
    ck_assert_uint_gt(strlen(error.text), 8);
    ck_assert_ptr_null(strchr(error.text, '\n'));
}
END_TEST

START_TEST(good_config_is_read)
{
    static const char text[] =
        "trainer: mlp\ndata: {file: d.h5, train: a, test: b}\n"
        "model: {hidden: [256, 128], seed: 12}\n"
        "train:\n  batch: 512\n  epochs: 3\n  subtasks: 4\n  evaluate_every: 10\n  keep_best: "
        "true\n"
        "  optimizer: {name: adam, learning_rate: 1e-3, beta2: 0.99, schedule: cosine}\n";
    static struct config config;
    struct error error = {.text = ""};
    ck_assert_msg(config_parse(text, sizeof text - 1, "c", &config, &error) == ONWARD_OK, "%s",
                  error.text);
    ck_assert_str_eq(config.data_file, "d.h5");
    ck_assert_str_eq(config.train_split, "a");
    ck_assert_str_eq(config.test_split, "b");
    ck_assert_str_eq(config.text, text);
    ck_assert_uint_eq(config.hidden_count, 2);
    ck_assert_uint_eq(config.hidden[1], 128);
    ck_assert_int_eq(config.seed, 12);
    ck_assert_int_eq(config.batch, 512);
    ck_assert_int_eq(config.subtasks, 4);
    ck_assert(config.keep_best);
    ck_assert_int_eq(config.optimizer.name, OPTIMIZER_ADAM);
    ck_assert_int_eq(config.optimizer.schedule, SCHEDULE_COSINE);
    ck_assert_double_eq(config.optimizer.beta1, 0.9);
    ck_assert_double_eq(config.optimizer.beta2, 0.99);
}
END_TEST

START_TEST(ridge_config_is_read)
{
    static const char text[] =
        RIDGE_DATA RIDGE_MODEL "train: {batch: 64, lambda: [0.5, 2], held_out: 0.2, subtasks: 3}\n";
    static struct config config;
    ck_assert_int_eq(config_parse(text, sizeof text - 1, "c", &config, NULL), ONWARD_OK);
    ck_assert_int_eq(config.trainer, TRAINER_RIDGE);
    ck_assert_int_eq(config.features, FEATURES_FOURIER);
    ck_assert_int_eq(config.target, TARGET_CLASS);
    ck_assert_int_eq(config.width, 32);
    ck_assert_double_eq(config.sigma, 2.5);
    ck_assert_uint_eq(config.lambda_count, 2);
    ck_assert_double_eq(config.lambdas[1], 2.0);
    ck_assert_int_eq(config_set_steps(&config, 1001, NULL), ONWARD_OK);
    ck_assert_uint_eq(config.held_rows, 200);
    ck_assert_int_eq(config_batch_steps(&config), 13); /* of 801 rows */
    ck_assert_int_eq(config.steps, 16);
}
END_TEST

START_TEST(defaults_are_filled_in)
{
    static const char text[] = GOOD_DATA GOOD_TRAIN;
    static struct config config;
    ck_assert_int_eq(config_parse(text, sizeof text - 1, "c", &config, NULL), ONWARD_OK);
    ck_assert_str_eq(config.train_split, "train");
    ck_assert_str_eq(config.test_split, "test");
    ck_assert_int_eq(config.subtasks, 16);
    ck_assert_uint_eq(config.hidden_count, 0);
    ck_assert_int_eq(config.optimizer.name, OPTIMIZER_SGD);
    ck_assert_double_eq(config.optimizer.momentum, 0.9);
}
END_TEST

static const struct {
    int64_t batch, epochs, steps;
    uint64_t rows;
    int64_t expected;
    int64_t evaluate_every;
    uint64_t evaluations;
} lengths[] = {
    {512, 15, 0, 60000, 1758, 118, 15},
    {64, 1, 0, 64, 1, 1, 1},
    {64, 1, 0, 65, 2, 1, 2},
    {64, 3, 0, 10, 1, 0, 0},
    {64, 0, 77, 10, 77, 11, 7},
    {64, 0, 78, 10, 78, 11, 8},
};

START_TEST(epochs_become_steps)
{
    static struct config config;
    config.batch = lengths[_i].batch;
    config.epochs = lengths[_i].epochs;
    config.steps = lengths[_i].steps;
    config.evaluate_every = lengths[_i].evaluate_every;
    ck_assert_int_eq(config_set_steps(&config, lengths[_i].rows, NULL), ONWARD_OK);
    ck_assert_int_eq(config.steps, lengths[_i].expected);
    ck_assert_int_eq(config.optimizer.step_count, lengths[_i].expected);
    ck_assert_uint_eq(config_evaluation_count(&config, config.steps), lengths[_i].evaluations);
}
END_TEST

START_TEST(unreasonable_lengths_are_refused)
{
    static struct config config = {.path = "c", .batch = 1, .epochs = 1000000000};
    struct error error;
    ck_assert_int_eq(config_set_steps(&config, 10000000, &error), ONWARD_ERR_INPUT);
    ck_assert_str_eq(error.text, "c: train.epochs: 1000000000 over 10000000 rows, expected fewer "
                                 "than 1e15 samples");
    config.epochs = 0;
    config.steps = 100000000;
    config.evaluate_every = 1;
    ck_assert_int_eq(config_set_steps(&config, 10, &error), ONWARD_ERR_INPUT);
    ck_assert_str_eq(error.text, "c: train.evaluate_every: 1 over 100000000 steps, expected at "
                                 "most 1048576 evaluations");
}
END_TEST

START_TEST(files_that_are_no_config)
{
    static struct config config;
    struct error error;
    char *big = malloc(CONFIG_MAX_BYTES + 10);
    ck_assert_int_eq(config_load("/nowhere/c.yaml", &config, &error), ONWARD_ERR_INPUT);
    ck_assert_str_eq(error.text,
                     "/nowhere/c.yaml: cannot read the config: No such file or directory");
    ck_assert_int_eq(config_load("/", &config, &error), ONWARD_ERR_INPUT);
    ck_assert_str_eq(error.text, "/: cannot read the config: Is a directory");
    char path[] = "/tmp/onward-config-XXXXXX";
    int descriptor = mkstemp(path);
    FILE *file = fdopen(descriptor, "w");
    memset(big, '#', CONFIG_MAX_BYTES + 10);
    fwrite(big, 1, CONFIG_MAX_BYTES + 10, file);
    fclose(file);
    ck_assert_int_eq(config_load(path, &config, &error), ONWARD_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(error.text, ": larger than 65536 bytes, expected a config"));
    remove(path);
    free(big);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("train config");
    TCase *cases = tcase_create("config");
    tcase_add_loop_test(cases, bad_config_gets_its_line, 0, sizeof bad / sizeof bad[0]);
    tcase_add_loop_test(cases, broken_yaml_gets_one_line, 0, sizeof not_yaml / sizeof not_yaml[0]);
    tcase_add_test(cases, good_config_is_read);
    tcase_add_test(cases, defaults_are_filled_in);
    tcase_add_test(cases, ridge_config_is_read);
    tcase_add_loop_test(cases, epochs_become_steps, 0, sizeof lengths / sizeof lengths[0]);
    tcase_add_test(cases, unreasonable_lengths_are_refused);
    tcase_add_test(cases, files_that_are_no_config);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
