/* test_store_checkpoint.c - what was written by any number of workers is what is read: all types
 * and shapes, by rows, as sums, through HDF5's virtual datasets; listing and retention. */
#include "run_suite.h"
#include "store_fixture.h"

#include <hdf5.h>
#include <time.h>

enum { ALL = 10 };
static const struct checkpoint_array all_shapes[ALL] = {
    {"layer0/weights", ONWARD_FLOAT, 2, {17, 5}, .data = NULL},
    {"layer0/bias", ONWARD_FLOAT, 1, {5}, .data = NULL},
    {"layer1/deep/er/weights", ONWARD_DOUBLE, 3, {4, 3, 2}, .data = NULL},
    {"count", ONWARD_INT64, 1, {1}, .data = NULL},
    {"flags", ONWARD_BYTE, 4, {3, 1, 2, 2}, .data = NULL},
    {"key", ONWARD_UINT64, 5, {2, 1, 2, 1, 3}, .data = NULL},
    {"six", ONWARD_INT32, 6, {2, 1, 2, 1, 3, 1}, .data = NULL},
    {"seven", ONWARD_INT32, 7, {2, 1, 2, 1, 3, 1, 2}, .data = NULL},
    {"eight", ONWARD_FLOAT, 8, {9, 1, 2, 1, 3, 1, 2, 1}, .data = NULL},
    {"nothing", ONWARD_FLOAT, 2, {4, 0}, .data = NULL}};

static void fill_all(struct checkpoint_array *arrays, uint64_t seed)
{
    memcpy(arrays, all_shapes, sizeof all_shapes);
    for (int i = 0; i < ALL; i++)
        fill_array(&arrays[i], &seed);
}

/* The checkpoint of step 120 is whole, and has what arrays have. */
static void expect_whole(const struct checkpoint_array *arrays, struct checkpoint_array *found)
{
    ck_ok(checkpoint_verify(scratch, 120, "task-1", &failure));
    ck_ok(checkpoint_read(scratch, 120, found, ALL, &failure));
    ck_assert(same_arrays(arrays, found, ALL));
}

START_TEST(round_trip)
{
    static const uint32_t sizes[] = {1, 2, 3, 4, 7, 20};
    struct checkpoint_array arrays[ALL], found[ALL];
    uint32_t size = sizes[_i];
    fill_all(arrays, size);
    save_checkpoint(scratch, 120, arrays, ALL, size);
    like_arrays(found, arrays, ALL, 0xee);
    expect_whole(arrays, found);
    free_arrays(arrays, ALL);
    free_arrays(found, ALL);
}
END_TEST

/* What was copied is what is saved, whatever becomes of the arrays; in memory, on a disk, and where
 * the directory is missing. */
START_TEST(staged_shards_are_of_when_they_were_copied)
{
    const char *directories[] = {NULL, scratch, in_scratch("missing")};
    struct checkpoint_id id = {"task-1", 1, 7, 120};
    struct checkpoint_array arrays[ALL], found[ALL];
    struct checkpoint_shard shards[3];
    fill_all(arrays, 5);
    like_arrays(found, arrays, ALL, 0xee);
    for (uint32_t rank = 0; rank < 3; rank++) {
        struct checkpoint_staged *staged = NULL;
        ck_ok(
            checkpoint_stage_shard(directories[_i], &id, arrays, ALL, rank, 3, &staged, &failure));
        free_arrays(arrays, ALL);
        fill_all(arrays, 6);
        ck_ok(checkpoint_save_staged(staged, scratch, NULL, &shards[rank], &failure));
        uint64_t behind = shards[rank].bytes - checkpoint_staged_bytes(staged); /* checksums */
        ck_assert_uint_gt(behind, 0);
        ck_assert_uint_lt(behind, 1024);
        checkpoint_free_staged(staged);
        free_arrays(arrays, ALL);
        fill_all(arrays, 5);
    }
    ck_ok(checkpoint_commit(scratch, &id, arrays, ALL, shards, 3, &failure));
    expect_whole(arrays, found);
    free_arrays(arrays, ALL);
    free_arrays(found, ALL);
}
END_TEST

START_TEST(a_save_that_is_given_up_leaves_nothing)
{
    struct checkpoint_id id = {"task-1", 1, 7, 120};
    struct checkpoint_array arrays[ALL];
    struct checkpoint_shard shard = {.file = "as before"};
    struct checkpoint_staged *staged = NULL;
    atomic_bool stop = true;
    fill_all(arrays, 5);
    ck_ok(checkpoint_stage_shard(scratch, &id, arrays, ALL, 0, 1, &staged, &failure));
    ck_assert_int_eq(checkpoint_save_staged(staged, scratch, &stop, &shard, &failure),
                     ONWARD_ERR_LOST);
    ck_assert_str_eq(shard.file, "as before");
    ck_assert_int_eq(count_entries(in_scratch("ckpt/step-00000120.shards")), 0);
    checkpoint_free_staged(staged);
    free_arrays(arrays, ALL);
}
END_TEST

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Behind the steps it takes a fiftieth of a core, so that these hardly notice it: at least a slot
 * of 10 ms for each of 256 KiB. */
START_TEST(a_save_behind_the_steps_makes_pauses)
{
    enum { COUNT = 1 << 20 };
    struct checkpoint_id id = {"task-1", 1, 7, 120};
    struct checkpoint_array array = {
        .name = "large", .type = ONWARD_FLOAT, .ndims = 1, .dims = {COUNT}};
    struct checkpoint_shard shard;
    struct checkpoint_staged *staged = NULL;
    atomic_bool stop = false;
    uint64_t seed = 1;
    fill_array(&array, &seed);
    ck_ok(checkpoint_stage_shard(NULL, &id, &array, 1, 0, 1, &staged, &failure));
    double passed_s = -seconds_of(CLOCK_MONOTONIC), worked_s = -seconds_of(CLOCK_THREAD_CPUTIME_ID);
    ck_ok(checkpoint_save_staged(staged, scratch, &stop, &shard, &failure));
    passed_s += seconds_of(CLOCK_MONOTONIC);
    worked_s += seconds_of(CLOCK_THREAD_CPUTIME_ID);
    ck_assert_msg(passed_s > 4 * worked_s, "%g s of work in %g s", worked_s, passed_s);
    ck_assert(checkpoint_staged_has_slots(staged));
    ck_assert_msg(passed_s > 16 * 0.010, "16 slots in %g s", passed_s);
    checkpoint_free_staged(staged);
    free(array.data);
}
END_TEST

/* Random shapes, numbers of arrays and of workers. */
START_TEST(round_trip_random)
{
    uint64_t seed = (uint64_t)_i;
    struct checkpoint_array arrays[6], found[6];
    uint32_t count = 1 + (uint32_t)(random_next(&seed) % 6);
    uint32_t size = 1 + (uint32_t)(random_next(&seed) % 9);
    for (uint32_t i = 0; i < count; i++) {
        arrays[i] = (struct checkpoint_array){.type = 1 + (int)(random_next(&seed) % 6),
                                              .ndims = 1 + (int)(random_next(&seed) % 8)};
        snprintf(arrays[i].name, sizeof arrays[i].name, "g%d/a%" PRIu32,
                 (int)(random_next(&seed) % 3), i);
        for (int k = 0; k < arrays[i].ndims; k++)
            arrays[i].dims[k] = random_next(&seed) % (k == 0 ? 40 : 4);
        fill_array(&arrays[i], &seed);
    }
    save_checkpoint(scratch, 3, arrays, count, size);
    like_arrays(found, arrays, count, 0xee);
    ck_ok(checkpoint_read(scratch, 3, found, count, &failure));
    ck_assert_msg(same_arrays(arrays, found, count), "seed %d", _i);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t rows = arrays[i].dims[0], first = rows ? random_next(&seed) % rows : 0;
        uint64_t some = rows ? random_next(&seed) % (rows - first + 1) : 0;
        size_t row_bytes = rows ? array_bytes(&arrays[i]) / rows : 0;
        ck_ok(checkpoint_read_rows(scratch, 3, &arrays[i], first, some, found[i].data, &failure));
        ck_assert_msg(memcmp((char *)arrays[i].data + first * row_bytes, found[i].data,
                             some * row_bytes) == 0,
                      "seed %d", _i);
    }
    free_arrays(arrays, count);
    free_arrays(found, count);
}
END_TEST

static void note_sum(void *context, const char *sum, const char *name)
{
    char *text = context;
    size_t used = strlen(text);
    snprintf(text + used, 2048 - used, "%s %s\n", sum, name ? name : "(total)");
}

START_TEST(sum_does_not_depend_on_shards)
{
    static const uint32_t sizes[] = {1, 2, 3, 7};
    static char texts[4][2048], other[2048];
    struct checkpoint_array arrays[ALL];
    fill_all(arrays, 1);
    for (int i = 0; i < 4; i++) {
        save_checkpoint(scratch, 10, arrays, ALL, sizes[i]);
        ck_ok(checkpoint_sum(scratch, 10, note_sum, texts[i], &failure));
        ck_assert_str_eq(texts[i], texts[0]);
    }
    ck_assert_ptr_nonnull(strstr(texts[0], " count\n"));
    ck_assert_ptr_nonnull(strstr(texts[0], " (total)\n"));
    ((char *)arrays[0].data)[3] ^= 1;
    save_checkpoint(scratch, 10, arrays, ALL, 2);
    ck_ok(checkpoint_sum(scratch, 10, note_sum, other, &failure));
    ck_assert_str_ne(other, texts[0]);
    free_arrays(arrays, ALL);
}
END_TEST

/* The same bytes under any shape: also where a single row is larger than what is read at once. */
START_TEST(sum_does_not_depend_on_the_shape)
{
    enum { ELEMENTS = 18 << 20 };
    static const uint64_t shapes[][3] = {
        {ELEMENTS, 1, 1}, {1, ELEMENTS, 1}, {2, 3, ELEMENTS / 6}, {1, 1, ELEMENTS}};
    char texts[4][2048] = {"", "", "", ""};
    float *data = malloc(ELEMENTS * sizeof *data);
    for (int i = 0; i < ELEMENTS; i++)
        data[i] = (float)i;
    for (int i = 0; i < 4; i++) {
        struct checkpoint_array array = {"a", ONWARD_FLOAT, 3, {0}, .data = data};
        memcpy(array.dims, shapes[i], sizeof shapes[i]);
        save_checkpoint(scratch, 10, &array, 1, 1);
        ck_ok(checkpoint_sum(scratch, 10, note_sum, texts[i], &failure));
        ck_assert_str_eq(texts[i], texts[0]);
    }
    free(data);
}
END_TEST

START_TEST(rows_are_split_without_gap)
{
    for (uint64_t rows = 0; rows < 40; rows++)
        for (uint32_t size = 1; size < 12; size++) {
            uint64_t next = 0;
            for (uint32_t rank = 0; rank < size; rank++) {
                uint64_t first = 0, count = 0;
                checkpoint_rows(rows, size, rank, &first, &count);
                ck_assert_uint_eq(first, next);
                ck_assert(count == rows / size || count == rows / size + 1);
                next += count;
            }
            ck_assert_uint_eq(next, rows);
        }
}
END_TEST

/* Any HDF5 program sees whole arrays in the master, wherever the directory is and whatever its own
 * working directory. */
START_TEST(master_opens_whole_after_a_move)
{
    struct checkpoint_array arrays[ALL];
    char run[64], moved[64], master[128];
    snprintf(run, sizeof run, "%s/run", scratch);
    snprintf(moved, sizeof moved, "%s/moved", scratch);
    fill_all(arrays, 5);
    save_checkpoint(run, 8, arrays, ALL, 3);
    ck_assert_int_eq(rename(run, moved), 0);
    ck_assert_int_eq(chdir("/"), 0);
    snprintf(master, sizeof master, "%s/ckpt/step-00000008.h5", moved);
    hid_t file = H5Fopen(master, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, "layer0/weights", H5P_DEFAULT);
    float found[17 * 5];
    ck_assert_int_ge(H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, found), 0);
    ck_assert_mem_eq(found, arrays[0].data, sizeof found);
    H5Dclose(dataset);
    H5Fclose(file);
    free_arrays(arrays, ALL);
}
END_TEST

START_TEST(describe_gives_names_in_order)
{
    struct checkpoint_array arrays[ALL], *found = NULL;
    uint32_t count = 0;
    fill_all(arrays, 6);
    save_checkpoint(scratch, 8, arrays, ALL, 2);
    ck_ok(checkpoint_describe(scratch, 8, &found, &count, &failure));
    ck_assert_uint_eq(count, ALL);
    for (uint32_t i = 1; i < count; i++)
        ck_assert_int_lt(strcmp(found[i - 1].name, found[i].name), 0);
    ck_assert_str_eq(found[0].name, "count");
    ck_assert_int_eq(found[0].type, ONWARD_INT64);
    ck_assert_ptr_null(found[0].data);
    free(found);
    free_arrays(arrays, ALL);
}
END_TEST

/* Descriptions that do not fit: nothing is written to data. */
static const struct {
    struct checkpoint_array array;
    int code;
    const char *text;
} misfits[] = {
    {{"w", ONWARD_FLOAT, 2, {4, 3}, .data = NULL}, ONWARD_OK, ""},
    {{"v", ONWARD_FLOAT, 2, {4, 3}, .data = NULL}, ONWARD_ERR_INPUT, "has no array v"},
    {{"w", ONWARD_DOUBLE, 2, {4, 3}, .data = NULL}, ONWARD_ERR_INPUT, "float64 4 x 3"},
    {{"w", ONWARD_FLOAT, 2, {3, 4}, .data = NULL}, ONWARD_ERR_INPUT, "float32 3 x 4"},
    {{"w", ONWARD_FLOAT, 1, {12}, .data = NULL}, ONWARD_ERR_INPUT, "float32 12"},
    {{"w", ONWARD_FLOAT, 0, {4}, .data = NULL}, ONWARD_ERR_ARGUMENT, "out of range"},
    {{"w", 77, 1, {4}, .data = NULL}, ONWARD_ERR_ARGUMENT, "out of range"},
    {{"w", ONWARD_FLOAT, 2, {UINT64_MAX, 9}, .data = NULL}, ONWARD_ERR_ARGUMENT, "out of range"},
    {{"a%b", ONWARD_FLOAT, 1, {4}, .data = NULL}, ONWARD_ERR_ARGUMENT, "name"},
    {{"/w", ONWARD_FLOAT, 1, {4}, .data = NULL}, ONWARD_ERR_ARGUMENT, "name"},
    {{"a//w", ONWARD_FLOAT, 1, {4}, .data = NULL}, ONWARD_ERR_ARGUMENT, "name"},
    {{"../w", ONWARD_FLOAT, 1, {4}, .data = NULL}, ONWARD_ERR_ARGUMENT, "name"},
    {{"", ONWARD_FLOAT, 1, {4}, .data = NULL}, ONWARD_ERR_ARGUMENT, "name"}};

START_TEST(misfits_are_named)
{
    struct checkpoint_array stored = {"w", ONWARD_FLOAT, 2, {4, 3}, .data = NULL};
    struct checkpoint_array asked = misfits[_i].array;
    uint64_t seed = 3;
    char room[96], untouched[96];
    memset(room, 0x5a, sizeof room);
    memset(untouched, 0x5a, sizeof untouched);
    asked.data = room;
    fill_array(&stored, &seed);
    save_checkpoint(scratch, 1, &stored, 1, 2);
    ck_assert_int_eq(checkpoint_read(scratch, 1, &asked, 1, &failure), misfits[_i].code);
    if (misfits[_i].code != ONWARD_OK) {
        ck_assert_msg(strstr(failure.text, misfits[_i].text) != NULL, "%s", failure.text);
        ck_assert_mem_eq(room, untouched, sizeof room);
    }
    free(stored.data);
}
END_TEST

START_TEST(a_checkpoint_must_be_asked_for_whole)
{
    struct checkpoint_array arrays[ALL];
    fill_all(arrays, 6);
    save_checkpoint(scratch, 8, arrays, ALL, 2);
    ck_assert_int_eq(checkpoint_read(scratch, 8, arrays, ALL - 1, &failure), ONWARD_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(failure.text, "10 arrays, expected 9"));
    free_arrays(arrays, ALL);
}
END_TEST

START_TEST(colliding_names_are_refused)
{
    struct checkpoint_id id = {"task-1", 1, 1, 1};
    float value[2] = {1, 2};
    struct checkpoint_array arrays[] = {{"a/b", ONWARD_FLOAT, 1, {2}, .data = value},
                                        {"a", ONWARD_FLOAT, 1, {2}, .data = value}};
    struct checkpoint_shard shard;
    ck_assert_int_eq(checkpoint_write_shard(scratch, &id, arrays, 2, 0, 1, &shard, &failure),
                     ONWARD_ERR_ARGUMENT);
    ck_assert_int_eq(count_entries(scratch), 0);
}
END_TEST

START_TEST(list_shows_newest_first)
{
    struct checkpoint_array arrays[ALL];
    struct checkpoint_entry *entries = NULL;
    size_t count = 99;
    ck_ok(checkpoint_list(scratch, NULL, &entries, &count, &failure));
    ck_assert_uint_eq(count, 0);
    free(entries);
    fill_all(arrays, 2);
    save_checkpoint(scratch, 9, arrays, ALL, 2);
    save_checkpoint(scratch, 123456789012, arrays, ALL, 3);
    save_checkpoint(scratch, 100, arrays, ALL, 1);
    ck_ok(checkpoint_list(scratch, NULL, &entries, &count, &failure));
    ck_assert_uint_eq(count, 3);
    ck_assert_int_eq(entries[0].id.step, 123456789012);
    ck_assert_uint_eq(entries[0].shard_count, 3);
    ck_assert_int_eq(entries[2].id.step, 9);
    ck_assert_str_eq(entries[2].id.task, "task-1");
    ck_assert_int_eq(entries[2].id.epoch, 7);
    ck_assert_uint_gt(entries[2].bytes, 2 * 500);
    ck_assert(entries[2].complete && entries[2].readable);
    free(entries);
    free_arrays(arrays, ALL);
}
END_TEST

START_TEST(retain_keeps_the_newest)
{
    struct checkpoint_array arrays[ALL];
    struct checkpoint_entry *entries = NULL;
    struct checkpoint_id unfinished = {"task-1", 2, 7, 15}, running = {"task-1", 2, 7, 60};
    struct checkpoint_shard shard;
    size_t count = 0;
    fill_all(arrays, 2);
    for (int64_t step = 10; step <= 50; step += 10)
        save_checkpoint(scratch, step, arrays, ALL, 2);
    ck_ok(checkpoint_write_shard(scratch, &unfinished, arrays, ALL, 0, 2, &shard, &failure));
    ck_ok(checkpoint_write_shard(scratch, &running, arrays, ALL, 0, 2, &shard, &failure));
    save_checkpoint(scratch, 40, arrays, ALL, 3); /* leaves shards of 2 workers behind */
    write_file(in_scratch("ckpt/step-00000040.h5.tmp-1-00000000"), "x", 1);
    ck_ok(retain(50, 2, &failure));
    ck_ok(checkpoint_list(scratch, NULL, &entries, &count, &failure));
    ck_assert_uint_eq(count, 2);
    ck_assert_int_eq(entries[0].id.step, 50);
    ck_assert_int_eq(entries[1].id.step, 40);
    ck_ok(checkpoint_verify(scratch, 40, NULL, &failure));
    ck_assert_int_eq(count_entries(in_scratch("ckpt/step-00000040.shards")), 3);
    ck_assert_int_eq(count_entries(in_scratch("ckpt/step-00000060.shards")), 1);
    ck_assert_int_eq(count_entries(in_scratch("ckpt")), 5); /* 2 masters, shards of 40, 50, 60 */
    free(entries);
    ck_ok(retain(50, 0, &failure));
    ck_ok(checkpoint_verify(scratch, 50, NULL, &failure));
    ck_ok(checkpoint_remove(scratch, 50, &failure));
    ck_assert_int_eq(checkpoint_remove(scratch, 50, &failure), ONWARD_ERR_NOT_FOUND);
    ck_assert_int_eq(count_entries(in_scratch("ckpt")), 1);
    free_arrays(arrays, ALL);
}
END_TEST

START_TEST(many_shards)
{
    struct checkpoint_array arrays[ALL], found[ALL];
    fill_all(arrays, 11);
    save_checkpoint(scratch, 5, arrays, ALL, 1500); /* the table of shards is beyond 64 KiB */
    like_arrays(found, arrays, ALL, 0);
    ck_ok(checkpoint_read(scratch, 5, found, ALL, &failure));
    ck_assert(same_arrays(arrays, found, ALL));
    free_arrays(arrays, ALL);
    free_arrays(found, ALL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store checkpoint");
    TCase *tests = tcase_create("checkpoint");
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, round_trip, 0, 6);
    tcase_add_loop_test(tests, staged_shards_are_of_when_they_were_copied, 0, 3);
    tcase_add_test(tests, a_save_that_is_given_up_leaves_nothing);
    tcase_add_test(tests, a_save_behind_the_steps_makes_pauses);
    tcase_add_loop_test(tests, round_trip_random, 0, 60);
    tcase_add_test(tests, sum_does_not_depend_on_shards);
    tcase_add_test(tests, sum_does_not_depend_on_the_shape);
    tcase_add_test(tests, rows_are_split_without_gap);
    tcase_add_test(tests, master_opens_whole_after_a_move);
    tcase_add_test(tests, describe_gives_names_in_order);
    tcase_add_loop_test(tests, misfits_are_named, 0, (int)(sizeof misfits / sizeof *misfits));
    tcase_add_test(tests, a_checkpoint_must_be_asked_for_whole);
    tcase_add_test(tests, colliding_names_are_refused);
    tcase_add_test(tests, list_shows_newest_first);
    tcase_add_test(tests, retain_keeps_the_newest);
    tcase_add_test(tests, many_shards);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
