/* test_beat.c - the heartbeat's bytes and its target's text: what is read back, what is refused. */
#include <check.h>
#include <string.h>

#include "beat.h"
#include "run_suite.h"

static const struct beat sample = {.token = 0x0123456789abcdef,
                                   .incarnation = 3,
                                   .sequence = 77,
                                   .epoch = 2,
                                   .complete_step = -1,
                                   .moves = UINT64_MAX,
                                   .member = 5,
                                   .pid = 4711,
                                   .rank = -1,
                                   .longest_ms = 1500,
                                   .tellings = 9,
                                   .disk_errno = 28,
                                   .place = BEAT_STEP,
                                   .ends = true,
                                   .host = "n3.example"};

START_TEST(reads_what_it_wrote)
{
    unsigned char bytes[BEAT_BYTES], again[BEAT_BYTES];
    struct beat beat;
    beat_encode(&sample, bytes);
    ck_assert(beat_decode(bytes, sizeof bytes, &beat));
    ck_assert_uint_eq(beat.token, sample.token);
    ck_assert_int_eq(beat.incarnation, 3);
    ck_assert_uint_eq(beat.sequence, 77);
    ck_assert_int_eq(beat.epoch, 2);
    ck_assert_int_eq(beat.complete_step, -1);
    ck_assert_uint_eq(beat.moves, UINT64_MAX);
    ck_assert_uint_eq(beat.member, 5);
    ck_assert_int_eq(beat.pid, 4711);
    ck_assert_int_eq(beat.rank, -1);
    ck_assert_uint_eq(beat.longest_ms, 1500);
    ck_assert_uint_eq(beat.tellings, 9);
    ck_assert_int_eq(beat.disk_errno, 28);
    ck_assert_uint_eq(beat.place, BEAT_STEP);
    ck_assert(beat.ends);
    ck_assert_str_eq(beat.host, "n3.example");
    beat_encode(&beat, again);
    ck_assert_mem_eq(bytes, again, BEAT_BYTES);
}
END_TEST

START_TEST(has_a_fixed_layout)
{
    static const unsigned char head[] = {'O',  'W',  'B',  'T',  0,    2,    BEAT_STEP, 1,
                                         0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd,      0xef,
                                         0,    0,    0,    0,    0,    0,    0,         3};
    unsigned char bytes[BEAT_BYTES];
    beat_encode(&sample, bytes);
    ck_assert_mem_eq(bytes, head, sizeof head);
    ck_assert_mem_eq(bytes + 80, "n3.example", 11);
}
END_TEST

/* One byte at a place becomes another. */
static const struct {
    size_t at;
    unsigned char value;
} damages[] = {
    {0, 'X'},              /* magic */
    {5, 1},                /* version */
    {6, BEAT_FINAL + 1},   /* place */
    {7, 2},                /* flags */
    {16, 0x80},            /* incarnation below 0 */
    {32, 0x80},            /* epoch below 0 */
    {47, 0xfe},            /* complete step -2 */
    {60, 0x80},            /* pid below 0 */
    {67, 0xfe},            /* rank -2 */
    {76, 0x80},            /* error below 0 */
    {80, 0},               /* no host */
    {82, ' '},             /* a blank in its name */
    {83, 0x80},            /* no ASCII */
    {BEAT_BYTES - 1, 'x'}, /* something behind the name */
};

START_TEST(refuses_damage)
{
    unsigned char bytes[BEAT_BYTES];
    struct beat beat = {.member = 99};
    beat_encode(&sample, bytes);
    bytes[damages[_i].at] = damages[_i].value;
    ck_assert(!beat_decode(bytes, sizeof bytes, &beat));
    ck_assert_uint_eq(beat.member, 99);
}
END_TEST

START_TEST(refuses_other_sizes)
{
    unsigned char bytes[BEAT_BYTES + 1] = {0};
    struct beat beat;
    beat_encode(&sample, bytes);
    ck_assert(!beat_decode(bytes, BEAT_BYTES - 1, &beat));
    ck_assert(!beat_decode(bytes, BEAT_BYTES + 1, &beat));
    ck_assert(!beat_decode(bytes, 0, &beat));
    memset(bytes + 80, 'h', BEAT_HOST_BYTES); /* a name without an end */
    ck_assert(!beat_decode(bytes, BEAT_BYTES, &beat));
    beat_encode(&sample, bytes);
    memset(bytes + 60, 0, 4); /* process 0 */
    ck_assert(!beat_decode(bytes, BEAT_BYTES, &beat));
}
END_TEST

static const char *const good_targets[] = {
    "127.0.0.1:40000:0123456789abcdef",
    "10.0.0.1,192.168.7.250,fd00::1:53,127.0.0.1:65535:ffffffffffffffff",
};

START_TEST(reads_a_target)
{
    struct beat_target target;
    char text[BEAT_TARGET_BYTES];
    ck_assert(beat_target_parse(good_targets[_i], &target));
    beat_target_text(&target, text);
    ck_assert_str_eq(text, good_targets[_i]);
    ck_assert_str_eq(target.addresses[target.address_count - 1], "127.0.0.1");
}
END_TEST

static const char *const bad_targets[] = {
    "",
    "127.0.0.1",
    "127.0.0.1:40000",
    "127.0.0.1:0:0123456789abcdef",
    "127.0.0.1:65536:0123456789abcdef",
    "127.0.0.1:123456:0123456789abcdef",
    "127.0.0.1:-1:0123456789abcdef",
    "127.0.0.1:40000:0123456789abcde",
    "127.0.0.1:40000:0123456789abcdefa",
    "127.0.0.1:40000:0123456789ABCDEF",
    ":40000:0123456789abcdef",
    "a.example:40000:0123456789abcdef",
    "127.0.0.1,,127.0.0.2:40000:0123456789abcdef",
    "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1:1:0123456789abcdef",
    "1111:2222:3333:4444:5555:6666:7777:8888:9999:1111:2222:3333:1:0123456789abcdef",
};

START_TEST(refuses_a_target)
{
    struct beat_target target = {.port = 9};
    ck_assert(!beat_target_parse(bad_targets[_i], &target));
    ck_assert_uint_eq(target.port, 9);
}
END_TEST

START_TEST(refuses_a_long_target)
{
    struct beat_target target;
    char text[2 * BEAT_TARGET_BYTES];
    memset(text, '1', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ck_assert(!beat_target_parse(text, &target));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("beat");
    TCase *test = tcase_create("all");
    tcase_add_test(test, reads_what_it_wrote);
    tcase_add_test(test, has_a_fixed_layout);
    tcase_add_loop_test(test, refuses_damage, 0, sizeof damages / sizeof *damages);
    tcase_add_test(test, refuses_other_sizes);
    tcase_add_loop_test(test, reads_a_target, 0, sizeof good_targets / sizeof *good_targets);
    tcase_add_loop_test(test, refuses_a_target, 0, sizeof bad_targets / sizeof *bad_targets);
    tcase_add_test(test, refuses_a_long_target);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
