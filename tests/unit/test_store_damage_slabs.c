/* test_store_damage_slabs.c - 2,500 random damages to two checkpoints of a field in hyperslabs,
 * whose shards have several blocks with a checksum each: a look does not see every damage then, and
 * one reader meets it where another does not. What is read is exactly right, or an error that names
 * the file; what a look has to see is never found, and what is passed over is marked.
 *
 *     test_store_damage_slabs [SEED [ROUNDS]]      one seed alone, as a failure names it */
#include "damage_fixture.h"

#include "slab_fixture.h"

enum { FIELD, STEP, ARRAYS, WRITERS = 2, ROWS = 340, COLUMNS = 400, MAX_SLABS = 2, ROUNDS = 250 };

static const uint64_t dims[] = {ROWS, COLUMNS};

/* What each of the two writers has: in step 10 two blocks of rows, in step 20 every second block of
 * columns. Returns how many slabs. */
static uint32_t lay_out(int checkpoint, int rank, struct onward_slab slabs[MAX_SLABS])
{
    uint32_t count = checkpoint == 0 ? 2 : 1;
    for (uint32_t i = 0; i < count; i++) {
        slabs[i] = slab_whole(2, dims);
        if (checkpoint == 0)
            onward_slab_block(&slabs[i], 0, ROWS, rank + WRITERS * (int)i, 2 * WRITERS);
        else
            onward_slab_cyclic(&slabs[i], 1, COLUMNS, 50, rank, WRITERS);
        ck_assert(slab_normalise(&slabs[i], 2, dims));
    }
    return count;
}

static void save_field(int checkpoint)
{
    struct checkpoint_id id = {"task-1", 2, 7, 10 * (checkpoint + 1)};
    struct checkpoint_array arrays[ARRAYS];
    struct checkpoint_shard shards[WRITERS];
    struct checkpoint_slab table[WRITERS * MAX_SLABS];
    struct onward_slab slabs[MAX_SLABS];
    uint32_t slab_count = 0;
    double *dense = malloc(sizeof(double[ROWS][COLUMNS]));
    ck_assert_ptr_nonnull(dense);
    memcpy(arrays, written[checkpoint], sizeof arrays);
    for (int rank = 0; rank < WRITERS; rank++) {
        uint64_t elements = 0;
        arrays[FIELD].slabs = slabs;
        arrays[FIELD].slab_count = lay_out(checkpoint, rank, slabs);
        arrays[FIELD].data = dense;
        for (uint32_t i = 0; i < arrays[FIELD].slab_count; i++) {
            elements +=
                slab_gather(&slabs[i], dims, written[checkpoint][FIELD].data, dense + elements);
            table[slab_count++] = (struct checkpoint_slab){FIELD, (uint32_t)rank, slabs[i]};
        }
        ck_ok(checkpoint_write_shard(scratch, &id, arrays, ARRAYS, (uint32_t)rank, WRITERS,
                                     &shards[rank], &failure));
        ck_assert_uint_gt(shards[rank].bytes, 2 * SUMMED_BLOCK_BYTES);
    }
    ck_ok(checkpoint_commit_slabs(scratch, &id, arrays, ARRAYS, shards, WRITERS, table, slab_count,
                                  &failure));
    free(dense);
}

static void make_fields(void)
{
    static const struct checkpoint_array shapes[ARRAYS] = {
        {.name = "field",
         .type = ONWARD_DOUBLE,
         .ndims = 2,
         .dims = {ROWS, COLUMNS},
         .data = NULL,
         .sharded = true},
        {.name = "step", .type = ONWARD_INT64, .ndims = 1, .dims = {1}, .data = NULL}};
    make_arrays(shapes, ARRAYS);
    save_field(0);
    save_field(1);
    keep_files("ckpt", 2 * (1 + WRITERS));
}

/* Of the reads from a checkpoint that a look did not find damaged: a round proves nothing where
 * these are not both there. */
static int right_reads, refused_reads;

static struct onward_slab random_slab(uint64_t *seed)
{
    struct onward_slab slab = slab_whole(2, dims);
    for (int d = 0; d < 2; d++) {
        int size = 1 + (int)below(seed, 6), rank = (int)below(seed, (size_t)size);
        if (below(seed, 2))
            onward_slab_block(&slab, d, dims[d], rank, size);
        else
            onward_slab_cyclic(&slab, d, dims[d], 1 + below(seed, 60), rank, size);
    }
    ck_assert(slab_normalise(&slab, 2, dims));
    return slab;
}

static void judge_read(const struct damages *damages, int checkpoint, int code, uint64_t seed,
                       int round)
{
    bool is_whole = damages->is_whole[checkpoint];
    ck_assert_msg(code == ONWARD_OK || (!is_whole && is_named(damages, checkpoint)),
                  "seed %" PRIu64 ", round %d: %d: %s", seed, round, code, failure.text);
    if (!is_whole && !damages->is_seen[checkpoint]) {
        right_reads += code == ONWARD_OK;
        refused_reads += code != ONWARD_OK;
    }
}

/* As a worker of another layout does. */
static void read_slab(const struct damages *damages, int checkpoint, uint64_t *draw, uint64_t seed,
                      int round)
{
    static double expected[ROWS * COLUMNS + 1], found[ROWS * COLUMNS + 1];
    const struct checkpoint_array *from = written[checkpoint];
    struct checkpoint_array arrays[ARRAYS];
    struct onward_slab slab = random_slab(draw);
    int64_t step = 0;
    memcpy(arrays, from, sizeof arrays);
    arrays[FIELD].slabs = &slab;
    arrays[FIELD].slab_count = 1;
    arrays[FIELD].data = found;
    arrays[STEP].data = &step;
    uint64_t elements = slab_gather(&slab, dims, from[FIELD].data, expected);
    expected[elements] = found[elements] = -1; /* nothing is written behind it */
    int code = checkpoint_read(scratch, 10 * (checkpoint + 1), arrays, ARRAYS, &failure);
    judge_read(damages, checkpoint, code, seed, round);
    bool is_right = memcmp(found, expected, elements * sizeof *found) == 0 &&
                    memcmp(&step, from[STEP].data, 8) == 0;
    ck_assert_msg(found[elements] == -1 && (code != ONWARD_OK || is_right),
                  "seed %" PRIu64 ", round %d: wrong bytes", seed, round);
}

static void read_some_rows(const struct damages *damages, int checkpoint, uint64_t *draw,
                           uint64_t seed, int round)
{
    static double found[ROWS * COLUMNS];
    const struct checkpoint_array *from = &written[checkpoint][FIELD];
    uint64_t first = below(draw, ROWS), count = 1 + below(draw, 9);
    count = count < ROWS - first ? count : ROWS - first;
    int code =
        checkpoint_read_rows(scratch, 10 * (checkpoint + 1), from, first, count, found, &failure);
    judge_read(damages, checkpoint, code, seed, round);
    ck_assert_msg(code != ONWARD_OK || memcmp(found, (double *)from->data + first * COLUMNS,
                                              count * COLUMNS * sizeof *found) == 0,
                  "seed %" PRIu64 ", round %d: wrong rows", seed, round);
}

/* What is passed over is marked, and nothing else is. */
static void expect_found(const struct damages *damages, uint64_t seed, int round)
{
    struct checkpoint_id newest = {.step = 99};
    uint32_t passed_over = 99, expected = 0;
    char why[256];
    struct checkpoint_wanted wanted = {.task = "task-1", .below = INT64_MAX};
    ck_ok(checkpoint_find(scratch, &wanted, &newest, &passed_over, &failure));
    int64_t found = newest.step;
    for (int k = 1; k >= 0; k--) {
        int64_t step = 10 * (k + 1);
        bool is_passed_over = found < step && damages->has_master[k];
        expected += is_passed_over;
        ck_assert_msg(found > step ||
                          (found == step ? !damages->is_seen[k] : !damages->is_whole[k]),
                      "seed %" PRIu64 ", round %d: found %" PRId64, seed, round, found);
        ck_assert_msg(checkpoint_is_marked(scratch, step, why, sizeof why) == is_passed_over,
                      "seed %" PRIu64 ", round %d: mark of step %" PRId64, seed, round, step);
        ck_ok(checkpoint_clear_mark(scratch, step, &failure));
    }
    ck_assert_uint_eq(passed_over, expected);
}

static void damage_once(uint64_t seed, int round)
{
    uint64_t draw = seed * 1000003 + (uint64_t)round;
    struct damages damages = damage_some(&draw);
    expect_found(&damages, seed, round);
    for (int k = 0; k < 2; k++) {
        if (damages.is_whole[k] && below(&draw, 8) > 0)
            continue;
        read_slab(&damages, k, &draw, seed, round);
        read_some_rows(&damages, k, &draw, seed, round);
    }
    mend(&damages);
}

START_TEST(random_damages)
{
    uint64_t seed = seed_given ? seed_given : (uint64_t)_i + 1;
    right_reads = refused_reads = 0;
    for (int round = 0; round < rounds; round++)
        damage_once(seed, round);
    if (rounds >= ROUNDS)
        ck_assert_msg(right_reads >= ROUNDS / 25 && refused_reads >= ROUNDS / 25,
                      "seed %" PRIu64 ": %d reads beside a damage, %d that met it", seed,
                      right_reads, refused_reads);
}
END_TEST

int main(int argc, char **argv)
{
    return run_seeds(argc, argv, "store damage slabs", random_damages, make_fields, ROUNDS);
}
