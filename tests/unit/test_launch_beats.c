/* test_launch_beats.c - who is silent, which host is, who hangs; with time as the test has it. The
 * launcher is on host a; detect_s is 5. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "beats.h"
#include "run_suite.h"

static struct beats *beats;
static double now_s;

static void begin(double hang_s)
{
    beats_destroy(beats);
    beats = beats_create(&(struct beats_settings){.detect_s = 5, .hang_s = hang_s, .host = "a"});
    ck_assert_ptr_nonnull(beats);
    beats_begin(beats, 2);
    now_s = 1000;
}

static void set_up(void)
{
    begin(-1);
}

static void tear_down(void)
{
    beats_destroy(beats);
}

static struct beat beats_of[8]; /* the newest of each member */

/* Member i beats as process 100 + i. */
static struct beat *member(int i, const char *host)
{
    struct beat *beat = &beats_of[i];
    beat->incarnation = 2;
    beat->sequence++;
    beat->epoch = 1;
    beat->member = (uint32_t)i + 1;
    beat->pid = 100 + i;
    beat->rank = i - 1; /* member 0 is the controller */
    snprintf(beat->host, sizeof beat->host, "%s", host);
    return beat;
}

static void take(int i, const char *host)
{
    beats_take(beats, member(i, host), now_s);
}

static void move(int i, enum beat_place place)
{
    beats_of[i].moves++;
    beats_of[i].place = (uint8_t)place;
}

static void expect(enum beats_kind kind, int pid, const char *host)
{
    struct beats_finding finding = beats_find(beats, now_s);
    ck_assert_int_eq(finding.kind, kind);
    ck_assert_int_eq(finding.pid, pid);
    ck_assert_str_eq(finding.host, host);
}

static void expect_nothing(void)
{
    ck_assert_int_eq(beats_find(beats, now_s).kind, BEATS_NOTHING);
}

START_TEST(finds_who_is_silent)
{
    take(0, "a");
    take(1, "a");
    now_s += 4;
    take(0, "a");
    now_s += 1;
    expect_nothing();
    now_s += 0.1;
    expect(BEATS_SILENT, 101, "a");
    struct beats_finding finding = beats_find(beats, now_s);
    ck_assert_uint_eq(finding.member, 2);
    ck_assert(finding.is_local && !finding.again && finding.limit_s == 5);
    take(1, "a");
    expect_nothing();
}
END_TEST

/* Over two ways the older of two beats may come last, and long after. */
START_TEST(takes_no_older_beat_for_life)
{
    take(0, "a");
    struct beat older = beats_of[0];
    older.moves++;
    take(0, "a");
    now_s += 4;
    beats_take(beats, &older, now_s);
    now_s += 1.1;
    expect(BEATS_SILENT, 100, "a");
}
END_TEST

/* The controller, member 0, in that epoch. */
static void tell(int64_t epoch, int disk_errno)
{
    struct beat *beat = member(0, "a");
    beat->epoch = epoch;
    beat->tellings++;
    beat->disk_errno = disk_errno;
    beats_take(beats, beat, now_s);
}

START_TEST(hears_how_the_task_stands)
{
    take(0, "a");
    take(1, "a");
    ck_assert(beats_telling(beats).when_s == 0);
    ck_assert_int_eq(beats_newest_step(beats), 0);
    beats_of[1].complete_step = 7;
    take(1, "a");
    ck_assert_int_eq(beats_newest_step(beats), 7);
    tell(1, 28);
    ck_assert_int_eq(beats_telling(beats).disk_errno, 28);
    now_s += 1;
    take(0, "a"); /* it lives, and tells nothing */
    take(1, "a");
    ck_assert(beats_telling(beats).when_s == now_s - 1);
    beats_excuse(beats, 0.5, now_s);
    ck_assert(beats_telling(beats).when_s == now_s - 0.5);
    tell(1, 0);
    ck_assert(beats_telling(beats).when_s == now_s);
    ck_assert_int_eq(beats_telling(beats).disk_errno, 0);
    beats_begin(beats, 3);
    ck_assert(beats_telling(beats).when_s == 0);
    ck_assert_int_eq(beats_newest_step(beats), -1);
}
END_TEST

/* That a member was lost is in the event log, unless that cannot be written. */
START_TEST(leaves_who_was_left_out_while_the_disk_is_full)
{
    take(0, "a");
    take(1, "a");
    now_s += 5.1;
    tell(1, 28);
    expect(BEATS_SILENT, 101, "a");
    tell(2, 28);
    expect_nothing();
    tell(2, 0);
    expect(BEATS_SILENT, 101, "a");
}
END_TEST

START_TEST(leaves_who_left)
{
    take(0, "a");
    beats_of[1].ends = true;
    take(1, "a");
    struct beat late = beats_of[1];
    late.ends = false;
    beats_take(beats, &late, now_s); /* the same beat, or an older one, over another way */
    late.sequence--;
    beats_take(beats, &late, now_s);
    now_s += 4;
    take(0, "a");
    now_s += 4;
    expect_nothing();
}
END_TEST

START_TEST(leaves_who_mpi_lost)
{
    take(0, "a");
    take(1, "b");
    take(2, "b");
    beats_lost(beats, 2, "", 0);
    beats_lost(beats, 3, "", 0);
    beats_lost(beats, 77, "", 0);
    now_s += 4;
    take(0, "a");
    now_s += 4;
    expect_nothing();
}
END_TEST

START_TEST(leaves_who_was_lost_before_it_said_who_it_is)
{
    take(0, "a");
    member(1, "b")->member = 0;
    beats_take(beats, &beats_of[1], now_s);
    take(2, "b");
    beats_lost(beats, 2, "c", 101); /* the same number on another host */
    now_s += 4;
    take(0, "a");
    take(2, "b");
    now_s += 2;
    expect(BEATS_SILENT, 101, "b");
    beats_lost(beats, 2, "b.site", 101);
    expect_nothing();
}
END_TEST

START_TEST(kills_once)
{
    take(0, "a");
    now_s += 6;
    expect(BEATS_SILENT, 100, "a");
    beats_killed(beats, beats_find(beats, now_s).index, now_s);
    expect_nothing();
    now_s += 6;
    expect(BEATS_SILENT, 100, "a");
    ck_assert(beats_find(beats, now_s).again);
    beats_forget(beats, beats_find(beats, now_s).index);
    expect_nothing();
}
END_TEST

START_TEST(defers)
{
    take(0, "a");
    now_s += 6;
    beats_defer(beats, beats_find(beats, now_s).index, now_s);
    now_s += 4;
    expect_nothing();
    now_s += 2;
    expect(BEATS_SILENT, 100, "a");
    ck_assert(!beats_find(beats, now_s).again);
}
END_TEST

/* Member 1 is gone, and 2 holds up whoever would notice. */
START_TEST(knows_when_a_loss_must_have_been_noticed)
{
    for (int i = 0; i < 3; i++)
        take(i, "a");
    now_s += 5.1;
    take(0, "a");
    take(2, "a");
    ck_assert_int_eq(beats_find(beats, now_s).member, 2);
    beats_missing(beats, beats_find(beats, now_s).index, now_s);
    ck_assert(!beats_are_settled(beats, now_s)); /* they were silent until now */
    now_s += 2.6;
    take(0, "a");
    ck_assert(!beats_are_settled(beats, now_s)); /* 2 is */
    beats_killed(beats, 2, now_s);
    for (int i = 0; i < 4; i++) {
        now_s += 1.2;
        take(0, "a");
        ck_assert(!beats_are_settled(beats, now_s));
    }
    now_s += 0.3;
    take(0, "a");
    ck_assert(beats_are_settled(beats, now_s));
    struct beats_finding finding = beats_find(beats, now_s);
    ck_assert_int_eq(finding.member, 2);
    ck_assert(finding.again);
}
END_TEST

START_TEST(ignores_other_incarnations)
{
    struct beat beat = *member(1, "a");
    beat.incarnation = 1;
    beats_take(beats, &beat, now_s);
    beat.incarnation = 3;
    beats_take(beats, &beat, now_s);
    now_s += 100;
    expect_nothing();
    take(0, "a");
    beats_begin(beats, 3);
    now_s += 100;
    expect_nothing();
}
END_TEST

START_TEST(finds_a_silent_host)
{
    take(0, "a");
    take(1, "b");
    now_s += 0.6;
    take(2, "b");
    now_s += 4;
    take(0, "a");
    now_s += 0.6;
    expect_nothing(); /* member 1 for 5.2 s; member 2 will show whether it is the host */
    now_s += 0.5;
    expect(BEATS_SILENT_HOST, 101, "b");
    ck_assert(!beats_find(beats, now_s).is_local);
    take(2, "b");
    expect(BEATS_SILENT, 101, "b");
}
END_TEST

START_TEST(knows_no_silent_host_where_it_is_itself)
{
    take(0, "a");
    take(1, "a");
    now_s += 6;
    expect(BEATS_SILENT, 100, "a");
    beats_forget(beats, 0);
    expect(BEATS_SILENT, 101, "a");
}
END_TEST

START_TEST(excuses_a_pause)
{
    take(0, "a");
    now_s += 4;
    take(1, "a");
    now_s += 10; /* the launcher was stopped */
    beats_excuse(beats, 10, now_s);
    now_s += 0.9;
    expect_nothing(); /* 4.9 s and 0.9 s */
    now_s += 0.2;
    expect(BEATS_SILENT, 100, "a");
    beats_forget(beats, 0);
    expect_nothing();
    beats_excuse(beats, 100, now_s); /* never into the future */
    now_s += 5.1;
    expect(BEATS_SILENT, 101, "a");
}
END_TEST

/* All three speak for so long; nobody moves. */
static void speak(double seconds)
{
    for (double end_s = now_s + seconds; now_s < end_s; now_s += 0.5)
        for (int i = 0; i < 3; i++)
            take(i, "a");
}

START_TEST(finds_who_hangs)
{
    move(1, BEAT_STEP);
    speak(60);
    expect_nothing();
    speak(1);
    expect(BEATS_HANG, 101, "a");
    ck_assert(beats_find(beats, now_s).limit_s == 60);
    move(1, BEAT_STEP); /* the next step */
    speak(60);
    expect_nothing();
    speak(1);
    beats_killed(beats, beats_find(beats, now_s).index, now_s);
    expect_nothing();
}
END_TEST

START_TEST(waits_from_when_the_others_do)
{
    move(1, BEAT_STEP);
    move(2, BEAT_STEP);
    speak(50);
    move(2, BEAT_INSIDE);
    speak(60);
    expect_nothing();
    speak(1);
    expect(BEATS_HANG, 101, "a");
}
END_TEST

START_TEST(finds_all_who_hang)
{
    begin(3);
    move(1, BEAT_STEP);
    move(2, BEAT_STEP);
    for (int k = 0; k < 9; k++, now_s += 0.5)
        for (int i = 0; i < 4; i++)
            take(i, "a");
    expect(BEATS_HANG, 101, "a");
    beats_killed(beats, beats_find(beats, now_s).index, now_s);
    expect(BEATS_HANG, 102, "a");
    beats_killed(beats, beats_find(beats, now_s).index, now_s);
    expect_nothing();
}
END_TEST

START_TEST(grants_twenty_long_steps)
{
    move(1, BEAT_STEP);
    beats_of[2].longest_ms = 10000;
    speak(200);
    expect_nothing();
    speak(1);
    expect(BEATS_HANG, 101, "a");
    ck_assert(beats_find(beats, now_s).limit_s == 200);
}
END_TEST

/* With the limit that is given or not, the workers' places: is there a finding? */
static const struct {
    double hang_s;
    enum beat_place places[2];
    int workers;
    bool found;
} hangs[] = {
    {-1, {BEAT_STEP, BEAT_INSIDE}, 2, true},
    {3, {BEAT_STEP, BEAT_INSIDE}, 2, true},
    {0, {BEAT_STEP, BEAT_INSIDE}, 2, false},
    {-1, {BEAT_STEP, BEAT_STEP}, 2, false}, /* they may wait for one another by MPI */
    {3, {BEAT_STEP, BEAT_STEP}, 2, false},
    {-1, {BEAT_INSIDE, BEAT_INSIDE}, 2, false},
    {-1, {BEAT_FINAL, BEAT_INSIDE}, 2, false},
    {3, {BEAT_FINAL, BEAT_INSIDE}, 2, true},
    {-1, {BEAT_STEP}, 1, false},
    {3, {BEAT_STEP}, 1, true},
};

START_TEST(judges_a_hang)
{
    begin(hangs[_i].hang_s);
    for (int i = 0; i < hangs[_i].workers; i++)
        move(i + 1, hangs[_i].places[i]);
    for (int k = 0; k < 200; k++, now_s += 0.5)
        for (int i = 0; i <= hangs[_i].workers; i++)
            take(i, "a");
    ck_assert_int_eq(beats_find(beats, now_s).kind, hangs[_i].found ? BEATS_HANG : BEATS_NOTHING);
}
END_TEST

START_TEST(waits_for_a_change_of_the_lineup)
{
    move(1, BEAT_STEP);
    for (int k = 0; k < 200; k++, now_s += 0.5) {
        take(0, "a");
        take(1, "a");
        member(2, "a")->epoch = 2; /* is in the next one already */
        beats_take(beats, &beats_of[2], now_s);
    }
    expect_nothing();
}
END_TEST

START_TEST(is_bounded)
{
    struct beat beat = {.incarnation = 2, .sequence = 1, .rank = -1, .host = "a"};
    for (int i = 0; i < BEATS_MAX_MEMBERS + 10; i++) {
        beat.pid = i + 1;
        beats_take(beats, &beat, now_s);
    }
    beat.sequence++;
    now_s += 4;
    for (int i = 1; i < BEATS_MAX_MEMBERS; i++) { /* all but the first speak again */
        beat.pid = i + 1;
        beats_take(beats, &beat, now_s);
    }
    now_s += 2;
    expect(BEATS_SILENT, 1, "a");
    beats_forget(beats, 0);
    expect_nothing();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("beats");
    TCase *test = tcase_create("all");
    tcase_add_checked_fixture(test, set_up, tear_down);
    tcase_add_test(test, finds_who_is_silent);
    tcase_add_test(test, takes_no_older_beat_for_life);
    tcase_add_test(test, hears_how_the_task_stands);
    tcase_add_test(test, leaves_who_was_left_out_while_the_disk_is_full);
    tcase_add_test(test, leaves_who_left);
    tcase_add_test(test, leaves_who_mpi_lost);
    tcase_add_test(test, leaves_who_was_lost_before_it_said_who_it_is);
    tcase_add_test(test, kills_once);
    tcase_add_test(test, defers);
    tcase_add_test(test, ignores_other_incarnations);
    tcase_add_test(test, finds_a_silent_host);
    tcase_add_test(test, knows_no_silent_host_where_it_is_itself);
    tcase_add_test(test, excuses_a_pause);
    tcase_add_test(test, finds_who_hangs);
    tcase_add_test(test, waits_from_when_the_others_do);
    tcase_add_test(test, finds_all_who_hang);
    tcase_add_test(test, grants_twenty_long_steps);
    tcase_add_loop_test(test, judges_a_hang, 0, sizeof hangs / sizeof *hangs);
    tcase_add_test(test, waits_for_a_change_of_the_lineup);
    tcase_add_test(test, knows_when_a_loss_must_have_been_noticed);
    tcase_add_test(test, is_bounded);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
