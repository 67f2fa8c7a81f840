/* test_store_unread.c - what the system does not give is no damage: a checkpoint that could not be
 * read is not marked, and a mark that could not be read is not removed. What a disk did not take is
 * not read as if it had. failing_read.c is linked here in place of the calls that read. */
#include "store_fixture.h"

#include "failing_read.h"
#include "h5.h"
#include "local.h"
#include "run_suite.h"

#define MASTER "step-00000020.h5"
#define MARK "ckpt/step-00000020.failed"

static struct checkpoint_array array = {
    .name = "x", .type = ONWARD_DOUBLE, .ndims = 1, .dims = {7}, .data = NULL};
static char wish[512];

static void make_two(void)
{
    make_two_of(&array);
    snprintf(wish, sizeof wish, "%s", in_scratch("wish"));
    setenv("FAILING_READ", wish, 1);
}

static void remove_two(void)
{
    free(array.data);
    remove_scratch();
}

static void fail_for(const char *text)
{
    failing_read_count = 0;
    write_file(wish, text, strlen(text));
}

/* No call fails from here on; those that were to did. */
static void end_failures(void)
{
    unlink(wish);
    ck_assert_int_gt(failing_read_count, 0);
}

static void ignore_warning(void *context, const char *text)
{
    (void)context, (void)text;
}

/* By the owner, who marks what is damaged. */
static int64_t newest(void)
{
    const struct checkpoint_wanted wanted = {
        .task = "task-1", .below = INT64_MAX, .warn = ignore_warning};
    struct checkpoint_id found = {.step = 99};
    uint32_t passed_over = 0;
    ck_ok(checkpoint_find(scratch, &wanted, &found, &passed_over, &failure));
    return found.step;
}

/* Its seal, once; then HDF5 cannot open it, or not read it. */
static const char *const master_wishes[] = {"1" MASTER, "7" MASTER, "8" MASTER};

START_TEST(a_master_that_cannot_be_read_is_not_damaged)
{
    fail_for(master_wishes[_i]);
    int code = checkpoint_verify(scratch, 20, NULL, &failure);
    ck_assert_msg(code == ONWARD_ERR_IO, "%s", failure.text);
    ck_assert_ptr_nonnull(strstr(failure.text, MASTER));
    ck_assert_int_gt(failing_read_count, 0);
    fail_for(master_wishes[_i]);
    ck_assert_int_eq(newest(), 10);
    end_failures();
    ck_assert_int_eq(access(in_scratch(MARK), F_OK), -1);
    ck_assert_int_eq(newest(), 20);
}
END_TEST

static const char *const shard_wishes[] = {"2.shards/r001", "6.shards/r001"};

START_TEST(nor_is_a_shard)
{
    fail_for(shard_wishes[_i]);
    ck_assert_int_ne(checkpoint_verify(scratch, 20, NULL, &failure), ONWARD_OK);
    ck_assert_int_ne(failure.code, ONWARD_ERR_CORRUPT);
    newest();
    end_failures();
    ck_assert_int_eq(access(in_scratch(MARK), F_OK), -1);
}
END_TEST

/* The mark itself, or the master that it is to mean. */
static const char *const mark_wishes[] = {"2step-00000020.failed", "2" MASTER};

START_TEST(a_mark_that_cannot_be_read_stays)
{
    char why[200];
    ck_ok(checkpoint_mark_failed(scratch, 20, "no good", &failure));
    fail_for(mark_wishes[_i]);
    ck_ok(retain(20, 2, &failure));
    end_failures();
    ck_assert(checkpoint_is_marked(scratch, 20, why, sizeof why));
}
END_TEST

START_TEST(a_mark_that_means_nothing_goes)
{
    const char *mark = in_scratch("ckpt/step-00000015.failed");
    write_file(mark, "{", 1);
    ck_ok(retain(20, 2, &failure));
    ck_assert_int_eq(access(mark, F_OK), -1);
}
END_TEST

START_TEST(hdf5_is_not_blamed_for_the_system)
{
    H5_QUIET;
    H5Epush2(H5E_DEFAULT, "", "", 1, H5E_ERR_CLS, H5E_RESOURCE, H5E_NOSPACE, "no memory");
    H5Epush2(H5E_DEFAULT, "", "", 1, H5E_ERR_CLS, H5E_FILE, H5E_CANTOPENFILE, "cannot open");
    ck_assert_int_eq(h5_fail_reading(&failure, "it"), ONWARD_ERR_MEMORY);
    ck_assert_str_eq(failure.text, "it: HDF5: no memory");
    H5Epush2(H5E_DEFAULT, "", "", 1, H5E_ERR_CLS, H5E_IO, H5E_READERROR, "file read failed");
    ck_assert_int_eq(h5_fail_reading(&failure, "it"), ONWARD_ERR_IO);
    H5Epush2(H5E_DEFAULT, "", "", 1, H5E_ERR_CLS, H5E_IO, H5E_BADRANGE, "no such place");
    ck_assert_int_eq(h5_fail_reading(&failure, "it"), ONWARD_ERR_CORRUPT);
    H5Epush2(H5E_DEFAULT, "", "", 1, H5E_ERR_CLS, H5E_FILE, H5E_NOTHDF5, "no signature");
    H5Epush2(H5E_DEFAULT, "", "", 1, H5E_ERR_CLS, H5E_FILE, H5E_CANTOPENFILE, "cannot open");
    ck_assert_int_eq(h5_fail_reading(&failure, "it"), ONWARD_ERR_CORRUPT);
}
END_TEST

static int load_slots(const struct local_id *id, int64_t *number)
{
    struct local_copy *copy = NULL;
    unsigned verdict;
    void *data[] = {number};
    ck_ok(local_find(id, NULL, NULL, &copy, &failure));
    ck_assert_ptr_nonnull(copy);
    int code = local_load(copy, data, &verdict, &failure);
    if (code != ONWARD_OK) /* the kernel says it once, and a second try is made */
        unlink(wish);
    ck_assert_int_eq(local_load(copy, data, &verdict, &failure), code);
    local_forget(copy);
    return code;
}

/* Slots of step 7, with a sync that fails: of files on a disk ("d"), or wherever they are ("9"). */
static int leave_and_load(const char *directory, const char *failing, int64_t *number)
{
    uint64_t bytes = sizeof *number;
    struct local_id id = {directory, "task-1", 9, 5, 1, 1, &bytes};
    struct local *local = NULL;
    ck_ok(local_create(&id, &local, &failure));
    *(int64_t *)local_next(local, 0) = 42;
    local_commit(local, 1, 7);
    local_close(local);
    id.incarnation = 2;
    fail_for(failing);
    int code = load_slots(&id, number);
    unlink(wish);
    if (code != ONWARD_OK) /* nor does a later start load it */
        ck_assert_int_eq(load_slots(&id, number), code);
    local_remove_all(&id);
    return code;
}

START_TEST(slots_that_a_disk_did_not_take_are_not_loaded)
{
    int64_t number = 0;
    ck_assert_int_eq(leave_and_load(scratch, "d.state", &number), ONWARD_ERR_IO);
    ck_assert_int_eq(failing_read_count, 1);
    ck_assert_ptr_nonnull(strstr(failure.text, "was not written to the disk"));
    ck_assert_int_eq(number, 0);
}
END_TEST

START_TEST(slots_in_memory_need_no_disk)
{
    int64_t number = 0;
    char directory[] = "/dev/shm/store-XXXXXX";
    if (!mkdtemp(directory))
        return;
    ck_assert_int_eq(leave_and_load(directory, "9.state", &number), ONWARD_OK);
    ck_assert_int_eq(failing_read_count, 0);
    ck_assert_int_eq(number, 42);
    rmdir(directory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store unread");
    TCase *tests = tcase_create("unread");
    tcase_add_checked_fixture(tests, make_two, remove_two);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_master_that_cannot_be_read_is_not_damaged, 0,
                        (int)(sizeof master_wishes / sizeof *master_wishes));
    tcase_add_loop_test(tests, nor_is_a_shard, 0,
                        (int)(sizeof shard_wishes / sizeof *shard_wishes));
    tcase_add_loop_test(tests, a_mark_that_cannot_be_read_stays, 0,
                        (int)(sizeof mark_wishes / sizeof *mark_wishes));
    tcase_add_test(tests, a_mark_that_means_nothing_goes);
    tcase_add_test(tests, slots_that_a_disk_did_not_take_are_not_loaded);
    tcase_add_test(tests, slots_in_memory_need_no_disk);
    tcase_add_test(tests, hdf5_is_not_blamed_for_the_system);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
