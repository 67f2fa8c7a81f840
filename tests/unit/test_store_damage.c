/* test_store_damage.c - damaged checkpoints are found, named and passed over, never read wrong; a
 * full disk is an error that leaves nothing behind. */
#include "run_suite.h"
#include "store_fixture.h"

enum { COUNT = 3 };
static struct checkpoint_array arrays[COUNT] = {
    {"layer0/weights", ONWARD_FLOAT, 2, {30, 7}, .data = NULL},
    {"layer0/bias", ONWARD_DOUBLE, 1, {7}, .data = NULL},
    {"step", ONWARD_INT64, 1, {1}, .data = NULL}};

#define MASTER "ckpt/step-00000020.h5"
#define SHARDS "ckpt/step-00000020.shards"
#define SHARD SHARDS "/r001-of-003.i0002.e0007.h5"

static void make_two(void)
{
    uint64_t seed = 1;
    make_scratch();
    for (int i = 0; i < COUNT; i++)
        fill_array(&arrays[i], &seed);
    save_checkpoint(scratch, 10, arrays, COUNT, 2);
    save_checkpoint(scratch, 20, arrays, COUNT, 3);
}

static void remove_two(void)
{
    free_arrays(arrays, COUNT);
    remove_scratch();
}

enum damage { REMOVE, EMPTY, CUT_ONE, CUT_HALF, APPEND, FLIP_FIRST, FLIP_MIDDLE, FLIP_LAST, SWAP };

static void damage_file(const char *path, enum damage damage)
{
    size_t size = 0;
    unsigned char *bytes = read_file(path, &size);
    if (damage == REMOVE) {
        ck_assert_int_eq(unlink(path), 0);
        free(bytes);
        return;
    }
    bytes[size] = 0; /* read_file leaves room for one more */
    if (damage == FLIP_FIRST || damage == FLIP_MIDDLE || damage == FLIP_LAST)
        bytes[damage == FLIP_FIRST ? 0 : damage == FLIP_MIDDLE ? size / 2 : size - 1] ^= 4;
    size_t kept = damage == EMPTY      ? 0
                  : damage == CUT_ONE  ? size - 1
                  : damage == CUT_HALF ? size / 2
                  : damage == APPEND   ? size + 1
                                       : size;
    if (damage == SWAP) /* whole, but of another step */
        ck_assert_int_eq(rename(in_scratch("ckpt/step-00000010.h5"), path), 0);
    else
        write_file(path, bytes, kept);
    free(bytes);
}

struct warnings {
    int count;
    char first[1024];
};

static void note_warning(void *context, const char *text)
{
    struct warnings *warnings = context;
    if (warnings->count++ == 0)
        snprintf(warnings->first, sizeof warnings->first, "%s", text);
}

static const struct {
    const char *file;
    enum damage damage;
    int64_t newest;
} damages[] = {{MASTER, EMPTY, 10},     {MASTER, CUT_ONE, 10},    {MASTER, CUT_HALF, 10},
               {MASTER, APPEND, 10},    {MASTER, FLIP_FIRST, 10}, {MASTER, FLIP_MIDDLE, 10},
               {MASTER, FLIP_LAST, 10}, {MASTER, SWAP, -1},       {SHARD, REMOVE, 10},
               {SHARD, EMPTY, 10},      {SHARD, CUT_ONE, 10},     {SHARD, CUT_HALF, 10},
               {SHARD, APPEND, 10},     {SHARD, FLIP_FIRST, 10},  {SHARD, FLIP_MIDDLE, 10},
               {SHARD, FLIP_LAST, 10}};

START_TEST(damage_is_found_and_passed_over)
{
    struct checkpoint_array found[COUNT];
    struct warnings warnings = {0};
    int64_t newest = 99;
    const char *file = strrchr(damages[_i].file, '/') + 1;
    damage_file(in_scratch(damages[_i].file), damages[_i].damage);
    ck_assert_int_eq(checkpoint_verify(scratch, 20, NULL, &failure), ONWARD_ERR_CORRUPT);
    ck_assert_msg(strstr(failure.text, file) != NULL, "%s", failure.text);
    ck_assert_ptr_null(strchr(failure.text, '\n'));
    ck_ok(checkpoint_newest(scratch, "task-1", &newest, note_warning, &warnings, &failure));
    ck_assert_int_eq(newest, damages[_i].newest);
    ck_assert_int_eq(warnings.count, damages[_i].newest < 0 ? 2 : 1);
    ck_assert_msg(strstr(warnings.first, file) != NULL, "%s", warnings.first);
    like_arrays(found, arrays, COUNT, 0x77);
    ck_assert_int_eq(checkpoint_read(scratch, 20, found, COUNT, &failure), ONWARD_ERR_CORRUPT);
    ck_assert_int_eq(checkpoint_sum(scratch, 20, NULL, NULL, &failure), ONWARD_ERR_CORRUPT);
    free_arrays(found, COUNT);
}
END_TEST

START_TEST(a_missing_master_is_no_checkpoint)
{
    struct warnings warnings = {0};
    int64_t newest = 99;
    damage_file(in_scratch(MASTER), REMOVE);
    ck_assert_int_eq(checkpoint_verify(scratch, 20, NULL, &failure), ONWARD_ERR_NOT_FOUND);
    ck_ok(checkpoint_newest(scratch, "task-1", &newest, note_warning, &warnings, &failure));
    ck_assert_int_eq(newest, 10);
    ck_assert_ptr_nonnull(strstr(warnings.first, "step-00000020.h5: was never committed"));
}
END_TEST

START_TEST(another_task_is_passed_over)
{
    struct warnings warnings = {0};
    int64_t newest = 99;
    ck_assert_int_eq(checkpoint_verify(scratch, 20, "task-2", &failure), ONWARD_ERR_OTHER_TASK);
    ck_ok(checkpoint_newest(scratch, "task-2", &newest, note_warning, &warnings, &failure));
    ck_assert_int_eq(newest, -1);
    ck_assert_int_eq(warnings.count, 2);
}
END_TEST

/* The master of another task in the place of this one's. */
START_TEST(a_master_of_another_task)
{
    struct checkpoint_id id = {"task-2", 2, 7, 20};
    struct checkpoint_shard shards[1];
    struct warnings warnings = {0};
    int64_t newest = 99;
    ck_ok(checkpoint_write_shard(scratch, &id, arrays, COUNT, 0, 1, &shards[0], &failure));
    ck_ok(checkpoint_commit(scratch, &id, arrays, COUNT, shards, 1, &failure));
    ck_ok(checkpoint_newest(scratch, "task-1", &newest, note_warning, &warnings, &failure));
    ck_assert_int_eq(newest, 10);
    ck_assert_int_eq(warnings.count, 1);
    ck_assert_ptr_nonnull(strstr(warnings.first, "step-00000020.h5: is of task task-2, expected"));
}
END_TEST

START_TEST(none_is_whole_and_none_is_removed)
{
    struct warnings warnings = {0};
    int64_t newest = 99;
    damage_file(in_scratch(SHARD), CUT_ONE);
    damage_file(in_scratch("ckpt/step-00000010.h5"), FLIP_MIDDLE);
    ck_ok(checkpoint_newest(scratch, "task-1", &newest, note_warning, &warnings, &failure));
    ck_assert_int_eq(newest, -1);
    ck_assert_int_eq(warnings.count, 2);
    ck_ok(retain(20, 1, &failure));
    ck_assert_int_eq(count_entries(in_scratch("ckpt")), 4);
    ck_assert_int_eq(count_entries(in_scratch(SHARDS)), 3);
}
END_TEST

START_TEST(a_damaged_one_never_pushes_out_a_good_one)
{
    int64_t newest = 99;
    damage_file(in_scratch(SHARD), CUT_ONE);
    ck_ok(retain(20, 1, &failure));
    ck_ok(checkpoint_newest(scratch, NULL, &newest, NULL, NULL, &failure));
    ck_assert_int_eq(newest, 10);
}
END_TEST

START_TEST(commit_needs_every_shard)
{
    struct checkpoint_id id = {"task-1", 2, 7, 30};
    struct checkpoint_shard shards[2];
    ck_ok(checkpoint_write_shard(scratch, &id, arrays, COUNT, 0, 2, &shards[0], &failure));
    ck_ok(checkpoint_write_shard(scratch, &id, arrays, COUNT, 1, 2, &shards[1], &failure));
    ck_assert_int_eq(unlink(in_scratch("ckpt/step-00000030.shards/r001-of-002.i0002.e0007.h5")), 0);
    ck_assert_int_eq(checkpoint_commit(scratch, &id, arrays, COUNT, shards, 2, &failure),
                     ONWARD_ERR_NOT_FOUND);
    ck_assert_int_eq(count_entries(in_scratch("ckpt")), 5);
}
END_TEST

static int write_staged(const char *run, const struct checkpoint_id *id,
                        const struct checkpoint_array *array, struct checkpoint_shard *shard)
{
    struct checkpoint_staged *staged = NULL;
    ck_ok(checkpoint_stage_shard(NULL, id, array, 1, 0, 1, &staged, &failure));
    int code = checkpoint_save_staged(staged, run, NULL, shard, &failure);
    checkpoint_free_staged(staged);
    return code;
}

START_TEST(full_disk_is_an_error_and_leaves_nothing)
{
    struct checkpoint_array big = {"big", ONWARD_FLOAT, 1, {1 << 18}, .data = NULL};
    struct checkpoint_id id = {"task-1", 2, 7, 30};
    struct checkpoint_shard shard = {.bytes = 99};
    char run[64];
    uint64_t seed = 8;
    snprintf(run, sizeof run, "%s/small", scratch);
    if (!mount_small(run, 512))
        return;
    fill_array(&big, &seed);
    save_checkpoint(run, 20, arrays, COUNT, 2);
    int before = count_entries(in_scratch("small/ckpt/step-00000020.shards"));
    ck_assert_int_eq(checkpoint_write_shard(run, &id, &big, 1, 0, 1, &shard, &failure),
                     ONWARD_ERR_NO_SPACE);
    ck_assert_uint_eq(shard.bytes, 99);
    ck_assert_int_eq(count_entries(in_scratch("small/ckpt/step-00000030.shards")), 0);
    ck_assert_int_eq(count_entries(in_scratch("small/ckpt/step-00000020.shards")), before);
    ck_ok(checkpoint_verify(run, 20, NULL, &failure));
    save_checkpoint(run, 40, arrays, COUNT, 2); /* small ones still go on */
    ck_ok(checkpoint_verify(run, 40, NULL, &failure));
    umount(run);
    free(big.data);
}
END_TEST

/* A shard of several MiB meets the full disk in its middle: that of a new step, and one that would
 * replace what is there. */
START_TEST(full_disk_in_the_middle_of_a_shard)
{
    struct checkpoint_array big = {"big", ONWARD_DOUBLE, 1, {1 << 18}, .data = NULL};
    struct checkpoint_id id = {"task-1", 2, 7, 20};
    struct checkpoint_shard shard = {.bytes = 99};
    char run[64], directory[128];
    uint64_t seed = 8;
    snprintf(run, sizeof run, "%s/small", scratch);
    if (!mount_small(run, 3 * 1024))
        return;
    fill_array(&big, &seed);
    save_checkpoint(run, 20, &big, 1, 1);
    uint64_t free_before = free_blocks(run);
    for (id.step = 20; id.step <= 30; id.step += 10) {
        int code = _i == 0 ? checkpoint_write_shard(run, &id, &big, 1, 0, 1, &shard, &failure)
                           : write_staged(run, &id, &big, &shard);
        ck_assert_int_eq(code, ONWARD_ERR_NO_SPACE);
        snprintf(directory, sizeof directory, "%s/ckpt/step-%08d.shards", run, (int)id.step);
        ck_assert_msg(strstr(failure.text, directory) != NULL, "%s", failure.text);
        ck_assert_int_eq(count_entries(directory), id.step == 20);
        ck_assert_uint_eq(shard.bytes, 99);
        ck_assert_uint_eq(free_blocks(run), free_before);
    }
    ck_ok(checkpoint_verify(run, 20, NULL, &failure));
    umount(run);
    free(big.data);
}
END_TEST

/* The master meets the full disk: the shards are there, the checkpoint is not. */
START_TEST(full_disk_at_commit)
{
    struct checkpoint_id id = {"task-1", 2, 7, 20};
    struct checkpoint_shard shards[2];
    char run[64], filler[80];
    int64_t newest = 99;
    static char block[4096];
    snprintf(run, sizeof run, "%s/small", scratch);
    if (!mount_small(run, 512))
        return;
    for (uint32_t rank = 0; rank < 2; rank++)
        ck_ok(checkpoint_write_shard(run, &id, arrays, COUNT, rank, 2, &shards[rank], &failure));
    snprintf(filler, sizeof filler, "%s/filler", run);
    int fd = open(filler, O_WRONLY | O_CREAT, 0666);
    while (write(fd, block, sizeof block) > 0)
        ;
    close(fd);
    ck_assert_int_eq(checkpoint_commit(run, &id, arrays, COUNT, shards, 2, &failure),
                     ONWARD_ERR_NO_SPACE);
    ck_assert_int_eq(count_entries(in_scratch("small/ckpt")), 1);
    ck_ok(checkpoint_newest(run, NULL, &newest, NULL, NULL, &failure));
    ck_assert_int_eq(newest, -1);
    unlink(filler);
    ck_ok(checkpoint_commit(run, &id, arrays, COUNT, shards, 2, &failure));
    ck_ok(checkpoint_verify(run, 20, NULL, &failure));
    umount(run);
}
END_TEST

START_TEST(no_permission_is_an_error)
{
    struct checkpoint_id id = {"task-1", 2, 7, 30};
    struct checkpoint_shard shard;
    /* A file where the directory should be stops root as well. */
    write_file(in_scratch("ckpt/step-00000030.shards"), "x", 1);
    ck_assert_int_eq(checkpoint_write_shard(scratch, &id, arrays, COUNT, 0, 1, &shard, &failure),
                     ONWARD_ERR_IO);
    ck_assert_ptr_nonnull(strstr(failure.text, "step-00000030.shards"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store damage");
    TCase *tests = tcase_create("damage");
    tcase_add_checked_fixture(tests, make_two, remove_two);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, damage_is_found_and_passed_over, 0,
                        (int)(sizeof damages / sizeof *damages));
    tcase_add_test(tests, a_missing_master_is_no_checkpoint);
    tcase_add_test(tests, another_task_is_passed_over);
    tcase_add_test(tests, a_master_of_another_task);
    tcase_add_test(tests, none_is_whole_and_none_is_removed);
    tcase_add_test(tests, a_damaged_one_never_pushes_out_a_good_one);
    tcase_add_test(tests, commit_needs_every_shard);
    tcase_add_test(tests, full_disk_is_an_error_and_leaves_nothing);
    tcase_add_loop_test(tests, full_disk_in_the_middle_of_a_shard, 0, 2);
    tcase_add_test(tests, full_disk_at_commit);
    tcase_add_test(tests, no_permission_is_an_error);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
