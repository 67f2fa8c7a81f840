/* test_store_no_room.c - a file system that has no room left when it is asked for room beforehand,
 * or that cannot be asked: no_room.c is linked here in place of fallocate. */
#include "store_fixture.h"

#include "copy.h"
#include "run_suite.h"

static struct checkpoint_array array = {
    .name = "x", .type = ONWARD_DOUBLE, .ndims = 1, .dims = {400000}, .data = NULL};
static const struct checkpoint_id id = {"task-1", 1, 1, 10};
static char no_room[512], met[520];

static void make_all(void)
{
    uint64_t seed = 1;
    make_scratch();
    snprintf(no_room, sizeof no_room, "%s", in_scratch("no-room"));
    snprintf(met, sizeof met, "%s.met", no_room);
    setenv("NO_ROOM", no_room, 1);
    fill_array(&array, &seed);
}

static void free_all(void)
{
    free(array.data);
    remove_scratch();
}

static void fail_with(const char *error)
{
    write_file(no_room, error, strlen(error));
}

static void end_failing(void)
{
    ck_assert_msg(access(met, F_OK) == 0, "no room was asked for");
    ck_assert_int_eq(unlink(met), 0);
    ck_assert_int_eq(unlink(no_room), 0);
}

/* Writers of large files, each by a way of its own. *directory: where the file is to be. */
static int write_shard(const char **directory)
{
    struct checkpoint_shard shard;
    *directory = "ckpt/step-00000010.shards";
    return checkpoint_write_shard(scratch, &id, &array, 1, 0, 1, &shard, &failure);
}

/* The copy beside it has room. */
static int save_staged(const char **directory)
{
    struct checkpoint_staged *staged = NULL;
    struct checkpoint_shard shard;
    *directory = "ckpt/step-00000010.shards";
    bool fails = rename(no_room, in_scratch("later")) == 0;
    ck_ok(checkpoint_stage_shard(scratch, &id, &array, 1, 0, 1, &staged, &failure));
    if (fails)
        ck_assert_int_eq(rename(in_scratch("later"), no_room), 0);
    int code = checkpoint_save_staged(staged, scratch, NULL, &shard, &failure);
    checkpoint_free_staged(staged);
    return code;
}

static int write_copy(const char **directory)
{
    static char path[COPY_PATH_BYTES];
    struct copy_place place = {.directory = scratch, .task = "task-1", .run = 1};
    struct copy_id copy = {.incarnation = 1, .epoch = 1, .step = 10, .shard_count = 1};
    uint64_t bytes = 0;
    ck_ok(copy_directory(&place, path, &failure));
    *directory = path + strlen(scratch) + 1;
    return copy_write(&place, &copy, &array, 1, &bytes, &failure);
}

static int (*const writers[])(const char **directory) = {write_shard, save_staged, write_copy};

START_TEST(a_full_disk)
{
    const char *directory = NULL;
    fail_with("ENOSPC");
    ck_assert_int_eq(writers[_i](&directory), ONWARD_ERR_NO_SPACE);
    end_failing();
    const char *place = in_scratch(directory);
    ck_assert_msg(strstr(failure.text, place) && strstr(failure.text, strerror(ENOSPC)),
                  "expected %s and its cause: %s", place, failure.text);
    ck_assert_msg(strstr(failure.text, ".tmp-") == NULL, "%s", failure.text);
    ck_assert_int_eq(count_entries(place), 0);
    ck_ok(writers[_i](&directory));
    ck_assert_int_eq(count_entries(place), 1);
}
END_TEST

START_TEST(a_disk_that_cannot_be_asked)
{
    const char *directory = NULL;
    fail_with("EOPNOTSUPP");
    ck_ok(writers[_i](&directory));
    end_failing();
    ck_assert_int_eq(count_entries(in_scratch(directory)), 1);
}
END_TEST

/* Where the local directory is on a disk that is full, nothing stays of the copy either. */
START_TEST(a_full_disk_for_the_copy)
{
    struct checkpoint_staged *staged = NULL;
    fail_with("ENOSPC");
    ck_assert_int_eq(checkpoint_stage_shard(scratch, &id, &array, 1, 0, 1, &staged, &failure),
                     ONWARD_ERR_NO_SPACE);
    end_failing();
    ck_assert_ptr_null(staged);
    ck_assert_msg(strstr(failure.text, strerror(ENOSPC)), "%s", failure.text);
    ck_assert_int_eq(count_entries(scratch), 0);
}
END_TEST

/* What was written without room reserved has the same bits. */
START_TEST(the_bits_are_the_same)
{
    struct checkpoint_array found;
    fail_with("EOPNOTSUPP");
    save_checkpoint(scratch, 10, &array, 1, 1);
    end_failing();
    like_arrays(&found, &array, 1, 0);
    ck_ok(checkpoint_read(scratch, 10, &found, 1, &failure));
    ck_assert(same_arrays(&found, &array, 1));
    free_arrays(&found, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store no room");
    TCase *tests = tcase_create("no room");
    tcase_set_timeout(tests, 60);
    int count = (int)(sizeof writers / sizeof *writers);
    tcase_add_checked_fixture(tests, make_all, free_all);
    tcase_add_loop_test(tests, a_full_disk, 0, count);
    tcase_add_loop_test(tests, a_disk_that_cannot_be_asked, 0, count);
    tcase_add_test(tests, a_full_disk_for_the_copy);
    tcase_add_test(tests, the_bits_are_the_same);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
