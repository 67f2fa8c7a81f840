/* test_store_summed.c - files with a checksum for each block: whoever reads a part of one gets what
 * was written or an error, and damage elsewhere does not matter to him. */
#include "store_fixture.h"

#include <time.h>

#include "image.h"
#include "run_suite.h"
#include "summed_file.h"

enum { LAST_BYTES = 1000, FULL = 3, BYTES = FULL * SUMMED_BLOCK_BYTES + LAST_BYTES };

static unsigned char written[BYTES], found[BYTES + 1];
static const char *path;
static uint64_t file_bytes;
static char file_sum[SUMMED_SUM_BYTES];

static void make_file(void)
{
    static const uint64_t pieces[] = {1, 4095, SUMMED_BLOCK_BYTES, 70000, BYTES};
    uint64_t seed = 7, done = 0;
    make_scratch_in_memory();
    for (size_t i = 0; i < BYTES; i++)
        written[i] = (unsigned char)random_next(&seed);
    path = in_scratch("file");
    struct block_sums *sums = block_sums_begin();
    ck_assert_ptr_nonnull(sums);
    for (size_t i = 0; done < BYTES; i++) {
        uint64_t piece = pieces[i] < BYTES - done ? pieces[i] : BYTES - done;
        ck_ok(block_sums_add(sums, written + done, piece, &failure));
        done += piece;
    }
    write_file(path, written, BYTES);
    int fd = open(path, O_WRONLY);
    ck_ok(block_sums_write(sums, fd, path, &file_bytes, file_sum, &failure));
    close(fd);
    block_sums_end(sums);
}

static void change_byte(uint64_t offset)
{
    unsigned char byte;
    int fd = open(path, O_RDWR);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 0x10;
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

START_TEST(any_part_is_what_was_written)
{
    uint64_t seed = 11;
    struct summed_file blocks;
    ck_ok(summed_file_open(&blocks, path, &file_bytes, file_sum, &failure));
    ck_assert_uint_eq(blocks.bytes, BYTES);
    ck_ok(summed_file_check(&blocks, &failure));
    for (int i = 0; i < 2000; i++) {
        uint64_t size = random_next(&seed) % (i % 2 ? 300 : BYTES);
        uint64_t offset = random_next(&seed) % (BYTES - size + 1);
        memset(found, 0x77, sizeof found);
        ck_ok(summed_file_read(&blocks, found, size, offset, &failure));
        ck_assert_int_eq(memcmp(found, written + offset, size), 0);
        ck_assert_uint_eq(found[size], 0x77);
    }
    ck_assert_int_eq(summed_file_read(&blocks, found, 2, BYTES - 1, &failure), ONWARD_ERR_CORRUPT);
    ck_assert_int_eq(summed_file_read(&blocks, found, 0, BYTES + 1, &failure), ONWARD_ERR_CORRUPT);
    summed_file_close(&blocks);
}
END_TEST

/* Bytes of one block are damaged: parts without it can be read, those with it cannot. */
START_TEST(damage_matters_where_it_is)
{
    struct summed_file blocks;
    uint64_t damaged = (uint64_t)_i * SUMMED_BLOCK_BYTES + 999;
    change_byte(damaged);
    ck_ok(summed_file_open(&blocks, path, &file_bytes, file_sum, &failure));
    ck_assert_int_eq(summed_file_check(&blocks, &failure), ONWARD_ERR_CORRUPT);
    for (uint64_t block = 0; block <= FULL; block++) {
        uint64_t begin = block * SUMMED_BLOCK_BYTES, end = begin + LAST_BYTES;
        int expected = block == (uint64_t)_i ? ONWARD_ERR_CORRUPT : ONWARD_OK;
        ck_assert_int_eq(summed_file_read(&blocks, found, 1, begin, &failure), expected);
        ck_assert_int_eq(summed_file_read(&blocks, found, end - begin, begin, &failure), expected);
    }
    ck_assert_int_eq(summed_file_read(&blocks, found, BYTES, 0, &failure), ONWARD_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(failure.text, path));
    summed_file_close(&blocks);
}
END_TEST

/* Every byte of the table and of the foot. */
START_TEST(no_byte_behind_the_blocks_may_change)
{
    struct summed_file blocks;
    for (uint64_t at = BYTES; at < file_bytes; at++) {
        change_byte(at);
        ck_assert_int_eq(summed_file_open(&blocks, path, NULL, NULL, &failure), ONWARD_ERR_CORRUPT);
        change_byte(at);
    }
    ck_ok(summed_file_open(&blocks, path, NULL, NULL, &failure));
    summed_file_close(&blocks);
}
END_TEST

START_TEST(another_length_is_damage)
{
    static const uint64_t cuts[] = {1, 16, SUMMED_FOOT_BYTES, 200, SUMMED_BLOCK_BYTES, BYTES};
    struct summed_file blocks;
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        ck_assert_int_eq(truncate(path, (off_t)(file_bytes - cuts[i])), 0);
        ck_assert_int_eq(summed_file_open(&blocks, path, NULL, NULL, &failure), ONWARD_ERR_CORRUPT);
    }
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(summed_file_open(&blocks, path, NULL, NULL, &failure), ONWARD_ERR_CORRUPT);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(summed_file_open(&blocks, path, NULL, NULL, &failure), ONWARD_ERR_NOT_FOUND);
}
END_TEST

START_TEST(another_file_is_not_the_one_expected)
{
    struct summed_file blocks;
    uint64_t other_bytes = file_bytes + 1;
    char other_sum[SUMMED_SUM_BYTES];
    memcpy(other_sum, file_sum, sizeof other_sum);
    other_sum[31] = other_sum[31] == '0' ? '1' : '0';
    ck_assert_int_eq(summed_file_open(&blocks, path, &other_bytes, file_sum, &failure),
                     ONWARD_ERR_CORRUPT);
    ck_assert_int_eq(summed_file_open(&blocks, path, &file_bytes, other_sum, &failure),
                     ONWARD_ERR_CORRUPT);
}
END_TEST

/* A worker reads its rows of a checkpoint whose damage is in those of another. */
START_TEST(rows_of_a_damaged_checkpoint)
{
    enum { ROWS = 4096, COLUMNS = 64, DAMAGED_ROW = 3000 };
    struct checkpoint_array array = {
        .name = "state", .type = ONWARD_FLOAT, .ndims = 2, .dims = {ROWS, COLUMNS}};
    uint64_t seed = 3, row_bytes = COLUMNS * sizeof(float);
    fill_array(&array, &seed);
    save_checkpoint(scratch, 10, &array, 1, 1);
    path = in_scratch("ckpt/step-00000010.shards/r000-of-001.i0002.e0007.h5");
    size_t size = 0;
    unsigned char *bytes = read_file(path, &size);
    const char *row = (const char *)array.data + DAMAGED_ROW * row_bytes;
    const unsigned char *there = memmem(bytes, size, row, row_bytes);
    ck_assert_ptr_nonnull(there);
    change_byte((uint64_t)(there - bytes));
    free(bytes);
    ck_ok(checkpoint_read_rows(scratch, 10, &array, 0, 1000, found, &failure));
    ck_assert_int_eq(memcmp(found, array.data, 1000 * row_bytes), 0);
    ck_assert_int_eq(
        checkpoint_read_rows(scratch, 10, &array, DAMAGED_ROW - 9, 10, found, &failure),
        ONWARD_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(failure.text, path));
    ck_assert_int_eq(checkpoint_verify(scratch, 10, NULL, &failure), ONWARD_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(failure.text, path));
    free(array.data);
}
END_TEST

/* In one pass from the caller's memory, with the checksums made beside it, and by way of a copy. */
static unsigned char *save_image(const char *to, const void *const *data, bool take_in,
                                 size_t *size)
{
    static const uint64_t dims[] = {5 * (uint64_t)SUMMED_BLOCK_BYTES * 4 + 77, 300000};
    char sum[SUMMED_SUM_BYTES];
    struct image image;
    uint64_t bytes = 0;
    ck_ok(image_open(&image, IMAGE_BLOCKS, &failure));
    for (int i = 0; i < 2; i++)
        ck_ok(image_array(&image, i ? "group/second" : "first", ONWARD_BYTE, 1, &dims[i], data[i],
                          NULL, NULL, &failure));
    if (take_in)
        ck_ok(image_take_in(&image, &failure));
    ck_ok(image_save(&image, to, &bytes, sum, &failure));
    image_close(&image);
    struct summed_file file;
    ck_ok(summed_file_open(&file, to, &bytes, sum, &failure));
    ck_ok(summed_file_check(&file, &failure));
    summed_file_close(&file);
    return read_file(to, size);
}

/* HDF5 notes times in seconds. */
static void await_next_second(void)
{
    time_t now = time(NULL);
    while (time(NULL) == now)
        usleep(10000);
}

/* Written at another time, too. */
START_TEST(large_images_have_the_checksums_of_small_pieces)
{
    enum { ROOM = 6 << 20 };
    uint64_t seed = 5;
    size_t direct_size, copied_size;
    unsigned char *data = malloc(ROOM);
    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < ROOM; i++)
        data[i] = (unsigned char)random_next(&seed);
    const void *const both[] = {data, data + 1000};
    unsigned char *direct = save_image(in_scratch("direct"), both, false, &direct_size);
    await_next_second();
    unsigned char *copied = save_image(in_scratch("copied"), both, true, &copied_size);
    ck_assert_uint_eq(direct_size, copied_size);
    ck_assert_int_eq(memcmp(direct, copied, direct_size), 0);
    free(direct);
    free(copied);
    free(data);
}
END_TEST

/* The sum of the table that comes of bytes, the first of them without help, and of as many again.
 */
static void sum_of(const unsigned char *bytes, uint64_t first, uint64_t helped, bool has_help,
                   unsigned wait_us, char *sum)
{
    uint64_t length, piece;
    struct block_sums *sums = block_sums_begin();
    ck_ok(block_sums_add(sums, bytes, first, &failure));
    for (int i = 0; i < 2; i++) {
        if (has_help)
            block_sums_expect(sums, bytes + first, helped);
        usleep(wait_us); /* it takes the more blocks */
        for (uint64_t done = 0; done < helped; done += piece) {
            piece = helped - done < 1000003 ? helped - done : 1000003;
            ck_ok(block_sums_add(sums, bytes + first + done, piece, &failure));
        }
    }
    int fd = open(in_scratch("table"), O_WRONLY | O_CREAT, 0666);
    ck_ok(block_sums_write(sums, fd, "table", &length, sum, &failure));
    close(fd);
    block_sums_end(sums);
}

START_TEST(help_changes_no_sum)
{
    static const uint64_t firsts[] = {0, 1, 4096, SUMMED_BLOCK_BYTES - 1, 3 * SUMMED_BLOCK_BYTES};
    uint64_t seed = 5, first = firsts[_i], most = 18 << 20;
    char expected[SUMMED_SUM_BYTES], sum[SUMMED_SUM_BYTES];
    unsigned char *bytes = malloc(first + most);
    for (uint64_t i = 0; i < first + most; i += 8)
        memcpy(bytes + i, &(uint64_t){random_next(&seed)},
               first + most - i < 8 ? first + most - i : 8);
    for (uint64_t cut = 0; cut < 3; cut++) {
        uint64_t helped = most - cut * 100003;
        sum_of(bytes, first, helped, false, 0, expected);
        for (unsigned wait_us = 0; wait_us <= 4000; wait_us += 1000) {
            sum_of(bytes, first, helped, true, wait_us, sum);
            ck_assert_str_eq(sum, expected);
        }
    }
    free(bytes);
}
END_TEST

/* Whoever gives up meanwhile frees what the helper reads only behind it. */
START_TEST(help_ends_with_the_sums)
{
    unsigned char *bytes = calloc(1, 64 << 20);
    for (int i = 0; i < 20; i++) {
        struct block_sums *sums = block_sums_begin();
        block_sums_expect(sums, bytes, 64 << 20);
        ck_ok(block_sums_add(sums, bytes, 1 << 20, &failure));
        block_sums_end(sums);
    }
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store blocks");
    TCase *tests = tcase_create("blocks");
    tcase_add_checked_fixture(tests, make_file, remove_scratch);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, any_part_is_what_was_written);
    tcase_add_loop_test(tests, damage_matters_where_it_is, 0, FULL + 1);
    tcase_add_test(tests, no_byte_behind_the_blocks_may_change);
    tcase_add_test(tests, another_length_is_damage);
    tcase_add_test(tests, another_file_is_not_the_one_expected);
    tcase_add_test(tests, rows_of_a_damaged_checkpoint);
    tcase_add_test(tests, large_images_have_the_checksums_of_small_pieces);
    tcase_add_loop_test(tests, help_changes_no_sum, 0, 5);
    tcase_add_test(tests, help_ends_with_the_sums);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
