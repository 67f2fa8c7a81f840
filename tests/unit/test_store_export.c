/* test_store_export.c - where an export may go, and that nothing is written where it may not; what
 * has the name of a checkpoint's file and is none. */
#include "store_fixture.h"

#include "run_suite.h"
#include "test_record.h"

static struct checkpoint_array array = {
    .name = "x", .type = ONWARD_DOUBLE, .ndims = 1, .dims = {30}, .data = NULL};
static char run[64];

#define MASTER "run/ckpt/step-00000010.h5"
#define SHARDS "run/ckpt/step-00000010.shards"

/* A run directory with two checkpoints, and beside it one of each kind that an export may meet. */
static void make_places(void)
{
    uint64_t seed = 1;
    make_scratch();
    struct task_record record = plain_record("run");
    struct rundir *rundir = NULL;
    ck_ok(rundir_open(scratch, "run", &record, &rundir, &failure));
    snprintf(run, sizeof run, "%s", rundir_path(rundir));
    rundir_close(rundir);
    fill_array(&array, &seed);
    save_checkpoint(run, 10, &array, 1, 2);
    save_checkpoint(run, 20, &array, 1, 2);
    write_file(in_scratch("plain"), "x", 1);
    ck_assert_int_eq(mkdir(in_scratch("directory"), 0777), 0);
    ck_assert_int_eq(mkfifo(in_scratch("fifo"), 0666), 0);
    ck_assert_int_eq(symlink("plain", in_scratch("link")), 0);
    ck_assert_int_eq(symlink("nowhere", in_scratch("broken")), 0);
    ck_assert_int_eq(symlink("loop", in_scratch("loop")), 0);
    ck_assert_int_eq(symlink("directory", in_scratch("away")), 0);
    ck_assert_int_eq(symlink("run/ckpt", in_scratch("inside")), 0);
}

static void remove_places(void)
{
    free(array.data);
    remove_scratch();
}

/* 251 letters: a file can have the name, but not the temporary one beside it. */
#define TEN "0123456789"
#define FIFTY TEN TEN TEN TEN TEN
#define LONG FIFTY FIFTY FIFTY FIFTY FIFTY "1"

static const struct {
    const char *path; /* in the scratch directory */
    bool replace;
    const char *place; /* NULL: refused */
} places[] = {
    {"new.h5", false, "new.h5"},
    {"new.h5", true, "new.h5"},
    {"away/new.h5", false, "directory/new.h5"},
    {"run/../new.h5", false, "new.h5"},
    {"plain", true, "plain"},
    {"link", true, "plain"},
    {"plain", false, NULL},
    {"link", false, NULL},
    {"directory", false, NULL},
    {"directory", true, NULL},
    {"away", true, NULL},
    {"fifo", true, NULL},
    {"broken", true, NULL},
    {"loop", true, NULL},
    {"", true, NULL},
    {"new/", true, NULL},
    {"new/file", true, NULL},
    {"plain/file", true, NULL},
    {"run/new.h5", true, NULL},
    {"run/logs/new.h5", false, NULL},
    {"run/task.yaml", true, NULL},
    {MASTER, true, NULL},
    {"inside/step-00000010.h5", true, NULL},
    {"inside/../../run/ckpt/step-00000010.h5", true, NULL},
    {LONG LONG, true, NULL},
};

START_TEST(where_an_export_may_go)
{
    char place[PATH_MAX] = "";
    int entries = count_entries(scratch), in_ckpt = count_entries(in_scratch("run/ckpt"));
    int code =
        checkpoint_export_place(place, in_scratch(places[_i].path), places[_i].replace, &failure);
    if (places[_i].place) {
        ck_ok(code);
        ck_assert_str_eq(place, in_scratch(places[_i].place));
        return;
    }
    ck_assert_msg(code == ONWARD_ERR_INPUT, "%s: %d", places[_i].path, code);
    ck_assert_int_eq(onward_exit_code(code), 2);
    ck_assert_ptr_null(strchr(failure.text, '\n'));
    ck_assert_int_eq(
        checkpoint_export(run, 20, in_scratch(places[_i].path), places[_i].replace, &failure),
        ONWARD_ERR_INPUT);
    ck_assert_int_eq(count_entries(scratch), entries);
    ck_assert_int_eq(count_entries(in_scratch("run/ckpt")), in_ckpt);
    ck_ok(checkpoint_verify(run, 10, "task-1", &failure));
    ck_ok(checkpoint_verify(run, 20, "task-1", &failure));
}
END_TEST

START_TEST(names_without_a_directory)
{
    char place[PATH_MAX];
    ck_assert_int_eq(checkpoint_export_place(place, "", true, &failure), ONWARD_ERR_INPUT);
    ck_assert_int_eq(chdir(in_scratch("directory")), 0);
    ck_ok(checkpoint_export_place(place, "new.h5", false, &failure));
    ck_assert_str_eq(place, in_scratch("directory/new.h5"));
    ck_assert_int_eq(chdir(in_scratch("run/ckpt")), 0);
    ck_assert_int_eq(checkpoint_export_place(place, "new.h5", false, &failure), ONWARD_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(failure.text, "is in the run directory"));
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(a_device_stays)
{
    char place[PATH_MAX];
    struct stat status;
    ck_assert_int_eq(checkpoint_export_place(place, "/dev/null", true, &failure), ONWARD_ERR_INPUT);
    ck_assert_int_eq(stat("/dev/null", &status), 0);
    ck_assert(S_ISCHR(status.st_mode));
}
END_TEST

START_TEST(a_name_without_room_for_a_temporary_one)
{
    int entries = count_entries(scratch);
    int code = checkpoint_export(run, 20, in_scratch(LONG), true, &failure);
    ck_assert_int_eq(onward_exit_code(code), 2);
    ck_assert_int_eq(count_entries(scratch), entries);
}
END_TEST

/* The file that a link names is replaced, and the link stays. */
START_TEST(a_link_is_followed)
{
    struct stat status;
    ck_ok(checkpoint_export(run, 20, in_scratch("link"), true, &failure));
    ck_assert_int_eq(lstat(in_scratch("link"), &status), 0);
    ck_assert(S_ISLNK(status.st_mode));
    ck_assert_int_eq(lstat(in_scratch("plain"), &status), 0);
    ck_assert(S_ISREG(status.st_mode) && status.st_size > 1);
}
END_TEST

static void check_damaged(const char *text)
{
    struct checkpoint_entry *entries = NULL;
    size_t count = 0;
    int64_t newest = 99;
    char why[300];
    ck_assert_int_eq(checkpoint_verify(run, 10, NULL, &failure), ONWARD_ERR_CORRUPT);
    ck_assert_msg(strstr(failure.text, text) != NULL, "%s", failure.text);
    ck_assert(!checkpoint_is_marked(run, 10, why, sizeof why));
    ck_ok(checkpoint_list(run, NULL, &entries, &count, &failure));
    ck_assert_uint_eq(count, 2);
    ck_assert(!entries[1].usable);
    free(entries);
    ck_ok(checkpoint_newest(run, "task-1", &newest, NULL, NULL, &failure));
    ck_assert_int_eq(newest, 20);
}

/* A fifo would hold up who opens it; the timeout of the test would tell. */
START_TEST(a_master_that_is_no_file)
{
    ck_assert_int_eq(unlink(in_scratch(MASTER)), 0);
    ck_assert_int_eq(mkdir(in_scratch(MASTER), 0777), 0);
    check_damaged("step-00000010.h5: expected a plain file");
    ck_assert_int_eq(checkpoint_check_removal(run, 10, &failure), ONWARD_ERR_INPUT);
    ck_assert_int_eq(checkpoint_remove(run, 10, &failure), ONWARD_ERR_INPUT);
    ck_assert_int_eq(count_entries(in_scratch(SHARDS)), 2);
    ck_assert_int_eq(rmdir(in_scratch(MASTER)), 0);
    ck_assert_int_eq(mkfifo(in_scratch(MASTER), 0666), 0);
    check_damaged("step-00000010.h5: expected a plain file");
    ck_ok(checkpoint_remove(run, 10, &failure));
    ck_assert_int_eq(count_entries(in_scratch("run/ckpt")), 2);
}
END_TEST

START_TEST(shards_that_are_no_directory)
{
    ck_assert_int_eq(rename(in_scratch(SHARDS), in_scratch("run/ckpt/away")), 0);
    write_file(in_scratch(SHARDS), "x", 1);
    check_damaged("the shard is missing");
    ck_assert_int_eq(checkpoint_remove(run, 10, &failure), ONWARD_ERR_INPUT);
    ck_assert_int_eq(access(in_scratch(MASTER), F_OK), 0);
}
END_TEST

START_TEST(checkpoints_that_are_no_directory)
{
    struct checkpoint_entry *entries = NULL;
    size_t count = 0;
    int64_t newest = 99;
    ck_assert_int_eq(rename(in_scratch("run/ckpt"), in_scratch("run/away")), 0);
    write_file(in_scratch("run/ckpt"), "x", 1);
    ck_assert_int_eq(checkpoint_list(run, NULL, &entries, &count, &failure), ONWARD_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(failure.text, "run/ckpt: expected a directory"));
    ck_assert_int_eq(checkpoint_newest(run, NULL, &newest, NULL, NULL, &failure), ONWARD_ERR_INPUT);
    ck_assert_int_eq(checkpoint_verify(run, 10, NULL, &failure), ONWARD_ERR_NOT_FOUND);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store export");
    TCase *tests = tcase_create("export");
    tcase_add_checked_fixture(tests, make_places, remove_places);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, where_an_export_may_go, 0, (int)(sizeof places / sizeof *places));
    tcase_add_test(tests, names_without_a_directory);
    tcase_add_test(tests, a_device_stays);
    tcase_add_test(tests, a_name_without_room_for_a_temporary_one);
    tcase_add_test(tests, a_link_is_followed);
    tcase_add_test(tests, a_master_that_is_no_file);
    tcase_add_test(tests, shards_that_are_no_directory);
    tcase_add_test(tests, checkpoints_that_are_no_directory);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
