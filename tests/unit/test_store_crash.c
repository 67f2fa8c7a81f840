/* test_store_crash.c - a writer that dies at any system call loses no committed checkpoint.
 *
 * A story (a commit, say) runs in a child under ptrace, which is killed as it enters its k-th
 * system call, for k = 1, 2, ... until it comes to its end. After each death the newest checkpoint
 * must be whole and have the right bytes, and a later writer must go on and clear away what was
 * left. What a crash of the whole machine needs besides is the order of calls: nothing is renamed
 * before it is synced, no rename is left without a sync of its directory, and no shard goes before
 * the removal of its master is synced.
 *
 * One story goes the way of a task that runs: each shard from a copy by a thread that can be given
 * up (runtime/saving.c), the master with a metric and behind a fence, and the removal of old ones
 * behind it, by a thread of the controller (runtime/control_commit.c).
 *
 * Exit status 77 (skipped) where a child may not be traced. */
#include "store_fixture.h"

#include "background.h"
#include "run_suite.h"
#include "saving.h"

#include "crash_fixture.h"

enum { COUNT = 2 };

/* Of step 10, of step 20, and of step 20 as another epoch writes it. */
static struct checkpoint_array old_arrays[COUNT], new_arrays[COUNT], other_arrays[COUNT];

static void make_arrays(struct checkpoint_array *arrays, uint64_t seed)
{
    arrays[0] = (struct checkpoint_array){
        .name = "layer0/weights", .type = ONWARD_FLOAT, .ndims = 2, .dims = {30, 7}, .data = NULL};
    arrays[1] = (struct checkpoint_array){
        .name = "step", .type = ONWARD_INT64, .ndims = 1, .dims = {1}, .data = NULL};
    for (int i = 0; i < COUNT; i++)
        fill_array(&arrays[i], &seed);
}

static void make_all(void)
{
    make_arrays(old_arrays, 1);
    make_arrays(new_arrays, 2);
    make_arrays(other_arrays, 3);
}

static void free_all(void)
{
    free_arrays(old_arrays, COUNT);
    free_arrays(new_arrays, COUNT);
    free_arrays(other_arrays, COUNT);
}

/* One of the two shards in one go, the other by way of a copy. */
static int write_shard(const struct checkpoint_id *id, const struct checkpoint_array *arrays,
                       uint32_t rank, struct checkpoint_shard *shard)
{
    struct checkpoint_staged *staged = NULL;
    if (rank == 0)
        return checkpoint_write_shard(scratch, id, arrays, COUNT, rank, 2, shard, NULL);
    int code = checkpoint_stage_shard(scratch, id, arrays, COUNT, rank, 2, &staged, NULL);
    if (code == ONWARD_OK)
        code = checkpoint_save_staged(staged, scratch, NULL, shard, NULL);
    checkpoint_free_staged(staged);
    return code;
}

static int save(int64_t incarnation, int64_t step, const struct checkpoint_array *arrays)
{
    struct checkpoint_id id = {"task-1", incarnation, 7, step};
    struct checkpoint_shard shards[2];
    int code = ONWARD_OK;
    for (uint32_t rank = 0; rank < 2 && code == ONWARD_OK; rank++)
        code = write_shard(&id, arrays, rank, &shards[rank]);
    return code == ONWARD_OK ? checkpoint_commit(scratch, &id, arrays, COUNT, shards, 2, NULL)
                             : code;
}

static int save_and_retain(uint32_t keep)
{
    int code = save(3, 20, new_arrays);
    return code == ONWARD_OK ? retain(20, keep, NULL) : code;
}

static int commit_beside(void)
{
    return save_and_retain(2);
}

static int commit_instead(void)
{
    return save_and_retain(1);
}

static int commit_again(void)
{
    int code = save(4, 20, other_arrays);
    return code == ONWARD_OK ? retain(20, 2, NULL) : code;
}

/* What a worker does. */
static int save_behind(const struct checkpoint_id *id, uint32_t rank,
                       struct checkpoint_shard *shard)
{
    struct checkpoint_staged *staged = NULL;
    struct saving *saving = NULL;
    struct error error;
    int code = checkpoint_stage_shard(scratch, id, new_arrays, COUNT, rank, 2, &staged, &error);
    if (code == ONWARD_OK)
        code = saving_begin(scratch, staged, &saving, &error);
    return code == ONWARD_OK ? saving_end(saving, shard, &error) : code;
}

static int allow(const void *context, struct error *error)
{
    (void)context, (void)error;
    return access(in_scratch("ckpt"), F_OK) == 0 ? ONWARD_OK : ONWARD_ERR_FENCED;
}

struct commit {
    struct checkpoint_id id;
    struct checkpoint_shard shards[2];
    int code;
};

/* What the controller's thread does. */
static void write_master(void *argument)
{
    static const struct fence fence = {allow, NULL};
    const struct checkpoint_metric metric = {"loss", 0.5};
    struct checkpoint_listing *known = NULL;
    const struct checkpoint_keep keep = {
        .newest = 1, .best = {"loss", false}, .fence = &fence, .known = &known};
    struct commit *commit = argument;
    const struct checkpoint_commit all = {.run = scratch,
                                          .id = &commit->id,
                                          .metric = &metric,
                                          .arrays = new_arrays,
                                          .shards = commit->shards,
                                          .array_count = COUNT,
                                          .shard_count = 2,
                                          .keep = &keep};
    int keep_code = ONWARD_OK;
    commit->code = checkpoint_commit_and_retain(&all, NULL, &keep_code, NULL);
    if (commit->code == ONWARD_OK)
        commit->code = keep_code;
    checkpoint_listing_free(known);
}

static int commit_behind(void)
{
    struct commit commit = {.id = {"task-1", 3, 7, 20}};
    struct background_task task;
    struct error error;
    int code = ONWARD_OK;
    for (uint32_t rank = 0; rank < 2 && code == ONWARD_OK; rank++)
        code = save_behind(&commit.id, rank, &commit.shards[rank]);
    if (code == ONWARD_OK)
        code = background_begin(&task, BACKGROUND_NORMAL, write_master, &commit, &error);
    if (code != ONWARD_OK)
        return code;
    background_end(&task);
    return commit.code;
}

static int remove_newest(void)
{
    return checkpoint_remove(scratch, 20, NULL);
}

struct story {
    const char *name;
    int (*run)(void);
    bool has_20; /* before it begins */
    bool keeps_20;
    int renames;  /* two shards and the master, or none */
    int removals; /* of masters */
};

static const struct story stories[] = {
    {"a new step, beside the one before", commit_beside, false, false, 3, 0},
    {"a new step, instead of the one before", commit_instead, false, false, 3, 1},
    {"a new step, behind the steps", commit_behind, false, false, 3, 1},
    {"the same step again", commit_again, true, true, 3, 0},
    {"a removal", remove_newest, true, false, 0, 1}};

static void begin_story(const struct story *story)
{
    make_scratch_in_memory();
    ck_assert_int_eq(save(1, 10, old_arrays), ONWARD_OK);
    if (story->has_20)
        ck_assert_int_eq(save(2, 20, new_arrays), ONWARD_OK);
}

static bool holds(int64_t step, const struct checkpoint_array *expected)
{
    struct checkpoint_array found[COUNT];
    like_arrays(found, expected, COUNT, 0);
    ck_ok(checkpoint_read(scratch, step, found, COUNT, &failure));
    bool same = same_arrays(found, expected, COUNT);
    free_arrays(found, COUNT);
    return same;
}

/* No master is ever without its shards. */
static void expect_all_whole(const struct story *story, int k)
{
    struct checkpoint_entry *entries = NULL;
    size_t count = 0;
    ck_ok(checkpoint_list(scratch, NULL, &entries, &count, &failure));
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(entries[i].complete, "%s, killed at call %d: step %lld: %s", story->name, k,
                      (long long)entries[i].id.step, entries[i].problem);
    free(entries);
}

static void expect_intact(const struct story *story, int k)
{
    int64_t newest = -1;
    ck_ok(checkpoint_newest(scratch, "task-1", &newest, NULL, NULL, &failure));
    ck_assert_msg(newest == 20 || (newest == 10 && !story->keeps_20),
                  "%s, killed at call %d: the newest is %lld", story->name, k, (long long)newest);
    if (newest == 10)
        ck_assert(holds(10, old_arrays));
    else
        ck_assert(holds(20, new_arrays) || (story->keeps_20 && holds(20, other_arrays)));
}

/* The task goes on under the next incarnation: nothing of the dead writer is in its way, and
 * nothing stays of it. */
static void expect_goes_on(void)
{
    ck_assert_int_eq(save(5, 20, new_arrays), ONWARD_OK);
    ck_assert(holds(20, new_arrays));
    ck_assert_int_eq(save(5, 30, old_arrays), ONWARD_OK);
    ck_ok(retain(30, 1, &failure));
    ck_assert(holds(30, old_arrays));
    ck_assert_int_eq(count_entries(in_scratch("ckpt")), 2);
    ck_assert_int_eq(count_entries(in_scratch("ckpt/step-00000030.shards")), 2);
}

START_TEST(killed_at_every_call)
{
    const struct story *story = &stories[_i];
    bool was_killed = true;
    int k = 1;
    for (; was_killed; k += CALLS_APART) {
        ck_assert_int_lt(k, MAX_CALLS);
        begin_story(story);
        was_killed = kill_at_call(story->run, k);
        expect_intact(story, k);
        expect_all_whole(story, k);
        expect_goes_on();
        remove_scratch();
    }
    ck_assert_int_gt(k, CALLS_APART + 1);
    printf("%s: killed at one of each %d system calls, up to number %d\n", story->name, CALLS_APART,
           k - 2 * CALLS_APART);
}
END_TEST

START_TEST(synced_in_order)
{
    begin_story(&stories[_i]);
    expect_synced_order(stories[_i].run, stories[_i].renames, stories[_i].removals);
    remove_scratch();
}
END_TEST

static void add_tests(TCase *tests)
{
    int count = (int)(sizeof stories / sizeof *stories);
    tcase_add_loop_test(tests, killed_at_every_call, 0, count);
    tcase_add_loop_test(tests, synced_in_order, 0, count);
}

int main(void)
{
    return run_crashes("store crash", add_tests, make_all, free_all);
}
