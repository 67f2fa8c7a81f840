/* beats_fixture.h - what test_launch_beats.c and test_launch_hangs.c share: members that beat, at a
 * time as the test has it. The launcher is on host a; detect_s is 5. */
#ifndef TESTS_UNIT_BEATS_FIXTURE_H
#define TESTS_UNIT_BEATS_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "beats.h"

static struct beats *beats;
static double now_s;

static inline void begin(double hang_s)
{
    beats_destroy(beats);
    beats = beats_create(&(struct beats_settings){.detect_s = 5, .hang_s = hang_s, .host = "a"});
    ck_assert_ptr_nonnull(beats);
    beats_begin(beats, 2);
    now_s = 1000;
}

static inline void set_up(void)
{
    begin(-1);
}

static inline void tear_down(void)
{
    beats_destroy(beats);
}

static struct beat beats_of[8]; /* the newest of each member */

/* Member i beats as process 100 + i. */
static inline struct beat *member(int i, const char *host)
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

static inline void take(int i, const char *host)
{
    beats_take(beats, member(i, host), now_s);
}

static inline void expect(enum beats_kind kind, int pid, const char *host)
{
    struct beats_finding finding = beats_find(beats, now_s);
    ck_assert_int_eq(finding.kind, kind);
    ck_assert_int_eq(finding.pid, pid);
    ck_assert_str_eq(finding.host, host);
}

static inline void expect_nothing(void)
{
    ck_assert_int_eq(beats_find(beats, now_s).kind, BEATS_NOTHING);
}

#endif
