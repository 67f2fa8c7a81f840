/* test_store_import.c - IDX and CSV become data files that the reader gives back; bad files are
 * refused with one line that names file and place, and leave the old output as it was. */
#include "store_fixture.h"

#include <zlib.h>

#include "import.h"
#include "reader.h"
#include "run_suite.h"

static struct import_options options;

static void set_up(void)
{
    make_scratch();
    import_options_init(&options);
}

/* An IDX file: head, then size bytes of pattern (i * 7) % 251, or all of `fill` where that is >= 0.
 */
static const char *make_idx(const char *name, int ndims, const uint32_t *dims, size_t size,
                            int fill, bool gzip)
{
    const char *path = in_scratch(name);
    unsigned char head[64] = {0, 0, 8, (unsigned char)ndims};
    gzFile file = gzopen(path, gzip ? "wb" : "wbT");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < ndims; i++)
        for (int k = 0; k < 4; k++)
            head[4 + 4 * i + k] = (unsigned char)(dims[i] >> (24 - 8 * k));
    gzwrite(file, head, (unsigned)(4 + 4 * ndims));
    for (size_t i = 0; i < size; i++)
        gzputc(file, fill >= 0 ? fill : (int)(i * 7 % 251));
    ck_assert_int_eq(gzclose(file), Z_OK);
    return path;
}

static void check_rows(const char *path, const char *split, uint64_t rows, uint64_t features)
{
    struct reader *reader = NULL;
    float x[64];
    int32_t y = -1;
    ck_ok(reader_open(path, split, 0, &reader, &failure));
    ck_assert_uint_eq(reader_rows(reader), rows);
    ck_assert_uint_eq(reader_features(reader), features);
    for (uint64_t row = 0; row < rows; row++) {
        ck_ok(reader_rows_range(reader, row, 1, x, &y, &failure));
        for (uint64_t i = 0; i < features; i++)
            ck_assert_float_eq(x[i], (float)((row * features + i) * 7 % 251) * (float)(1.0 / 255));
        ck_assert_int_eq(y, (int)(row * 7 % 251));
    }
    reader_close(reader);
}

/* Files whose bytes are right: rows of 3 x 4 and labels. */
static void make_good(const char *images, const char *labels, uint32_t rows, bool gzip)
{
    make_idx(images, 3, (uint32_t[]){rows, 3, 4}, (size_t)rows * 12, -1, gzip);
    make_idx(labels, 1, (uint32_t[]){rows}, rows, -1, gzip);
}

START_TEST(idx_plain_and_gzip)
{
    make_good("i1", "l1", 20, _i);
    make_good("i2", "l2", 5, !_i);
    struct import_split splits[] = {{"train", strdup(in_scratch("i1")), strdup(in_scratch("l1"))},
                                    {"test", strdup(in_scratch("i2")), strdup(in_scratch("l2"))}};
    const char *output = in_scratch("out.h5");
    ck_ok(import_idx(splits, 2, output, &options, &failure));
    check_rows(in_scratch("out.h5"), "train", 20, 12);
    check_rows(in_scratch("out.h5"), "test", 5, 12);
    ck_assert_int_eq(count_entries(scratch), 5);
    for (int i = 0; i < 2; i++) {
        free((char *)splits[i].features);
        free((char *)splits[i].labels);
    }
}
END_TEST

/* Bytes of images (head of 3 dimensions, data) and labels; what is wrong, and the text. */
static const struct {
    const char *what;
    uint32_t image_dims[3], label_dims[1];
    size_t image_bytes, label_bytes;
    int gzip_cut; /* bytes to cut off the gzip file of images */
    const char *text;
} bad_idx[] = {
    {"images truncated",
     {4, 2, 2},
     {4},
     15,
     4,
     0,
     "images: is truncated: it ends within its samples, after 31 bytes, expected 32"},
    {"images trailing", {4, 2, 2}, {4}, 17, 4, 0, "images: has bytes behind"},
    {"labels truncated",
     {4, 2, 2},
     {4},
     16,
     3,
     0,
     "labels: is truncated: it ends within its labels, after 11 bytes, expected 12"},
    {"labels trailing", {4, 2, 2}, {4}, 16, 5, 0, "labels: has bytes behind"},
    {"fewer labels", {4, 2, 2}, {3}, 16, 3, 0, "has 3 labels, expected 4"},
    {"no rows", {0, 2, 2}, {0}, 0, 0, 0, "dimension 0 is 0"},
    {"huge rows", {4, 0x40000000, 0x40000000}, {4}, 16, 4, 0, "features a sample"},
    {"huge count", {0xffffffff, 2, 2}, {0xffffffff}, 16, 4, 0, "labels: is truncated"},
    {"gzip cut", {40, 2, 2}, {40}, 160, 40, 1, "images: "},
    {"gzip cut in data", {400, 2, 2}, {400}, 1600, 400, 12, " bytes when unpacked, expected 1616"},
};

START_TEST(idx_bad_files)
{
    char images[64], labels[64];
    const char *old = "old";
    size_t size = 0;
    snprintf(images, sizeof images, "%s/images", scratch);
    snprintf(labels, sizeof labels, "%s/labels", scratch);
    make_idx("images", 3, bad_idx[_i].image_dims, bad_idx[_i].image_bytes, 1,
             bad_idx[_i].gzip_cut > 0);
    make_idx("labels", 1, bad_idx[_i].label_dims, bad_idx[_i].label_bytes, 1, false);
    if (bad_idx[_i].gzip_cut > 0) {
        struct stat status;
        stat(images, &status);
        ck_assert_int_eq(truncate(images, status.st_size - bad_idx[_i].gzip_cut), 0);
    }
    write_file(in_scratch("out.h5"), old, 3);
    struct import_split split = {"train", images, labels};
    ck_assert_msg(import_idx(&split, 1, in_scratch("out.h5"), &options, &failure) ==
                      ONWARD_ERR_INPUT,
                  "%s: %s", bad_idx[_i].what, failure.text);
    ck_assert_msg(strstr(failure.text, bad_idx[_i].text) != NULL, "%s: %s", bad_idx[_i].what,
                  failure.text);
    ck_assert_ptr_null(strchr(failure.text, '\n'));
    unsigned char *kept = read_file(in_scratch("out.h5"), &size);
    ck_assert(size == 3 && memcmp(kept, old, 3) == 0);
    ck_assert_int_eq(count_entries(scratch), 3);
    free(kept);
}
END_TEST

/* First bytes that are no IDX head of unsigned bytes. */
static const struct {
    unsigned char head[8];
    size_t size;
    const char *text;
} bad_heads[] = {{{0}, 0, "is truncated"},
                 {{0, 0, 8}, 3, "is truncated: it ends within its first 4 bytes, after 3 bytes"},
                 {{0, 0, 13, 3, 0, 0, 0, 1}, 8, "expected 00 00 08"},
                 {{1, 0, 8, 3, 0, 0, 0, 1}, 8, "expected 00 00 08"},
                 {{0, 0, 8, 0, 0, 0, 0, 1}, 8, "has 0 dimensions"},
                 {{0, 0, 8, 1, 0, 0, 0, 1}, 8, "has 1 dimensions, expected 2 to"},
                 {{0, 0, 8, 9, 0, 0, 0, 1}, 8, "has 9 dimensions"},
                 {{0, 0, 8, 3, 0, 0, 0, 1}, 8, "is truncated"},
                 {{'P', 'K', 3, 4}, 8, "expected 00 00 08"}};

START_TEST(idx_bad_heads)
{
    char images[64], labels[64];
    snprintf(images, sizeof images, "%s/images", scratch);
    snprintf(labels, sizeof labels, "%s/labels", scratch);
    write_file(images, bad_heads[_i].head, bad_heads[_i].size);
    make_idx("labels", 1, (uint32_t[]){1}, 1, 1, false);
    struct import_split split = {"train", images, labels};
    ck_assert_int_eq(import_idx(&split, 1, in_scratch("out.h5"), &options, &failure),
                     ONWARD_ERR_INPUT);
    ck_assert_msg(strstr(failure.text, bad_heads[_i].text) != NULL, "%s", failure.text);
}
END_TEST

START_TEST(idx_splits_must_agree)
{
    make_idx("i1", 3, (uint32_t[]){2, 2, 2}, 8, 1, false);
    make_idx("i2", 3, (uint32_t[]){2, 1, 4}, 8, 1, false);
    make_idx("l", 1, (uint32_t[]){2}, 2, 1, false);
    char i1[64], i2[64], l[64];
    snprintf(i1, sizeof i1, "%s/i1", scratch);
    snprintf(i2, sizeof i2, "%s/i2", scratch);
    snprintf(l, sizeof l, "%s/l", scratch);
    struct import_split splits[] = {{"train", i1, l}, {"test", i2, l}};
    ck_assert_int_eq(import_idx(splits, 2, in_scratch("out.h5"), &options, &failure),
                     ONWARD_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(failure.text, "another shape"));
    splits[1].name = "train";
    ck_assert_int_eq(import_idx(splits, 2, in_scratch("out.h5"), &options, &failure),
                     ONWARD_ERR_ARGUMENT);
    splits[1] = (struct import_split){"test", in_scratch("none"), l};
    ck_assert_int_eq(import_idx(splits, 2, in_scratch("out.h5"), &options, &failure),
                     ONWARD_ERR_NOT_FOUND);
}
END_TEST

static int import_text(const char *text, size_t size)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/in.csv", scratch);
    write_file(path, text, size);
    struct import_split split = {"train", path, NULL};
    return import_csv(&split, 1, in_scratch("out.h5"), &options, &failure);
}

/* Each holds the rows (1, 2.5; class 0) and (-3, 4e2; class 2), label in the column given. */
static const struct {
    int label_column;
    const char *text;
} good_csv[] = {{-1, "1,2.5,0\n-3,4e2,2\n"},
                {2, "1,2.5,0\n-3,4e2,2"},
                {0, "0,1,2.5\n2,-3,4e2\n"},
                {1, "1,0,2.5\r\n-3,2,4e2\r\n"},
                {-3, "label,a,b\n0,1,2.5\n2,-3,4e2\n"},
                {-1, "\xef\xbb\xbf"
                     "1,2.5,0\n\n  \n-3,+400.0,2.0\n\n"},
                {-1, " 1 ,\t2.5, 0\n-3 , 4e2 ,2 \n"},
                {-1, "a,b,c,d,e\n1,2.5,0\n-3,400,2\n"}};

START_TEST(csv_good_files)
{
    struct reader *reader = NULL;
    float x[4];
    int32_t y[2];
    options.label_column = good_csv[_i].label_column;
    ck_ok(import_text(good_csv[_i].text, strlen(good_csv[_i].text)));
    ck_ok(reader_open(in_scratch("out.h5"), "train", 1 << 20, &reader, &failure));
    ck_assert_uint_eq(reader_rows(reader), 2);
    ck_assert_uint_eq(reader_classes(reader), 3);
    ck_ok(reader_rows_range(reader, 0, 2, x, y, &failure));
    ck_assert(x[0] == 1 && x[1] == 2.5f && x[2] == -3 && x[3] == 400);
    ck_assert(y[0] == 0 && y[1] == 2);
    reader_close(reader);
}
END_TEST

static const struct {
    const char *text, *expected;
} bad_csv[] = {
    {"", "has no rows"},
    {"a,b,c\n", "has no rows"},
    {"\n\n", "has no rows"},
    {"1,2,0\n1,2\n", "in.csv:2: has 2 columns, expected 3"},
    {"1,2,0\n1,2,3,0\n", "in.csv:2: has 4 columns, expected 3"},
    {"1\n2\n", "in.csv:1: has 1 columns"},
    {"a,b,c\n1,x,0\n", "in.csv:2: column 2: expected a number, found \"x\""},
    {"1,2,0\n\n1,,0\n", "in.csv:3: column 2: expected a number, found \"\""},
    {"1,2,0\n1,2 3,0\n", "column 2: expected a number"},
    {"1,2,0\n1,0x10,0\n", "column 2: expected a number"},
    {"1,2,0\n1,nan,0\n", "column 2: expected a number"},
    {"1,2,0\n1,-inf,0\n", "column 2: expected a number"},
    {"1,2,0\n1,2e,0\n", "column 2: expected a number"},
    {"1,2,0\n1,1e39,0\n", "column 2: expected a number that fits float32"},
    {"1,2,0\n1,1e999,0\n", "column 2: expected a number that fits float32"},
    {"1,2,0\n1,2,-1\n", "in.csv:2: column 3: expected a class from 0 to 65535"},
    {"1,2,0\n1,2,1.5\n", "column 3: expected a class"},
    {"1,2,0\n1,2,65536\n", "column 3: expected a class"},
    {"1,2,0\n1,\"2\",0\n", "column 2: expected a number, found \"\"2\"\""},
    {"1,2,0\n1,2222222222222222222222222222x,0\n", "found \"222222222222222222222222...\""},
    {"1,2,0\n1,\x01\x02,0\n", "found \"\?\?\""},
};

START_TEST(csv_bad_files)
{
    size_t size = 0;
    write_file(in_scratch("out.h5"), "old", 3);
    ck_assert_int_eq(import_text(bad_csv[_i].text, strlen(bad_csv[_i].text)), ONWARD_ERR_INPUT);
    ck_assert_msg(strstr(failure.text, bad_csv[_i].expected) != NULL, "%s", failure.text);
    ck_assert_ptr_null(strchr(failure.text, '\n'));
    unsigned char *kept = read_file(in_scratch("out.h5"), &size);
    ck_assert_uint_eq(size, 3);
    ck_assert_int_eq(count_entries(scratch), 2);
    free(kept);
}
END_TEST

START_TEST(csv_bytes_that_are_no_text)
{
    ck_assert_int_eq(import_text("1,2,0\n1,2\0,0\n", 13), ONWARD_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(failure.text, "in.csv:2: column 2"));
    struct import_split split = {"train", scratch, NULL};
    ck_assert_int_eq(import_csv(&split, 1, in_scratch("out.h5"), &options, &failure),
                     ONWARD_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(failure.text, "expected a regular file"));
    options.label_column = 5;
    ck_assert_int_eq(import_text("1,2,0\n", 6), ONWARD_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(failure.text, "expected one with number 5"));
}
END_TEST

START_TEST(csv_line_beyond_the_bound)
{
    size_t size = (size_t)40 << 20;
    char *text = malloc(size);
    memset(text, '1', size);
    memcpy(text, "1,2,0\n", 6);
    ck_assert_int_eq(import_text(text, size), ONWARD_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(failure.text, "in.csv:2: the line is longer than"));
    free(text);
}
END_TEST

static void note_progress(void *context, const char *split, uint64_t done, uint64_t total)
{
    uint64_t *last = context;
    ck_assert_str_eq(split, "train");
    ck_assert_uint_gt(done, 0);
    last[0] = done;
    last[1] = total;
    last[2]++;
}

/* More than one piece of rows, lines across the ends of the read buffer, gzip. */
START_TEST(csv_large)
{
    enum { ROWS = 30000, FEATURES = 12 };
    char path[64];
    uint64_t progress[3] = {0};
    float x[FEATURES];
    int32_t y = 0;
    struct reader *reader = NULL;
    options.progress = note_progress;
    options.context = progress;
    snprintf(path, sizeof path, "%s/in.csv.gz", scratch);
    gzFile file = gzopen(path, "wb1");
    for (int row = 0; row < ROWS; row++) {
        for (int i = 0; i < FEATURES; i++)
            gzprintf(file, "%d.%d,", row, i);
        gzprintf(file, "%d\n", row % 17);
    }
    gzclose(file);
    struct import_split split = {"train", path, NULL};
    ck_ok(import_csv(&split, 1, in_scratch("out.h5"), &options, &failure));
    ck_assert(progress[0] == ROWS && progress[1] == ROWS && progress[2] < 1000);
    ck_ok(reader_open(in_scratch("out.h5"), "train", 1 << 30, &reader, &failure));
    ck_assert_uint_eq(reader_rows(reader), ROWS);
    ck_assert_uint_eq(reader_classes(reader), 17);
    for (int row = 0; row < ROWS; row += 7) {
        char number[32];
        ck_ok(reader_rows_range(reader, (uint64_t)row, 1, x, &y, &failure));
        snprintf(number, sizeof number, "%d.5", row);
        ck_assert_float_eq(x[5], strtof(number, NULL));
        ck_assert_int_eq(y, row % 17);
    }
    reader_close(reader);
}
END_TEST

START_TEST(full_disk_leaves_the_old_output)
{
    char small[64], output[80], images[64], labels[64];
    size_t size = 0;
    snprintf(small, sizeof small, "%s/small", scratch);
    snprintf(output, sizeof output, "%s/out.h5", small);
    snprintf(images, sizeof images, "%s/images", scratch);
    snprintf(labels, sizeof labels, "%s/labels", scratch);
    make_idx("images", 3, (uint32_t[]){4000, 16, 16}, 4000 * 256, 1, true);
    make_idx("labels", 1, (uint32_t[]){4000}, 4000, 1, false);
    if (!mount_small(small, 256))
        return;
    write_file(output, "old", 3);
    struct import_split split = {"train", images, labels};
    ck_assert_int_eq(import_idx(&split, 1, output, &options, &failure), ONWARD_ERR_NO_SPACE);
    ck_assert_msg(strstr(failure.text, "out.h5: cannot write") != NULL, "%s", failure.text);
    ck_assert_int_eq(count_entries(small), 1);
    free(read_file(output, &size));
    ck_assert_uint_eq(size, 3);
    umount(small);
}
END_TEST

START_TEST(output_in_no_directory)
{
    ck_assert_int_eq(import_text("1,2,0\n", 6), ONWARD_OK);
    char path[64];
    snprintf(path, sizeof path, "%s/in.csv", scratch);
    struct import_split split = {"train", path, NULL};
    ck_assert_int_eq(import_csv(&split, 1, in_scratch("none/out.h5"), &options, &failure),
                     ONWARD_ERR_IO);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store import");
    TCase *tests = tcase_create("import");
    tcase_add_checked_fixture(tests, set_up, remove_scratch);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, idx_plain_and_gzip, 0, 2);
    tcase_add_loop_test(tests, idx_bad_files, 0, (int)(sizeof bad_idx / sizeof *bad_idx));
    tcase_add_loop_test(tests, idx_bad_heads, 0, (int)(sizeof bad_heads / sizeof *bad_heads));
    tcase_add_test(tests, idx_splits_must_agree);
    tcase_add_loop_test(tests, csv_good_files, 0, (int)(sizeof good_csv / sizeof *good_csv));
    tcase_add_loop_test(tests, csv_bad_files, 0, (int)(sizeof bad_csv / sizeof *bad_csv));
    tcase_add_test(tests, csv_bytes_that_are_no_text);
    tcase_add_test(tests, csv_line_beyond_the_bound);
    tcase_add_test(tests, csv_large);
    tcase_add_test(tests, full_disk_leaves_the_old_output);
    tcase_add_test(tests, output_in_no_directory);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
