/* test_launch_hangs.c - who hangs, and when nobody can say who; with time as the test has it. */
#include "beats_fixture.h"
#include "run_suite.h"

static void move(int i, enum beat_place place)
{
    beats_of[i].moves++;
    beats_of[i].place = (uint8_t)place;
}

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

/* With the limit that is given or not, the workers' places: what is found? */
static const struct {
    double hang_s;
    enum beat_place places[2];
    int workers;
    enum beats_kind found;
} hangs[] = {
    {-1, {BEAT_STEP, BEAT_INSIDE}, 2, BEATS_HANG},
    {3, {BEAT_STEP, BEAT_INSIDE}, 2, BEATS_HANG},
    {0, {BEAT_STEP, BEAT_INSIDE}, 2, BEATS_NOTHING},
    {-1, {BEAT_STEP, BEAT_STEP}, 2, BEATS_NOTHING}, /* they may wait for one another by MPI */
    {3, {BEAT_STEP, BEAT_STEP}, 2, BEATS_STUCK},
    {0, {BEAT_STEP, BEAT_STEP}, 2, BEATS_NOTHING},
    {-1, {BEAT_INSIDE, BEAT_INSIDE}, 2, BEATS_NOTHING},
    {3, {BEAT_INSIDE, BEAT_INSIDE}, 2, BEATS_NOTHING}, /* the state is brought, or there is none */
    {-1, {BEAT_FINAL, BEAT_INSIDE}, 2, BEATS_NOTHING},
    {3, {BEAT_FINAL, BEAT_INSIDE}, 2, BEATS_HANG},
    {-1, {BEAT_FINAL, BEAT_FINAL}, 2, BEATS_NOTHING},
    {3, {BEAT_FINAL, BEAT_FINAL}, 2, BEATS_STUCK},
    {-1, {BEAT_STEP}, 1, BEATS_NOTHING},
    {3, {BEAT_STEP}, 1, BEATS_HANG},
};

START_TEST(judges_a_hang)
{
    begin(hangs[_i].hang_s);
    for (int i = 0; i < hangs[_i].workers; i++)
        move(i + 1, hangs[_i].places[i]);
    for (int k = 0; k < 200; k++, now_s += 0.5)
        for (int i = 0; i <= hangs[_i].workers; i++)
            take(i, "a");
    ck_assert_int_eq(beats_find(beats, now_s).kind, hangs[_i].found);
}
END_TEST

START_TEST(waits_for_the_last_of_the_workers_to_come_back)
{
    begin(3);
    move(1, BEAT_STEP);
    move(2, BEAT_STEP);
    speak(2);
    move(2, BEAT_STEP); /* it works in short steps of its own, and may yet help the other */
    speak(3);
    expect_nothing();
    speak(1);
    expect(BEATS_STUCK, 101, "a");
    ck_assert(beats_find(beats, now_s).limit_s == 3);
    member(2, "a")->epoch = 2; /* the lineup changes */
    beats_take(beats, &beats_of[2], now_s);
    expect_nothing();
    take(2, "a");
    expect(BEATS_STUCK, 101, "a");
    member(3, "a")->epoch = 0; /* one that is to join */
    beats_take(beats, &beats_of[3], now_s);
    expect_nothing();
}
END_TEST

START_TEST(waits_for_who_was_killed_to_be_gone)
{
    begin(3);
    move(1, BEAT_STEP);
    move(2, BEAT_STEP);
    for (int k = 0; k < 9; k++, now_s += 0.5)
        for (int i = 0; i < 4; i++) {
            beats_of[3].place = BEAT_STEP;
            take(i, "a");
        }
    expect(BEATS_STUCK, 101, "a");
    beats_killed(beats, beats_find(beats, now_s).index, now_s);
    expect_nothing();
    beats_lost(beats, 2, "", 0);
    expect(BEATS_STUCK, 102, "a");
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

int main(void)
{
    Suite *suite = suite_create("hangs");
    TCase *test = tcase_create("all");
    tcase_add_checked_fixture(test, set_up, tear_down);
    tcase_add_test(test, finds_who_hangs);
    tcase_add_test(test, waits_from_when_the_others_do);
    tcase_add_test(test, finds_all_who_hang);
    tcase_add_test(test, grants_twenty_long_steps);
    tcase_add_loop_test(test, judges_a_hang, 0, sizeof hangs / sizeof *hangs);
    tcase_add_test(test, waits_for_the_last_of_the_workers_to_come_back);
    tcase_add_test(test, waits_for_who_was_killed_to_be_gone);
    tcase_add_test(test, waits_for_a_change_of_the_lineup);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
