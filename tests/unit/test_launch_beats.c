/* test_launch_beats.c - who is silent and which host is; with time as the test has it. */
#include "beats_fixture.h"
#include "run_suite.h"

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
    beats_excuse(beats, 1.75, now_s); /* all but 1.25 s of it */
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

/* Process 107 ended before its first beat. */
START_TEST(finds_who_never_said_anything)
{
    take(0, "a");
    beats_expect(beats, "a", 107, 1, now_s);
    now_s += 4;
    take(0, "a");
    beats_expect(beats, "a", 107, 1, now_s); /* once */
    now_s += 1.1;
    struct beats_finding finding = beats_find(beats, now_s);
    ck_assert_int_eq(finding.kind, BEATS_SILENT);
    ck_assert_int_eq(finding.pid, 107);
    ck_assert_uint_eq(finding.member, 0);
    ck_assert(finding.is_local);
}
END_TEST

START_TEST(leaves_who_speaks_after_all_alone)
{
    take(0, "a");
    beats_expect(beats, "a", 100, 1, now_s); /* member 0: it spoke already */
    beats_expect(beats, "a", 101, 1, now_s);
    now_s += 4;
    take(0, "a");
    take(1, "a");
    now_s += 1.1;
    ck_assert_int_eq(beats_find(beats, now_s).kind, BEATS_NOTHING);
}
END_TEST

/* The others are never settled, and nobody waits for that for ever. */
START_TEST(says_when_one_was_missing_for_long)
{
    take(0, "a");
    take(1, "a");
    for (int i = 0; i < 11; i++) {
        now_s += 5.1;
        take(0, "a");
        struct beats_finding finding = beats_find(beats, now_s);
        ck_assert_int_eq(finding.pid, 101);
        ck_assert_int_eq(beats_is_overdue(beats, finding.index, now_s), i == 10);
        beats_missing(beats, finding.index, now_s);
        ck_assert(!beats_are_settled(beats, now_s));
    }
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
    now_s += 3;
    take(1, "a");
    now_s += 10; /* the launcher was stopped */
    beats_excuse(beats, 10, now_s);
    now_s += 0.7;
    expect_nothing(); /* 4.95 s and 1.95 s */
    now_s += 0.1;
    expect(BEATS_SILENT, 100, "a");
    beats_forget(beats, 0);
    expect_nothing();
    beats_excuse(beats, 100, now_s); /* never into the future */
    now_s += 5.1;
    expect(BEATS_SILENT, 101, "a");
}
END_TEST

/* How long every turn of the launcher's loop takes, and by when who is silent has to be found. */
static const struct {
    double turn_s, limit_s;
} turns[] = {{0.05, 5.1}, {0.3, 5.4}, {1.2, 6.1}, {3, 12.1}, {60, 240.1}};

START_TEST(finds_who_is_silent_however_slow_the_launcher_is)
{
    double turn_s = turns[_i].turn_s, begin_s = now_s;
    take(0, "a");
    take(1, "a");
    while (beats_find(beats, now_s).kind == BEATS_NOTHING) {
        now_s += turn_s;
        ck_assert(now_s - begin_s < turns[_i].limit_s + turn_s);
        beats_excuse(beats, turn_s, now_s);
        take(0, "a"); /* it waited in the socket */
    }
    expect(BEATS_SILENT, 101, "a");
    ck_assert(now_s - begin_s > 5);
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
    tcase_add_loop_test(test, finds_who_is_silent_however_slow_the_launcher_is, 0,
                        sizeof turns / sizeof *turns);
    tcase_add_test(test, finds_who_never_said_anything);
    tcase_add_test(test, leaves_who_speaks_after_all_alone);
    tcase_add_test(test, says_when_one_was_missing_for_long);
    tcase_add_test(test, knows_when_a_loss_must_have_been_noticed);
    tcase_add_test(test, is_bounded);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
