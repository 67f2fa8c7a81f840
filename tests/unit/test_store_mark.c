/* test_store_mark.c - a checkpoint that failed to be restored is passed over, without being read
 * again, until it is found whole or replaced; and one of another version of onward without a mark.
 */
#include "h5.h"
#include "hash.h"
#include "image.h"
#include "run_suite.h"
#include "store_fixture.h"

static struct checkpoint_array array = {
    .name = "x", .type = ONWARD_DOUBLE, .ndims = 1, .dims = {7}, .data = NULL};

#define MARK "ckpt/step-00000020.failed"

static void make_two(void)
{
    make_two_of(&array);
}

static void remove_two(void)
{
    free(array.data);
    remove_scratch();
}

static char warning[1024];

static void note_warning(void *context, const char *text)
{
    (void)context;
    snprintf(warning, sizeof warning, "%s", text);
}

static int64_t newest(void)
{
    int64_t step = 99;
    warning[0] = '\0';
    ck_ok(checkpoint_newest(scratch, "task-1", &step, note_warning, NULL, &failure));
    return step;
}

static void damage_20(void)
{
    size_t size = 0;
    const char *path = in_scratch("ckpt/step-00000020.shards/r001-of-002.i0002.e0007.h5");
    unsigned char *bytes = read_file(path, &size);
    bytes[size / 2] ^= 1;
    write_file(path, bytes, size);
    free(bytes);
}

START_TEST(a_marked_one_is_passed_over)
{
    char why[200];
    ck_assert_int_eq(newest(), 20);
    ck_ok(checkpoint_mark_failed(scratch, 20, "no good", &failure));
    ck_assert(checkpoint_is_marked(scratch, 20, why, sizeof why));
    ck_assert_str_eq(why, "failed to be restored before: no good");
    ck_assert(!checkpoint_is_marked(scratch, 10, why, sizeof why));
    ck_assert_int_eq(newest(), 10);
    ck_assert_msg(strstr(warning, "step-00000020.h5: failed to be restored before: no good"), "%s",
                  warning);
    ck_ok(checkpoint_clear_mark(scratch, 20, &failure));
    ck_ok(checkpoint_clear_mark(scratch, 20, &failure));
    ck_assert_int_eq(newest(), 20);
}
END_TEST

START_TEST(the_list_shows_it)
{
    struct checkpoint_entry *entries = NULL;
    size_t count = 0;
    ck_ok(checkpoint_mark_failed(scratch, 20, "no good", &failure));
    ck_ok(checkpoint_list(scratch, NULL, &entries, &count, &failure));
    ck_assert_uint_eq(count, 2);
    ck_assert(entries[0].failed && entries[0].complete && !entries[0].usable);
    ck_assert(entries[0].readable);
    ck_assert_str_eq(entries[0].problem, "failed to be restored before: no good");
    ck_assert(!entries[1].failed && entries[1].complete && entries[1].usable);
    free(entries);
}
END_TEST

static const struct checkpoint_wanted of_task_1 = {
    .task = "task-1", .below = INT64_MAX, .warn = note_warning};

START_TEST(the_owner_marks_what_is_damaged)
{
    uint32_t passed_over = 0;
    struct checkpoint_id found = {.step = 99};
    char why[300];
    damage_20();
    ck_assert_int_eq(newest(), 10);
    ck_assert(!checkpoint_is_marked(scratch, 20, why, sizeof why)); /* who only looks does not */
    ck_ok(checkpoint_find(scratch, &of_task_1, &found, &passed_over, &failure));
    ck_assert_int_eq(found.step, 10);
    ck_assert_int_eq(found.incarnation, 2);
    ck_assert_str_eq(found.task, "task-1");
    ck_assert_uint_eq(passed_over, 1);
    ck_assert(checkpoint_is_marked(scratch, 20, why, sizeof why));
    ck_assert_msg(strstr(why, "is damaged"), "%s", why);
}
END_TEST

/* Who is to restore reads it all anyway, so the owner looks at lengths and tables alone. */
START_TEST(the_owner_leaves_the_blocks_to_the_readers)
{
    enum { COUNT = 1 << 20 };
    struct checkpoint_array array = {
        .name = "large", .type = ONWARD_INT32, .ndims = 1, .dims = {COUNT}};
    uint32_t passed_over = 0;
    uint64_t seed = 1;
    struct checkpoint_id found = {.step = 99};
    fill_array(&array, &seed);
    save_checkpoint(scratch, 20, &array, 1, 2);
    damage_20();
    ck_ok(checkpoint_find(scratch, &of_task_1, &found, &passed_over, &failure));
    ck_assert_int_eq(found.step, 20);
    ck_assert_uint_eq(passed_over, 0);
    ck_assert_int_eq(checkpoint_read(scratch, 20, &array, 1, &failure), ONWARD_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(failure.text, "r001-of-002"));
    ck_assert_int_eq(checkpoint_verify(scratch, 20, NULL, &failure), ONWARD_ERR_CORRUPT);
    free(array.data);
}
END_TEST

START_TEST(what_was_tried_is_not_tried_again)
{
    struct checkpoint_wanted wanted = of_task_1;
    uint32_t passed_over = 0;
    struct checkpoint_id found = {.step = 99};
    wanted.below = 20;
    warning[0] = '\0';
    ck_ok(checkpoint_find(scratch, &wanted, &found, &passed_over, &failure));
    ck_assert_int_eq(found.step, 10);
    ck_assert_uint_eq(passed_over, 1);
    ck_assert_str_eq(warning, "");
    wanted.below = 10;
    ck_ok(checkpoint_find(scratch, &wanted, &found, &passed_over, &failure));
    ck_assert_int_eq(found.step, -1);
    ck_assert_uint_eq(passed_over, 2);
}
END_TEST

START_TEST(another_task_is_no_reason_for_a_mark)
{
    uint32_t passed_over = 0;
    struct checkpoint_id found = {.step = 99};
    struct checkpoint_wanted of_task_2 = {.task = "task-2", .below = INT64_MAX};
    ck_ok(checkpoint_find(scratch, &of_task_2, &found, &passed_over, &failure));
    ck_assert_int_eq(found.step, -1);
    ck_assert_uint_eq(passed_over, 2);
    ck_assert_int_eq(count_entries(in_scratch("ckpt")), 4);
}
END_TEST

/* As image.c seals a file. */
static void seal(const char *path)
{
    size_t size = 0;
    unsigned char *bytes = read_file(path, &size);
    XXH128_hash_t hash = XXH3_128bits(bytes + IMAGE_SEAL_BYTES, size - IMAGE_SEAL_BYTES);
    memset(bytes, 0, IMAGE_SEAL_BYTES);
    snprintf((char *)bytes, IMAGE_SEAL_BYTES,
             "onward sealed HDF5 file\nThe first %d bytes are a user block; of what follows:\n"
             "bytes %zu\nxxh3_128 %016" PRIx64 "%016" PRIx64 "\n",
             IMAGE_SEAL_BYTES, size - IMAGE_SEAL_BYTES, (uint64_t)hash.high64,
             (uint64_t)hash.low64);
    write_file(path, bytes, size);
    free(bytes);
}

/* The newest one as another version of onward would have written it; returns what it was. */
static int64_t change_format(int64_t format)
{
    const char *path = in_scratch("ckpt/step-00000020.h5");
    int64_t before = 0;
    {
        H5_AUTO hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        H5_AUTO hid_t version = H5Aopen(file, "format_version", H5P_DEFAULT);
        ck_assert_int_ge(H5Aread(version, H5T_NATIVE_INT64, &before), 0);
        ck_assert_int_ge(H5Awrite(version, H5T_NATIVE_INT64, &format), 0);
    }
    seal(path);
    return before;
}

/* For going back to that version. */
START_TEST(another_format_is_passed_over_and_stays)
{
    uint32_t passed_over = 0;
    struct checkpoint_id found = {.step = 99};
    char expected[80];
    int64_t format = change_format(99);
    snprintf(expected, sizeof expected, "step-00000020.h5: format 99, expected %" PRId64, format);
    warning[0] = '\0';
    ck_ok(checkpoint_find(scratch, &of_task_1, &found, &passed_over, &failure));
    ck_assert(found.step == 10 && passed_over == 1);
    ck_assert_msg(strstr(warning, expected) && !strchr(warning, '\n'), "%s", warning);
    ck_assert_int_eq(access(in_scratch(MARK), F_OK), -1);
    ck_assert_int_eq(checkpoint_verify(scratch, 20, NULL, &failure), ONWARD_ERR_INPUT);
    save_checkpoint(scratch, 30, &array, 1, 2);
    save_checkpoint(scratch, 40, &array, 1, 2);
    ck_ok(retain(40, 1, &failure));
    ck_ok(checkpoint_sweep(scratch, 9, -1, &failure));
    ck_assert_int_eq(count_entries(in_scratch("ckpt")), 4); /* of steps 20 and 40 */
    change_format(format);
    ck_ok(checkpoint_verify(scratch, 20, "task-1", &failure));
}
END_TEST

/* It cannot be opened, and is there. */
static void hide_newest(void)
{
    const char *master = in_scratch("ckpt/step-00000020.h5");
    ck_assert_int_eq(rename(master, in_scratch("aside")), 0);
    ck_assert_int_eq(symlink(master, master), 0);
}

static int waits;

static void wait_in_vain(void *context)
{
    (void)context;
    waits++;
}

static void wait_well(void *context)
{
    wait_in_vain(context);
    ck_assert_int_eq(rename(in_scratch("aside"), in_scratch("ckpt/step-00000020.h5")), 0);
}

START_TEST(one_that_cannot_be_got_at_is_tried_twice)
{
    uint32_t passed_over = 0;
    struct checkpoint_id found = {.step = 99};
    struct checkpoint_wanted wanted = {"task-1", INT64_MAX, NULL, NULL, wait_in_vain};
    waits = 0;
    hide_newest();
    ck_ok(checkpoint_find(scratch, &wanted, &found, &passed_over, &failure));
    ck_assert(found.step == 10 && passed_over == 1 && waits == 1);
    wanted.wait = wait_well;
    ck_ok(checkpoint_find(scratch, &wanted, &found, &passed_over, &failure));
    ck_assert(found.step == 20 && passed_over == 0 && waits == 2);
    ck_assert_int_eq(access(in_scratch(MARK), F_OK), -1);
}
END_TEST

START_TEST(the_next_one_of_the_step_is_another)
{
    ck_ok(checkpoint_mark_failed(scratch, 20, "no good", &failure));
    save_checkpoint(scratch, 20, &array, 1, 3);
    ck_assert_int_eq(newest(), 20);
    ck_ok(retain(20, 2, &failure)); /* the mark means nobody any more */
    ck_assert_int_eq(access(in_scratch(MARK), F_OK), -1);
}
END_TEST

START_TEST(a_marked_one_never_pushes_out_a_good_one)
{
    ck_ok(checkpoint_mark_failed(scratch, 20, "no good", &failure));
    ck_ok(retain(20, 1, &failure));
    ck_assert_int_eq(newest(), 10);
    ck_assert_int_eq(access(in_scratch(MARK), F_OK), 0);
    save_checkpoint(scratch, 30, &array, 1, 2);
    ck_ok(retain(30, 1, &failure));
    ck_assert_int_eq(count_entries(in_scratch("ckpt")), 2); /* the mark went with its checkpoint */
}
END_TEST

static void try_times(int count)
{
    for (int i = 0; i < count; i++)
        ck_ok(checkpoint_mark_tried(scratch, 20, &failure));
}

START_TEST(who_dies_of_it_is_counted)
{
    try_times(2);
    ck_assert_int_eq(newest(), 20);
    try_times(1);
    ck_assert_int_eq(newest(), 10);
    ck_assert_msg(strstr(warning, "3 times nobody came to the end of reading it"), "%s", warning);
    try_times(1);
    ck_assert_int_eq(newest(), 10);
}
END_TEST

START_TEST(who_comes_to_the_end_begins_anew)
{
    try_times(2);
    ck_ok(checkpoint_clear_mark(scratch, 20, &failure));
    try_times(2);
    ck_assert_int_eq(newest(), 20);
    save_checkpoint(scratch, 20, &array, 1, 3);
    try_times(2); /* of another one */
    ck_assert_int_eq(newest(), 20);
    ck_ok(checkpoint_mark_failed(scratch, 20, "no good", &failure));
    ck_assert_int_eq(newest(), 10);
}
END_TEST

START_TEST(nothing_to_try)
{
    ck_ok(checkpoint_mark_tried(scratch, 30, &failure));
    ck_assert_int_eq(count_entries(in_scratch("ckpt")), 4);
}
END_TEST

START_TEST(nothing_to_mark)
{
    ck_ok(checkpoint_mark_failed(scratch, 30, "no good", &failure));
    ck_assert_int_eq(count_entries(in_scratch("ckpt")), 4);
}
END_TEST

static const char *const no_marks[] = {"", "x", "{}", "{\"head\": 7}", "{\"head\": \"0\"}", "[1"};

START_TEST(what_is_no_mark_means_nothing)
{
    write_file(in_scratch(MARK), no_marks[_i], strlen(no_marks[_i]));
    ck_assert_int_eq(newest(), 20);
}
END_TEST

START_TEST(any_text_can_be_the_reason)
{
    char why[200];
    ck_ok(checkpoint_mark_failed(scratch, 20, "\xff\xfe", &failure));
    ck_assert(checkpoint_is_marked(scratch, 20, why, sizeof why));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store mark");
    TCase *tests = tcase_create("mark");
    tcase_add_checked_fixture(tests, make_two, remove_two);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_marked_one_is_passed_over);
    tcase_add_test(tests, the_list_shows_it);
    tcase_add_test(tests, the_owner_marks_what_is_damaged);
    tcase_add_test(tests, the_owner_leaves_the_blocks_to_the_readers);
    tcase_add_test(tests, what_was_tried_is_not_tried_again);
    tcase_add_test(tests, another_task_is_no_reason_for_a_mark);
    tcase_add_test(tests, another_format_is_passed_over_and_stays);
    tcase_add_test(tests, one_that_cannot_be_got_at_is_tried_twice);
    tcase_add_test(tests, the_next_one_of_the_step_is_another);
    tcase_add_test(tests, who_dies_of_it_is_counted);
    tcase_add_test(tests, who_comes_to_the_end_begins_anew);
    tcase_add_test(tests, nothing_to_try);
    tcase_add_test(tests, a_marked_one_never_pushes_out_a_good_one);
    tcase_add_test(tests, nothing_to_mark);
    tcase_add_loop_test(tests, what_is_no_mark_means_nothing, 0,
                        (int)(sizeof no_marks / sizeof *no_marks));
    tcase_add_test(tests, any_text_can_be_the_reason);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
