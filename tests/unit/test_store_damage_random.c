/* test_store_damage_random.c - 10,000 random damages to the files of two checkpoints: the newest
 * one that is untouched is found, what is read is what was written, and what is damaged is always
 * an error, with nothing but what was written in the arrays, or nothing.
 *
 *     test_store_damage_random [SEED [ROUNDS]]      one seed alone, as a failure names it */
#include "store_fixture.h"

enum {
    ARRAYS = 3,
    FILES = 16,
    SEEDS = 10,
    ROUNDS = 1000,
    MAX_FILE_BYTES = 1 << 16,
    UNTOUCHED = 0x77
};

/* Of step 10 and of step 20. */
static struct checkpoint_array written[2][ARRAYS];

struct kept_file {
    char path[256];
    int checkpoint; /* 0 or 1: of step 10 or 20 */
    unsigned char *bytes;
    size_t size;
};
static struct kept_file files[FILES];
static int file_count;

static uint64_t seed_given;
static int rounds = ROUNDS;

static int keep_file(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)walk;
    if (type != FTW_F)
        return 0;
    ck_assert_int_lt(file_count, FILES);
    struct kept_file *file = &files[file_count++];
    snprintf(file->path, sizeof file->path, "%s", path);
    file->checkpoint = strstr(path, "step-00000020") != NULL;
    file->bytes = read_file(path, &file->size);
    ck_assert_uint_lt(2 * file->size, MAX_FILE_BYTES);
    return 0;
}

static void make_checkpoints(void)
{
    static const struct checkpoint_array shapes[ARRAYS] = {
        {.name = "layer0/weights", .type = ONWARD_FLOAT, .ndims = 2, .dims = {30, 7}, .data = NULL},
        {.name = "layer0/bias", .type = ONWARD_DOUBLE, .ndims = 1, .dims = {7}, .data = NULL},
        {.name = "step", .type = ONWARD_INT64, .ndims = 1, .dims = {1}, .data = NULL}};
    uint64_t seed = 1;
    make_scratch_in_memory();
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < ARRAYS; i++) {
            written[k][i] = shapes[i];
            fill_array(&written[k][i], &seed);
        }
        save_checkpoint(scratch, 10 * (k + 1), written[k], ARRAYS, 2 + (uint32_t)k);
    }
    file_count = 0;
    nftw(in_scratch("ckpt"), keep_file, 16, FTW_PHYS);
    ck_assert_int_eq(file_count, 2 + 3 + 2);
}

static void remove_checkpoints(void)
{
    for (int i = 0; i < file_count; i++)
        free(files[i].bytes);
    for (int k = 0; k < 2; k++)
        free_arrays(written[k], ARRAYS);
    remove_scratch();
}

static size_t below(uint64_t *seed, size_t limit)
{
    return limit > 0 ? (size_t)(random_next(seed) % limit) : 0;
}

static void flip_bits(unsigned char *bytes, size_t size, uint64_t *seed)
{
    for (size_t k = below(seed, 4); k < 4 && size > 0; k++)
        bytes[below(seed, size)] ^= (unsigned char)(1u << below(seed, 8));
}

static void overwrite_block(unsigned char *bytes, size_t size, uint64_t *seed, bool by_zeros)
{
    size_t first = below(seed, size), count = below(seed, size - first + 1);
    for (size_t i = first; i < first + count; i++)
        bytes[i] = by_zeros ? 0 : (unsigned char)random_next(seed);
}

/* Bytes are gone, or come twice, in the middle. */
static size_t shift_block(unsigned char *bytes, size_t size, uint64_t *seed)
{
    size_t first = below(seed, size), gap = 1 + below(seed, 512);
    if (below(seed, 2) && first + gap < size) {
        memmove(bytes + first, bytes + first + gap, size - first - gap);
        return size - gap;
    }
    if (size + gap > MAX_FILE_BYTES)
        return size;
    memmove(bytes + first + gap, bytes + first, size - first);
    return size + gap;
}

static size_t take_other(unsigned char *bytes, uint64_t *seed)
{
    const struct kept_file *other = &files[below(seed, (size_t)file_count)];
    memcpy(bytes, other->bytes, other->size);
    return other->size;
}

/* Changes what is in bytes (room for MAX_FILE_BYTES) and returns its new size. */
static size_t damage(unsigned char *bytes, size_t size, uint64_t *seed)
{
    switch (below(seed, 7)) {
    case 0:
        return below(seed, size);
    case 1:
        overwrite_block(bytes, size, seed, true);
        return size;
    case 2:
        overwrite_block(bytes, size, seed, false);
        return size;
    case 3:
        return shift_block(bytes, size, seed);
    case 4:
        return take_other(bytes, seed);
    default:
        flip_bits(bytes, size, seed);
        return size;
    }
}

/* Damages one file, or removes it; true when its bytes are other ones now. */
static bool damage_file(const struct kept_file *file, uint64_t *seed)
{
    static unsigned char bytes[MAX_FILE_BYTES];
    memcpy(bytes, file->bytes, file->size);
    if (below(seed, 16) == 0) {
        unlink(file->path);
        return true;
    }
    size_t size = damage(bytes, file->size, seed);
    write_file(file->path, bytes, size);
    return size != file->size || memcmp(bytes, file->bytes, size) != 0;
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

static void expect_read(int checkpoint, bool is_whole, uint64_t seed, int round)
{
    struct checkpoint_array found[ARRAYS];
    like_arrays(found, written[checkpoint], ARRAYS, UNTOUCHED);
    int code = checkpoint_read(scratch, 10 * (checkpoint + 1), found, ARRAYS, &failure);
    ck_assert_msg((code == ONWARD_OK) == is_whole, "seed %" PRIu64 ", round %d: %d: %s", seed,
                  round, code, failure.text);
    ck_assert_msg(is_whole ? same_arrays(found, written[checkpoint], ARRAYS)
                           : holds_written_or_nothing(found, written[checkpoint]),
                  "seed %" PRIu64 ", round %d: wrong bytes", seed, round);
    if (!is_whole)
        ck_assert_ptr_nonnull(strstr(failure.text, "step-000000"));
    free_arrays(found, ARRAYS);
}

static void damage_once(uint64_t seed, int round)
{
    uint64_t draw = seed * 1000003 + (uint64_t)round;
    bool is_whole[2] = {true, true};
    int64_t newest = 99;
    const struct kept_file *damaged[2];
    int count = 1 + (below(&draw, 4) == 0);
    for (int i = 0; i < count; i++) {
        damaged[i] = &files[below(&draw, (size_t)file_count)];
        if (i == 0 || damaged[1] != damaged[0])
            is_whole[damaged[i]->checkpoint] &= !damage_file(damaged[i], &draw);
    }
    ck_ok(checkpoint_newest(scratch, "task-1", &newest, NULL, NULL, &failure));
    int64_t expected = is_whole[1] ? 20 : is_whole[0] ? 10 : -1;
    ck_assert_msg(newest == expected, "seed %" PRIu64 ", round %d: %" PRId64 ", expected %" PRId64,
                  seed, round, newest, expected);
    expect_read(1, is_whole[1], seed, round);
    if (!is_whole[0])
        expect_read(0, false, seed, round);
    for (int i = 0; i < count; i++)
        write_file(damaged[i]->path, damaged[i]->bytes, damaged[i]->size);
}

START_TEST(random_damages)
{
    uint64_t seed = seed_given ? seed_given : (uint64_t)_i + 1;
    for (int round = 0; round < rounds; round++)
        damage_once(seed, round);
    expect_read(0, true, seed, rounds);
    expect_read(1, true, seed, rounds);
}
END_TEST

int main(int argc, char **argv)
{
    seed_given = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    rounds = argc > 2 ? atoi(argv[2]) : ROUNDS;
    Suite *suite = suite_create("store damage random");
    TCase *tests = tcase_create("damage");
    tcase_add_checked_fixture(tests, make_checkpoints, remove_checkpoints);
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, random_damages, 0, seed_given ? 1 : SEEDS);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
