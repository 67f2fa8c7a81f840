/* test_train_mlp.c - the trainer on a double of libonward: the same bits for any number of workers
 * and any loss, and it learns. The data are made up by the double of the reader below. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_onward.h"
#include "mlp.h"
#include "random.h"
#include "reader.h"
#include "run_suite.h"

enum { FEATURES = 12, CLASSES = 3, TRAIN_ROWS = 203, TEST_ROWS = 101 };

/* Row i is of class i % 3: that feature is raised above noise. */
struct reader {
    uint32_t stream;
    uint64_t failing_row; /* reading it fails; UINT64_MAX: none */
};

static pthread_mutex_t count_mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t times_read[TRAIN_ROWS], times_scored[TEST_ROWS];

static struct reader train_reader = {1, UINT64_MAX}, test_reader = {2, UINT64_MAX};

int reader_open(const char *path, const char *split, size_t cache_bytes, struct reader **reader,
                struct error *error)
{
    (void)path, (void)cache_bytes, (void)error;
    *reader = strcmp(split, "train") == 0 ? &train_reader : &test_reader;
    return ONWARD_OK;
}

void reader_close(struct reader *reader)
{
    (void)reader;
}

uint64_t reader_rows(const struct reader *reader)
{
    return reader == &train_reader ? TRAIN_ROWS : TEST_ROWS;
}

uint64_t reader_features(const struct reader *reader)
{
    (void)reader;
    return FEATURES;
}

uint32_t reader_classes(const struct reader *reader)
{
    (void)reader;
    return CLASSES;
}

static void make_row(const struct reader *reader, uint64_t row, float *x, int32_t *y)
{
    random_uniform(row, reader->stream, 0.5F, x, FEATURES);
    *y = (int32_t)(row % CLASSES);
    x[*y] += 1.0F;
}

int reader_rows_at(struct reader *reader, const uint64_t *indices, uint64_t count, float *x,
                   int32_t *y, struct error *error)
{
    for (uint64_t i = 0; i < count; i++) {
        if (indices[i] == reader->failing_row)
            return error_set(error, ONWARD_ERR_IO, "row cannot be read");
        make_row(reader, indices[i], x + i * FEATURES, y + i);
    }
    pthread_mutex_lock(&count_mutex);
    for (uint64_t i = 0; i < count; i++)
        times_read[indices[i]]++;
    pthread_mutex_unlock(&count_mutex);
    return ONWARD_OK;
}

int reader_rows_range(struct reader *reader, uint64_t first, uint64_t count, float *x, int32_t *y,
                      struct error *error)
{
    (void)error;
    for (uint64_t i = 0; i < count; i++)
        make_row(reader, first + i, x + i * FEATURES, y + i);
    pthread_mutex_lock(&count_mutex);
    for (uint64_t i = 0; i < count; i++)
        times_scored[first + i]++;
    pthread_mutex_unlock(&count_mutex);
    return ONWARD_OK;
}

static struct dataset dataset;
static struct config config;
static struct error failure;
static char run_directory[] = "/tmp/onward-mlp-XXXXXX";

static const char text[] =
    "trainer: mlp\ndata: {file: /dev/null}\nmodel: {hidden: [13, 7], seed: 5}\n"
    "train:\n  batch: 50\n  steps: 40\n  subtasks: 11\n  evaluate_every: 4\n  keep_best: true\n"
    "  optimizer: {name: adam, learning_rate: 0.03, weight_decay: 0.001, schedule: cosine}\n";

static void set_up(void)
{
    ck_assert_msg(config_parse(text, sizeof text - 1, "c", &config, &failure) == ONWARD_OK, "%s",
                  failure.text);
    ck_assert_int_eq(dataset_open(&config, &dataset, &failure), ONWARD_OK);
    ck_assert_int_eq(config_set_steps(&config, dataset.train_rows, NULL), ONWARD_OK);
    strcpy(run_directory, "/tmp/onward-mlp-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(run_directory));
}

static void tear_down(void)
{
    char path[64];
    snprintf(path, sizeof path, "%s/result.h5", run_directory);
    unlink(path);
    rmdir(run_directory);
}

static int program(struct onward *ow, void *context)
{
    struct error error;
    (void)context;
    int code = mlp_run(ow, &config, &dataset, &error);
    if (code != ONWARD_OK)
        failure = error;
    return code;
}

static const char *const names[] = {
    "parameters", "optimizer.moment1", "optimizer.moment2", "best.parameters", "best", "history"};
enum { NAMES = sizeof names / sizeof names[0] };

struct arrays {
    void *data[NAMES];
    size_t bytes[NAMES];
};

static void run(const struct fake_plan *plan, struct fake_outcome *outcome, struct arrays *arrays)
{
    int code = fake_run(plan, program, NULL, outcome);
    ck_assert_msg(code == ONWARD_OK, "%s", failure.text);
    ck_assert_int_eq(outcome->broken_atomic, 0);
    ck_assert_int_eq(outcome->different, 0);
    for (int i = 0; i < NAMES; i++) {
        arrays->data[i] = fake_array(names[i], &arrays->bytes[i]);
        ck_assert_ptr_nonnull(arrays->data[i]);
    }
}

static void release(struct arrays *arrays)
{
    for (int i = 0; i < NAMES; i++)
        free(arrays->data[i]);
}

static struct fake_plan plan_of(int workers)
{
    return (struct fake_plan){.workers = workers,
                              .subtask_count = (uint32_t)config.subtasks,
                              .step_count = config.steps,
                              .run_directory = run_directory};
}

static void check_equal(const struct fake_plan *plan)
{
    struct fake_plan serial = plan_of(1);
    struct fake_outcome outcome;
    struct arrays expected, found;
    run(&serial, &outcome, &expected);
    run(plan, &outcome, &found);
    for (int i = 0; i < NAMES; i++)
        ck_assert_msg(expected.bytes[i] == found.bytes[i] &&
                          memcmp(expected.data[i], found.data[i], found.bytes[i]) == 0,
                      "%s differs with %d workers", names[i], plan->workers);
    release(&expected);
    release(&found);
}

static const int worker_counts[] = {1, 2, 3, 4, 7};

START_TEST(any_number_of_workers_gives_the_same_bits)
{
    struct fake_plan plan = plan_of(worker_counts[_i]);
    check_equal(&plan);
}
END_TEST

/* Sums 1 and 2 are the evaluation and the gradient of step 0; 3 is the gradient of step 1. */
static const int64_t losses[][FAKE_MAX_LOSSES] = {{1},          {2}, {3}, {7, 8, 9},
                                                  {20, 21, 40}, {50} /* the final evaluation */};

START_TEST(a_loss_leaves_no_trace)
{
    struct fake_plan plan = plan_of(4);
    memcpy(plan.lost_sums, losses[_i], sizeof plan.lost_sums);
    check_equal(&plan);
}
END_TEST

START_TEST(it_learns_and_reports)
{
    struct fake_plan plan = plan_of(2);
    struct fake_outcome outcome;
    struct arrays arrays;
    run(&plan, &outcome, &arrays);
    const double *best = arrays.data[4], (*history)[3] = arrays.data[5];
    ck_assert_int_eq(outcome.sums, 40 + 10 + 1);
    ck_assert_double_gt(outcome.accuracy, 0.85);
    ck_assert_double_lt(outcome.loss, 0.5);
    ck_assert_double_eq(outcome.samples_per_step, 50.0);
    ck_assert_uint_eq(arrays.bytes[5], 10 * 3 * sizeof(double));
    ck_assert_double_lt(history[0][0], 0.7);
    ck_assert_double_gt(history[0][1], history[9][1]);
    ck_assert_double_gt(history[0][2], history[9][2]);
    for (int i = 0; i < 10; i++)
        ck_assert_double_ge(best[0], history[i][0]);
    ck_assert_double_eq(best[0], history[(int)best[1] / 4][0]);
    release(&arrays);
}
END_TEST

/* 203 rows in batches of 50: step 4 ends the first epoch of data and begins the second. */
START_TEST(every_row_is_used)
{
    struct fake_plan plan = plan_of(3);
    struct fake_outcome outcome;
    struct arrays arrays;
    plan.step_count = 8;
    memset(times_read, 0, sizeof times_read);
    memset(times_scored, 0, sizeof times_scored);
    run(&plan, &outcome, &arrays);
    uint32_t once = 0, twice = 0;
    for (int row = 0; row < TRAIN_ROWS; row++) {
        once += times_read[row] == 1;
        twice += times_read[row] == 2;
    }
    ck_assert_uint_eq(once, 6); /* 400 = 203 + 197 */
    ck_assert_uint_eq(twice, 197);
    for (int row = 0; row < TEST_ROWS; row++)
        ck_assert_uint_eq(times_scored[row], 3); /* before steps 0 and 4, and at the end */
    release(&arrays);
}
END_TEST

START_TEST(result_is_written)
{
    struct fake_plan plan = plan_of(2);
    struct fake_outcome outcome;
    struct arrays arrays;
    char path[64];
    run(&plan, &outcome, &arrays);
    snprintf(path, sizeof path, "%s/result.h5", run_directory);
    ck_assert_int_eq(access(path, R_OK), 0);
    release(&arrays);
}
END_TEST

START_TEST(a_result_that_cannot_be_written_is_a_failure)
{
    struct fake_plan plan = plan_of(1);
    struct fake_outcome outcome;
    plan.run_directory = "/nowhere/at/all";
    ck_assert_int_eq(fake_run(&plan, program, NULL, &outcome), ONWARD_ERR_IO);
    ck_assert_ptr_nonnull(strstr(failure.text, "/nowhere/at/all/result.h5"));
}
END_TEST

START_TEST(a_row_that_cannot_be_read_is_a_failure)
{
    struct fake_plan plan = plan_of(1);
    struct fake_outcome outcome;
    train_reader.failing_row = 17;
    ck_assert_int_eq(fake_run(&plan, program, NULL, &outcome), ONWARD_ERR_IO);
    ck_assert_str_eq(failure.text, "row cannot be read");
    ck_assert_int_eq(outcome.broken_atomic, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("train mlp");
    TCase *cases = tcase_create("mlp");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_loop_test(cases, any_number_of_workers_gives_the_same_bits, 0, 5);
    tcase_add_loop_test(cases, a_loss_leaves_no_trace, 0, sizeof losses / sizeof losses[0]);
    tcase_add_test(cases, it_learns_and_reports);
    tcase_add_test(cases, every_row_is_used);
    tcase_add_test(cases, result_is_written);
    tcase_add_test(cases, a_result_that_cannot_be_written_is_a_failure);
    tcase_add_test(cases, a_row_that_cannot_be_read_is_a_failure);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
