/* test_store_crash_slabs.c - the commit of a sharded state may be cut at any system call, as that
 * of a replicated one may (test_store_crash.c).
 *
 * Three workers write their parts of a field, block-cyclic by columns, beside a checkpoint that two
 * workers wrote by blocks of rows: one after the other, or all at once, each from a copy by a
 * thread of its own (runtime/saving.c). Then come the master of virtual datasets over them, with a
 * metric and behind a fence, and the removal of old ones, by the function that the controller calls
 * (checkpoint_commit_and_retain). The child is killed as it, or any of its threads, enters its k-th
 * system call, for each k. After each death what a relaunch finds is whole: no checkpoint that was
 * committed is passed over or marked, workers of other layouts and any HDF5 program read the right
 * bits from it, a sweep of what is left over harms it in nothing, and the task goes on, with any
 * number of workers.
 *
 * Exit status 77 (skipped) where a child may not be traced. */
#include "slab_fixture.h"

#include "background.h"
#include "h5.h"
#include "run_suite.h"
#include "saving.h"

#include "crash_fixture.h"

enum { FIELD, STEP, ARRAYS, ROWS = 30, COLUMNS = 21, MAX_WORKERS = 3, MAX_SLABS = 2 };

static const uint64_t dims[] = {ROWS, COLUMNS};

/* Whole: of step 10, of step 20, and of step 20 as another epoch writes it. */
static struct checkpoint_array old_arrays[ARRAYS], new_arrays[ARRAYS], other_arrays[ARRAYS];

static void make_arrays(struct checkpoint_array *arrays, uint64_t seed)
{
    arrays[FIELD] = (struct checkpoint_array){.name = "plate/temperature",
                                              .type = ONWARD_DOUBLE,
                                              .ndims = 2,
                                              .dims = {ROWS, COLUMNS},
                                              .sharded = true,
                                              .labels = "row,column",
                                              .unit = "K"};
    arrays[STEP] = (struct checkpoint_array){
        .name = "step", .type = ONWARD_INT64, .ndims = 1, .dims = {1}, .data = NULL};
    for (int i = 0; i < ARRAYS; i++)
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
    free_arrays(old_arrays, ARRAYS);
    free_arrays(new_arrays, ARRAYS);
    free_arrays(other_arrays, ARRAYS);
}

/* What a worker has: of two each second quarter of the rows, of three every third column or so.
 * Returns how many slabs. */
static uint32_t lay_out(uint32_t size, uint32_t rank, struct onward_slab slabs[MAX_SLABS])
{
    uint32_t count = size == 2 ? 2 : 1;
    for (uint32_t i = 0; i < count; i++) {
        slabs[i] = slab_whole(2, dims);
        if (size == 2)
            onward_slab_block(&slabs[i], 0, ROWS, (int)(rank + 2 * i), 4);
        else
            onward_slab_cyclic(&slabs[i], 1, COLUMNS, 2, (int)rank, (int)size);
        ck_assert(slab_normalise(&slabs[i], 2, dims));
    }
    return count;
}

struct worker {
    struct checkpoint_array arrays[ARRAYS];
    struct onward_slab slabs[MAX_SLABS];
    double part[ROWS * COLUMNS];
};

static void be_worker(struct worker *worker, const struct checkpoint_array *whole, uint32_t size,
                      uint32_t rank)
{
    uint64_t elements = 0;
    memcpy(worker->arrays, whole, sizeof worker->arrays);
    worker->arrays[FIELD].slabs = worker->slabs;
    worker->arrays[FIELD].slab_count = lay_out(size, rank, worker->slabs);
    worker->arrays[FIELD].data = worker->part;
    for (uint32_t i = 0; i < worker->arrays[FIELD].slab_count; i++)
        elements +=
            slab_gather(&worker->slabs[i], dims, whole[FIELD].data, worker->part + elements);
}

/* One checkpoint on its way. */
struct saved {
    struct checkpoint_id id;
    const struct checkpoint_array *whole;
    uint32_t size, slab_count, keep;
    struct checkpoint_shard shards[MAX_WORKERS];
    struct checkpoint_slab slabs[MAX_WORKERS * MAX_SLABS];
    int code;
};

static struct saved checkpoint_of(int64_t incarnation, int64_t step,
                                  const struct checkpoint_array *whole, uint32_t size)
{
    struct saved saved = {
        .id = {"task-1", incarnation, 7, step}, .whole = whole, .size = size, .keep = 2};
    struct onward_slab slabs[MAX_SLABS];
    for (uint32_t rank = 0; rank < size; rank++)
        for (uint32_t i = 0, count = lay_out(size, rank, slabs); i < count; i++)
            saved.slabs[saved.slab_count++] = (struct checkpoint_slab){FIELD, rank, slabs[i]};
    return saved;
}

/* The first in one go, the others by way of a copy: on a disk of the host, and in memory. */
static int write_shard(struct saved *saved, uint32_t rank)
{
    static struct worker worker;
    struct checkpoint_staged *staged = NULL;
    be_worker(&worker, saved->whole, saved->size, rank);
    if (rank == 0)
        return checkpoint_write_shard(scratch, &saved->id, worker.arrays, ARRAYS, rank, saved->size,
                                      &saved->shards[rank], NULL);
    int code = checkpoint_stage_shard(rank == 1 ? scratch : NULL, &saved->id, worker.arrays, ARRAYS,
                                      rank, saved->size, &staged, NULL);
    if (code == ONWARD_OK)
        code = checkpoint_save_staged(staged, scratch, NULL, &saved->shards[rank], NULL);
    checkpoint_free_staged(staged);
    return code;
}

static int allow(const void *context, struct error *error)
{
    (void)context, (void)error;
    return access(in_scratch("ckpt"), F_OK) == 0 ? ONWARD_OK : ONWARD_ERR_FENCED;
}

/* What the controller's thread does. */
static void commit_and_retain(void *argument)
{
    static const struct fence fence = {allow, NULL};
    const struct checkpoint_metric metric = {"loss", 0.5};
    struct saved *saved = argument;
    struct checkpoint_listing *known = NULL;
    const struct checkpoint_keep keep = {
        .newest = saved->keep, .best = {"loss", false}, .fence = &fence, .known = &known};
    const struct checkpoint_commit all = {.run = scratch,
                                          .id = &saved->id,
                                          .metric = &metric,
                                          .arrays = saved->whole,
                                          .shards = saved->shards,
                                          .slabs = saved->slabs,
                                          .array_count = ARRAYS,
                                          .shard_count = saved->size,
                                          .slab_count = saved->slab_count,
                                          .keep = &keep};
    int keep_code = ONWARD_OK;
    saved->code = checkpoint_commit_and_retain(&all, NULL, &keep_code, NULL);
    if (saved->code == ONWARD_OK)
        saved->code = keep_code;
    checkpoint_listing_free(known);
}

static int save(struct saved saved, uint32_t keep)
{
    saved.keep = keep;
    for (uint32_t rank = 0; rank < saved.size && saved.code == ONWARD_OK; rank++)
        saved.code = write_shard(&saved, rank);
    if (saved.code == ONWARD_OK)
        commit_and_retain(&saved);
    return saved.code;
}

static int commit_beside(void)
{
    return save(checkpoint_of(3, 20, new_arrays, 3), 2);
}

static int commit_instead(void)
{
    return save(checkpoint_of(3, 20, new_arrays, 3), 1);
}

static int commit_again(void)
{
    return save(checkpoint_of(4, 20, other_arrays, 2), 2);
}

/* The controller takes the shards as they come, and has a thread do the rest. */
static int commit_at_once(void)
{
    struct saved saved = checkpoint_of(3, 20, new_arrays, 3);
    struct saving *savings[MAX_WORKERS] = {NULL};
    struct background_task task = {.is_done = false};
    static struct worker worker;
    struct error error;
    int code = ONWARD_OK;
    saved.keep = 1;
    for (uint32_t rank = 0; rank < saved.size && code == ONWARD_OK; rank++) {
        struct checkpoint_staged *staged = NULL;
        be_worker(&worker, saved.whole, saved.size, rank);
        code = checkpoint_stage_shard(scratch, &saved.id, worker.arrays, ARRAYS, rank, saved.size,
                                      &staged, &error);
        if (code == ONWARD_OK)
            code = saving_begin(scratch, staged, &savings[rank], &error);
    }
    for (uint32_t rank = 0; rank < saved.size && code == ONWARD_OK; rank++)
        code = saving_end(savings[rank], &saved.shards[rank], &error);
    if (code == ONWARD_OK)
        code = background_begin(&task, BACKGROUND_NORMAL, commit_and_retain, &saved, &error);
    if (code != ONWARD_OK)
        return code;
    background_end(&task);
    return saved.code;
}

static const struct story {
    const char *name;
    int (*run)(void);
    bool has_20;  /* before it begins, of three workers */
    int renames;  /* of the shards and the master */
    int removals; /* of masters */
} stories[] = {{"parts, beside those of two workers", commit_beside, false, 4, 0},
               {"parts, instead of those of two workers", commit_instead, false, 4, 1},
               {"parts, of all workers at once", commit_at_once, false, 4, 1},
               {"parts, of the same step again, by two workers", commit_again, true, 3, 0}};

static void begin_story(const struct story *story)
{
    make_scratch_in_memory();
    ck_assert_int_eq(save(checkpoint_of(1, 10, old_arrays, 2), 2), ONWARD_OK);
    if (story->has_20)
        ck_assert_int_eq(save(checkpoint_of(2, 20, new_arrays, 3), 2), ONWARD_OK);
}

/* As one worker of a lineup of `size` does. */
static bool reads_part(int64_t step, const struct checkpoint_array *whole, uint32_t size,
                       uint32_t rank)
{
    static struct worker expected;
    static double part[ROWS * COLUMNS];
    struct checkpoint_array found[ARRAYS];
    int64_t number = 0;
    be_worker(&expected, whole, size, rank);
    memcpy(found, expected.arrays, sizeof found);
    memcpy(part, expected.part, sizeof part); /* what is behind the part stays */
    for (uint32_t i = 0, at = 0; i < found[FIELD].slab_count; i++)
        for (uint64_t k = slab_elements(&found[FIELD].slabs[i], 2, dims); k > 0; k--)
            part[at++] = -1;
    found[FIELD].data = part;
    found[STEP].data = &number;
    ck_ok(checkpoint_read(scratch, step, found, ARRAYS, &failure));
    return memcmp(part, expected.part, sizeof part) == 0 &&
           memcmp(&number, whole[STEP].data, sizeof number) == 0;
}

/* As h5dump does: HDF5 leaves zeros where a shard is missing, and says nothing. */
static bool reads_whole(int64_t step, const struct checkpoint_array *whole)
{
    static double found[ROWS * COLUMNS];
    char name[64];
    snprintf(name, sizeof name, "ckpt/step-%08" PRId64 ".h5", step);
    H5_AUTO hid_t file = h5_open_file(in_scratch(name));
    ck_assert_int_ge(file, 0);
    H5_AUTO hid_t dataset = H5Dopen2(file, whole[FIELD].name, H5P_DEFAULT);
    ck_assert_int_ge(H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, found), 0);
    return memcmp(found, whole[FIELD].data, sizeof found) == 0;
}

static bool holds(int64_t step, const struct checkpoint_array *whole)
{
    return reads_part(step, whole, 2, 1) && reads_part(step, whole, 3, 0) &&
           reads_part(step, whole, 3, 2) && reads_whole(step, whole);
}

/* The step that a relaunch goes on from. */
static int64_t find_newest(const struct story *story, int k)
{
    const struct checkpoint_wanted wanted = {.task = "task-1", .below = INT64_MAX};
    struct checkpoint_id newest = {.step = -1};
    uint32_t passed_over = 0;
    ck_ok(checkpoint_find(scratch, &wanted, &newest, &passed_over, &failure));
    ck_assert_msg(passed_over == 0, "%s, killed at call %d: %u are passed over", story->name, k,
                  passed_over);
    ck_assert_msg(newest.step == 20 || (newest.step == 10 && !story->has_20),
                  "%s, killed at call %d: the newest is %" PRId64, story->name, k, newest.step);
    return newest.step;
}

/* Which of the three states it is: 0 is the old one, 1 the new, 2 the other. */
static int find_state(const struct story *story, int k)
{
    static const struct checkpoint_array *const states[] = {old_arrays, new_arrays, other_arrays};
    int64_t step = find_newest(story, k);
    for (int i = step == 20; i < (step == 20 ? 3 : 1); i++)
        if (holds(step, states[i]))
            return i;
    ck_abort_msg("%s, killed at call %d: step %" PRId64 " has wrong bits", story->name, k, step);
}

/* No master is ever without its shards. */
static void expect_all_whole(const struct story *story, int k)
{
    struct checkpoint_entry *entries = NULL;
    size_t count = 0;
    ck_ok(checkpoint_list(scratch, "task-1", &entries, &count, &failure));
    for (size_t i = 0; i < count; i++) {
        int64_t step = entries[i].id.step;
        ck_assert_msg(entries[i].usable, "%s, killed at call %d: step %" PRId64 ": %s", story->name,
                      k, step, entries[i].problem);
        ck_ok(checkpoint_verify(scratch, step, "task-1", &failure));
    }
    free(entries);
}

/* As the next incarnation does: it sweeps, and goes on with two workers, and then with three. */
static void expect_goes_on(const struct story *story, int k)
{
    int64_t newest = find_newest(story, k);
    ck_ok(checkpoint_sweep(scratch, 5, -1, &failure));
    ck_assert_int_eq(find_newest(story, k), newest);
    ck_ok(checkpoint_verify(scratch, newest, "task-1", &failure));
    ck_assert_int_eq(save(checkpoint_of(5, 20, old_arrays, 2), 2), ONWARD_OK);
    ck_assert_int_eq(save(checkpoint_of(5, 30, new_arrays, 3), 1), ONWARD_OK);
    ck_assert(holds(30, new_arrays));
    ck_assert_int_eq(count_entries(in_scratch("ckpt")), 2);
    ck_assert_int_eq(count_entries(in_scratch("ckpt/step-00000030.shards")), 3);
}

/* found: how often each state was. Each story leaves the one before it or what it wrote. */
static void expect_both(const struct story *story, const int found[3])
{
    int before = story->has_20 ? found[1] : found[0], after = story->has_20 ? found[2] : found[1];
    ck_assert_msg(before > 0 && after > 0 && before + after == found[0] + found[1] + found[2],
                  "%s: %d times the old one, %d the new one, %d the other", story->name, found[0],
                  found[1], found[2]);
}

START_TEST(killed_at_every_call)
{
    const struct story *story = &stories[_i];
    int found[3] = {0}, k = 1;
    for (bool was_killed = true; was_killed; k += CALLS_APART) {
        ck_assert_int_lt(k, MAX_CALLS);
        begin_story(story);
        was_killed = kill_at_call(story->run, k);
        found[find_state(story, k)]++;
        expect_all_whole(story, k);
        expect_goes_on(story, k);
        remove_scratch();
    }
    expect_both(story, found);
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
    return run_crashes("store crash slabs", add_tests, make_all, free_all);
}
