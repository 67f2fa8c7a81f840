/* test_store_damage_random.c - 7,500 random damages to the small files of two checkpoints (2,500
 * more are in test_store_damage_slabs.c): the newest one that is untouched is found, what is read
 * is what was written, and what is damaged is always an error that names it, with nothing but what
 * was written in the arrays, or nothing.
 *
 *     test_store_damage_random [SEED [ROUNDS]]      one seed alone, as a failure names it */
#include "damage_fixture.h"

enum { ARRAYS = 3, ROUNDS = 750, UNTOUCHED = 0x77 };

static void make_small(void)
{
    static const struct checkpoint_array shapes[ARRAYS] = {
        {.name = "layer0/weights", .type = ONWARD_FLOAT, .ndims = 2, .dims = {30, 7}, .data = NULL},
        {.name = "layer0/bias", .type = ONWARD_DOUBLE, .ndims = 1, .dims = {7}, .data = NULL},
        {.name = "step", .type = ONWARD_INT64, .ndims = 1, .dims = {1}, .data = NULL}};
    make_arrays(shapes, ARRAYS);
    for (int k = 0; k < 2; k++)
        save_checkpoint(scratch, 10 * (k + 1), written[k], ARRAYS, 2 + (uint32_t)k);
    keep_files("ckpt", 2 + 3 + 2);
}

/* Nobody may rely on it after an error, but in files of one block nothing else can be. */
static bool holds_written_or_nothing(const struct checkpoint_array *found,
                                     const struct checkpoint_array *expected)
{
    for (int i = 0; i < ARRAYS; i++) {
        const unsigned char *a = found[i].data, *b = expected[i].data;
        for (size_t k = 0; k < array_bytes(&found[i]); k++)
            if (a[k] != UNTOUCHED && a[k] != b[k])
                return false;
        if (a[array_bytes(&found[i])] != UNTOUCHED)
            return false;
    }
    return true;
}

static void expect_read(const struct damages *damages, int checkpoint, uint64_t seed, int round)
{
    struct checkpoint_array found[ARRAYS];
    bool is_whole = damages->is_whole[checkpoint];
    like_arrays(found, written[checkpoint], ARRAYS, UNTOUCHED);
    int code = checkpoint_read(scratch, 10 * (checkpoint + 1), found, ARRAYS, &failure);
    ck_assert_msg((code == ONWARD_OK) == is_whole, "seed %" PRIu64 ", round %d: %d: %s", seed,
                  round, code, failure.text);
    ck_assert_msg(is_whole ? same_arrays(found, written[checkpoint], ARRAYS)
                           : holds_written_or_nothing(found, written[checkpoint]),
                  "seed %" PRIu64 ", round %d: wrong bytes", seed, round);
    ck_assert_msg(is_whole || is_named(damages, checkpoint), "seed %" PRIu64 ", round %d: %s", seed,
                  round, failure.text);
    free_arrays(found, ARRAYS);
}

static void damage_once(uint64_t seed, int round)
{
    uint64_t draw = seed * 1000003 + (uint64_t)round;
    int64_t newest = 99;
    struct damages damages = damage_some(&draw);
    ck_ok(checkpoint_newest(scratch, "task-1", &newest, NULL, NULL, &failure));
    int64_t expected = damages.is_whole[1] ? 20 : damages.is_whole[0] ? 10 : -1;
    ck_assert_msg(newest == expected, "seed %" PRIu64 ", round %d: %" PRId64 ", expected %" PRId64,
                  seed, round, newest, expected);
    expect_read(&damages, 1, seed, round);
    if (!damages.is_whole[0])
        expect_read(&damages, 0, seed, round);
    mend(&damages);
}

START_TEST(random_damages)
{
    const struct damages none = {.is_whole = {true, true}};
    uint64_t seed = seed_given ? seed_given : (uint64_t)_i + 1;
    for (int round = 0; round < rounds; round++)
        damage_once(seed, round);
    expect_read(&none, 0, seed, rounds);
    expect_read(&none, 1, seed, rounds);
}
END_TEST

int main(int argc, char **argv)
{
    return run_seeds(argc, argv, "store damage random", random_damages, make_small, ROUNDS);
}
