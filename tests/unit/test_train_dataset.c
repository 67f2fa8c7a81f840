/* test_train_dataset.c - where the data file is looked up, what is refused with which line, and
 * that the parts of a batch are a partition. The double of the reader below knows a split by its
 * name. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset.h"
#include "run_suite.h"

struct reader {
    const char *split;
    uint64_t rows, features;
    uint32_t classes;
};

static struct reader splits[] = {
    {"train", 30, 4, 3}, {"test", 20, 4, 3},      {"narrow", 20, 3, 3},
    {"more", 20, 4, 5},  {"one_class", 20, 4, 1}, {"wide", 20, (1 << 20) + 1, 3},
};

static char opened[PATH_MAX]; /* the newest path */
static int open_count;

int reader_open(const char *path, const char *split, size_t cache_bytes, struct reader **reader,
                struct error *error)
{
    (void)cache_bytes;
    snprintf(opened, sizeof opened, "%s", path);
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++)
        if (strcmp(splits[i].split, split) == 0) {
            *reader = &splits[i];
            open_count++;
            return ONWARD_OK;
        }
    return error_set(error, ONWARD_ERR_INPUT, "%s: expected datasets %s/x and %s/y", path, split,
                     split);
}

void reader_close(struct reader *reader)
{
    open_count -= reader != NULL;
}

uint64_t reader_rows(const struct reader *reader)
{
    return reader->rows;
}

uint64_t reader_features(const struct reader *reader)
{
    return reader->features;
}

uint32_t reader_classes(const struct reader *reader)
{
    return reader->classes;
}

static char directory[] = "/tmp/onward-data-XXXXXX";
static struct config config;
static struct dataset dataset;
static struct error error;

static void touch(const char *name)
{
    FILE *file = fopen(name, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fclose(file), 0);
}

/* The working directory is DIRECTORY; the config is in DIRECTORY/configs, as is beside.h5. */
static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chdir(directory), 0);
    ck_assert_int_eq(system("mkdir configs"), 0);
    touch("here.h5");
    touch("both.h5");
    touch("configs/both.h5");
    touch("configs/beside.h5");
}

static void tear_down(void)
{
    ck_assert_int_eq(chdir("/"), 0);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static int open_with(const char *file, const char *train, const char *test)
{
    snprintf(config.path, sizeof config.path, "configs/c.yaml");
    snprintf(config.data_file, sizeof config.data_file, "%s", file);
    snprintf(config.train_split, sizeof config.train_split, "%s", train);
    snprintf(config.test_split, sizeof config.test_split, "%s", test);
    open_count = 0;
    return dataset_open(&config, &dataset, &error);
}

static const char *const found[][2] = {
    {"here.h5", "here.h5"},
    {"both.h5", "both.h5"},
    {"beside.h5", "configs/beside.h5"},
    {"/dev/null", "/dev/null"},
};

START_TEST(file_is_found)
{
    ck_assert_msg(open_with(found[_i][0], "train", "test") == ONWARD_OK, "%s", error.text);
    ck_assert_str_eq(opened, found[_i][1]);
    ck_assert_uint_eq(dataset.features, 4);
    ck_assert_uint_eq(dataset.classes, 3);
    ck_assert_uint_eq(dataset.train_rows, 30);
    ck_assert_uint_eq(dataset.test_rows, 20);
    dataset_close(&dataset);
    ck_assert_int_eq(open_count, 0);
}
END_TEST

static const struct {
    const char *file, *train, *test, *line;
} bad[] = {
    {"none.h5", "train", "test",
     "configs/c.yaml: data.file: no readable file none.h5, looked up from the working directory, "
     "nor configs/none.h5, from the config's"},
    {"/none.h5", "train", "test", "configs/c.yaml: data.file: no readable file /none.h5"},
    {"here.h5", "tarin", "test",
     "configs/c.yaml: data.train: here.h5: expected datasets tarin/x and tarin/y"},
    {"here.h5", "train", "tset",
     "configs/c.yaml: data.test: here.h5: expected datasets tset/x and tset/y (a test split is "
     "required beside the training split)"},
    {"here.h5", "train", "narrow",
     "configs/c.yaml: data.test: here.h5: split narrow has 3 features and 3 classes, expected the "
     "4 and 3 of split train"},
    {"here.h5", "train", "more",
     "configs/c.yaml: data.test: here.h5: split more has 4 features and 5 classes, expected the 4 "
     "and 3 of split train"},
    {"here.h5", "one_class", "one_class",
     "configs/c.yaml: data.file: here.h5: 4 features and 1 classes, expected 1 to 1048576 features "
     "and at least 2 classes"},
    {"here.h5", "wide", "wide",
     "configs/c.yaml: data.file: here.h5: 1048577 features and 3 classes, expected 1 to 1048576 "
     "features and at least 2 classes"},
};

START_TEST(bad_data_gets_its_line)
{
    ck_assert_int_eq(open_with(bad[_i].file, bad[_i].train, bad[_i].test), ONWARD_ERR_INPUT);
    ck_assert_str_eq(error.text, bad[_i].line);
    ck_assert_int_eq(open_count, 0);
}
END_TEST

static const uint64_t partitions[][2] = {{512, 8}, {512, 7}, {10000, 16}, {5, 16}, {1, 1}, {0, 3}};

START_TEST(parts_are_a_balanced_partition)
{
    uint64_t total = partitions[_i][0], next = 0;
    uint32_t n = (uint32_t)partitions[_i][1];
    for (uint32_t k = 0; k < n; k++) {
        uint64_t first, count;
        dataset_part(total, n, k, &first, &count);
        ck_assert_uint_eq(first, next);
        ck_assert_uint_ge(count, total / n);
        ck_assert_uint_le(count, total / n + 1);
        next = first + count;
    }
    ck_assert_uint_eq(next, total);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("train dataset");
    TCase *cases = tcase_create("dataset");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_loop_test(cases, file_is_found, 0, sizeof found / sizeof found[0]);
    tcase_add_loop_test(cases, bad_data_gets_its_line, 0, sizeof bad / sizeof bad[0]);
    tcase_add_loop_test(cases, parts_are_a_balanced_partition, 0,
                        sizeof partitions / sizeof partitions[0]);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
