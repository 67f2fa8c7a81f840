/* test_store_fence.c - who is fenced while it writes puts no master in place, and removes nothing.
 *
 * The fence is asked when all is written, right before it becomes visible, so that no stall before
 * that can let an incarnation write which another one has taken over from. */
#include "run_suite.h"
#include "store_fixture.h"

#include <dirent.h>

#include "file.h"

static struct checkpoint_array array = {
    .name = "x", .type = ONWARD_DOUBLE, .ndims = 1, .dims = {3}, .data = NULL};

/* What a fence saw, and when it begins to refuse. */
static struct {
    int asked, allowed;
    int temporary; /* files of RUN/ckpt that were not in place yet, when it was asked last */
    bool has_30;
} seen;

static int count_temporary(void)
{
    int count = 0;
    DIR *directory = opendir(in_scratch("ckpt"));
    const struct dirent *entry;
    ck_assert_ptr_nonnull(directory);
    while ((entry = readdir(directory)) != NULL)
        count += strstr(entry->d_name, ".tmp-") != NULL;
    closedir(directory);
    return count;
}

static bool is_there(const char *name)
{
    return access(in_scratch(name), F_OK) == 0;
}

static int ask(const void *context, struct error *error)
{
    ck_assert_ptr_eq(context, &seen);
    seen.temporary = count_temporary();
    seen.has_30 = is_there("ckpt/step-00000030.h5");
    return seen.asked++ < seen.allowed
               ? ONWARD_OK
               : error_set(error, ONWARD_ERR_FENCED, "incarnation 3 took over");
}

static const struct fence fence = {ask, &seen};

static int save_as(int64_t incarnation, int64_t step, const struct fence *with)
{
    struct checkpoint_id id = {"task-1", incarnation, 7, step};
    struct checkpoint_shard shard;
    ck_ok(checkpoint_write_shard(scratch, &id, &array, 1, 0, 1, &shard, &failure));
    return checkpoint_commit_with_metric(scratch, &id, NULL, &array, 1, &shard, 1, NULL, 0, with,
                                         &failure);
}

static void make_two(void)
{
    uint64_t seed = 1;
    memset(&seen, 0, sizeof seen);
    make_scratch();
    fill_array(&array, &seed);
    ck_ok(save_as(2, 10, NULL));
    ck_ok(save_as(2, 20, NULL));
}

static void remove_two(void)
{
    free(array.data);
    remove_scratch();
}

static int64_t newest(void)
{
    int64_t step = -1;
    ck_ok(checkpoint_newest(scratch, "task-1", &step, NULL, NULL, &failure));
    return step;
}

START_TEST(a_commit_that_is_refused_leaves_nothing)
{
    ck_assert_int_eq(save_as(2, 30, &fence), ONWARD_ERR_FENCED);
    ck_assert_str_eq(failure.text, "incarnation 3 took over");
    ck_assert_int_eq(seen.asked, 1);
    ck_assert_int_eq(seen.temporary, 1); /* it was written by then */
    ck_assert(!seen.has_30);
    ck_assert(!is_there("ckpt/step-00000030.h5"));
    ck_assert_int_eq(count_temporary(), 0);
    ck_assert_int_eq(newest(), 20);
}
END_TEST

START_TEST(a_commit_that_is_allowed_is_in_place)
{
    seen.allowed = 1;
    ck_ok(save_as(2, 30, &fence));
    ck_assert_int_eq(seen.asked, 1);
    ck_assert(!seen.has_30);
    ck_assert_int_eq(newest(), 30);
}
END_TEST

/* The master of the same step, by the incarnation that took over, stays. */
START_TEST(a_commit_that_is_refused_replaces_nothing)
{
    struct checkpoint_entry *entries = NULL;
    size_t count = 0;
    ck_ok(save_as(3, 20, NULL));
    ck_assert_int_eq(save_as(2, 20, &fence), ONWARD_ERR_FENCED);
    ck_ok(checkpoint_list(scratch, "task-1", &entries, &count, &failure));
    ck_assert_int_eq(count, 2);
    ck_assert_int_eq(entries[0].id.step, 20);
    ck_assert_int_eq(entries[0].id.incarnation, 3);
    free(entries);
    ck_ok(checkpoint_verify(scratch, 20, "task-1", &failure));
}
END_TEST

/* Of three, with one to be kept, as many are removed as the fence allows; and the shard that no
 * master needs is left to the other side. */
START_TEST(nothing_is_removed_that_is_refused)
{
    struct checkpoint_keep keep = {.newest = 1, .fence = &fence};
    struct checkpoint_id id = {"task-1", 2, 7, 15}, committed = {"task-1", 2, 7, 30};
    struct checkpoint_shard shard;
    ck_ok(save_as(2, 30, NULL));
    ck_ok(checkpoint_write_shard(scratch, &id, &array, 1, 0, 1, &shard, &failure));
    seen.allowed = _i;
    ck_assert_int_eq(checkpoint_retain(scratch, &committed, &keep, &failure),
                     _i < 3 ? ONWARD_ERR_FENCED : ONWARD_OK);
    ck_assert_int_eq(seen.asked, _i < 3 ? _i + 1 : 3);
    ck_assert(is_there("ckpt/step-00000030.h5"));
    ck_assert_int_eq(is_there("ckpt/step-00000020.h5"), _i < 1);
    ck_assert_int_eq(is_there("ckpt/step-00000010.h5"), _i < 2);
    ck_assert_int_eq(is_there("ckpt/step-00000015.shards"), _i < 3);
}
END_TEST

START_TEST(a_file_that_is_refused_is_as_it_was)
{
    char text[8] = "", path[512];
    snprintf(path, sizeof path, "%s/ckpt/note", scratch);
    write_file(path, "theirs", 6);
    seen.allowed = _i;
    ck_assert_int_eq(file_replace_fenced(path, "ours", 4, &fence, &failure),
                     _i ? ONWARD_OK : ONWARD_ERR_FENCED);
    ck_assert_int_eq(seen.asked, 1);
    ck_assert_int_eq(seen.temporary, 1); /* it was written by then */
    ck_assert_int_eq(count_temporary(), 0);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
    fclose(file);
    ck_assert_str_eq(text, _i ? "ours" : "theirs");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store fence");
    TCase *tests = tcase_create("fence");
    tcase_add_checked_fixture(tests, make_two, remove_two);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_commit_that_is_refused_leaves_nothing);
    tcase_add_test(tests, a_commit_that_is_allowed_is_in_place);
    tcase_add_test(tests, a_commit_that_is_refused_replaces_nothing);
    tcase_add_loop_test(tests, nothing_is_removed_that_is_refused, 0, 4);
    tcase_add_loop_test(tests, a_file_that_is_refused_is_as_it_was, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
