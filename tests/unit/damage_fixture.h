/* damage_fixture.h - for the tests that damage files at random: what is done to the bytes of a
 * file, and the files of two checkpoints or sets of copies, of step 10 and of step 20, of which a
 * round damages one or two, and mends them after it. Included by one program a time. */
#ifndef TESTS_DAMAGE_FIXTURE_H
#define TESTS_DAMAGE_FIXTURE_H

#include "run_suite.h"
#include "store_fixture.h"
#include "summed_file.h"

enum { MAX_ARRAYS = 3, FILES = 16, SEEDS = 10, MAX_FILE_BYTES = 1 << 20 };

/* Of step 10 and of step 20. */
static struct checkpoint_array written[2][MAX_ARRAYS];
static uint32_t array_count;

struct kept_file {
    char path[256];
    const char *name; /* as errors say it, whatever the directory is */
    int checkpoint;   /* 0 or 1: of step 10 or 20 */
    unsigned char *bytes;
    size_t size, protected_bytes; /* behind these is what a look reads; 0: it reads all */
};
static struct kept_file files[FILES];
static int file_count;

static uint64_t seed_given;
static int rounds;

/* Of a shard, as its foot says; a master is read as a whole. */
static size_t protected_bytes(const struct kept_file *file)
{
    size_t bytes = 0;
    if (strstr(file->path, ".shards"))
        ck_assert_int_eq(sscanf((const char *)file->bytes + file->size - SUMMED_FOOT_BYTES,
                                "onward checksums of blocks\nbytes %zu", &bytes),
                         1);
    return bytes;
}

static int keep_file(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)walk;
    if (type != FTW_F)
        return 0;
    ck_assert_int_lt(file_count, FILES);
    struct kept_file *file = &files[file_count++];
    snprintf(file->path, sizeof file->path, "%s", path);
    file->name = strstr(file->path, "step-");
    file->checkpoint = strstr(path, "step-00000020") != NULL;
    file->bytes = read_file(path, &file->size);
    file->protected_bytes = protected_bytes(file);
    ck_assert_uint_lt(file->size, MAX_FILE_BYTES);
    return 0;
}

/* Of a directory in the scratch one. */
static void keep_files(const char *directory, int expected)
{
    file_count = 0;
    nftw(in_scratch(directory), keep_file, 16, FTW_PHYS);
    ck_assert_int_eq(file_count, expected);
}

static __attribute__((unused)) void make_arrays(const struct checkpoint_array *shapes,
                                                uint32_t count)
{
    uint64_t seed = 1;
    make_scratch_in_memory();
    array_count = count;
    for (int k = 0; k < 2; k++)
        for (uint32_t i = 0; i < count; i++) {
            written[k][i] = shapes[i];
            fill_array(&written[k][i], &seed);
        }
}

static void remove_checkpoints(void)
{
    for (int i = 0; i < file_count; i++)
        free(files[i].bytes);
    for (int k = 0; k < 2; k++)
        free_arrays(written[k], array_count);
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

/* Where a file says what it is: flips are rare there otherwise. */
static void flip_end(unsigned char *bytes, size_t size, uint64_t *seed)
{
    size_t end = size < 256 ? size : 256;
    flip_bits(below(seed, 2) ? bytes : bytes + size - end, end, seed);
}

/* Changes what is in bytes (room for MAX_FILE_BYTES) and returns its new size. */
static size_t damage(unsigned char *bytes, size_t size, uint64_t *seed)
{
    switch (below(seed, 8)) {
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
    case 5:
        flip_end(bytes, size, seed);
        return size;
    default:
        flip_bits(bytes, size, seed);
        return size;
    }
}

/* What a round did. Of each checkpoint: whether it is untouched, and whether a look has to see that
 * it is not. */
struct damages {
    const struct kept_file *files[2];
    int count;
    bool is_whole[2], is_seen[2], has_master[2];
};

/* Damages one file, or removes it. */
static void damage_file(struct damages *damages, const struct kept_file *file, uint64_t *seed)
{
    static unsigned char bytes[MAX_FILE_BYTES];
    size_t size = 0, tail = file->protected_bytes;
    bool is_removed = below(seed, 16) == 0;
    if (is_removed) {
        ck_assert_int_eq(unlink(file->path), 0);
    } else {
        memcpy(bytes, file->bytes, file->size);
        size = damage(bytes, file->size, seed);
        write_file(file->path, bytes, size);
    }
    if (is_removed || size != file->size || memcmp(bytes, file->bytes, size) != 0)
        damages->is_whole[file->checkpoint] = false;
    if (is_removed || size != file->size ||
        memcmp(bytes + tail, file->bytes + tail, size - tail) != 0)
        damages->is_seen[file->checkpoint] = true;
    if (is_removed && tail == 0)
        damages->has_master[file->checkpoint] = false;
}

static __attribute__((unused)) struct damages damage_some(uint64_t *seed)
{
    struct damages damages = {
        .count = 1 + (below(seed, 4) == 0), .is_whole = {true, true}, .has_master = {true, true}};
    for (int i = 0; i < damages.count; i++)
        damages.files[i] = &files[below(seed, (size_t)file_count)];
    if (damages.files[1] == damages.files[0])
        damages.count = 1;
    for (int i = 0; i < damages.count; i++)
        damage_file(&damages, damages.files[i], seed);
    return damages;
}

static __attribute__((unused)) void mend(const struct damages *damages)
{
    for (int i = 0; i < damages->count; i++)
        write_file(damages->files[i]->path, damages->files[i]->bytes, damages->files[i]->size);
}

/* The error has to say which of the damaged files of this checkpoint it met. */
static __attribute__((unused)) bool is_named(const struct damages *damages, int checkpoint)
{
    for (int i = 0; i < damages->count; i++)
        if (damages->files[i]->checkpoint == checkpoint &&
            strstr(failure.text, damages->files[i]->name))
            return true;
    return false;
}

/* PROGRAM [SEED [ROUNDS]]: one seed alone, as a failure names it. */
static int run_seeds(int argc, char **argv, const char *name, const TTest *test, void (*make)(void),
                     int default_rounds)
{
    seed_given = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    rounds = argc > 2 ? atoi(argv[2]) : default_rounds;
    Suite *suite = suite_create(name);
    TCase *tests = tcase_create("damage");
    tcase_add_checked_fixture(tests, make, remove_checkpoints);
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, test, 0, seed_given ? 1 : random_loops(SEEDS));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}

#endif
