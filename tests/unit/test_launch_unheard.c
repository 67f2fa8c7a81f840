/* test_launch_unheard.c - from which hosts of the task no heartbeat came. */
#include <check.h>
#include <stdio.h>

#include "run_suite.h"
#include "unheard.h"

static struct beats *beats;
static json_t *told;
static struct run_member list[12];
static struct run_members members = {.list = list};
static char text[UNHEARD_BYTES];

static void set_up(void)
{
    beats = beats_create(&(struct beats_settings){.detect_s = 5, .hang_s = -1, .host = "h0"});
    told = json_object();
    members.count = 0;
    ck_assert(beats && told);
    beats_begin(beats, 2);
}

static void tear_down(void)
{
    beats_destroy(beats);
    json_decref(told);
}

static void add_members(const char *host, int count)
{
    for (int i = 0; i < count; i++)
        snprintf(list[members.count++].host, sizeof list->host, "%s", host);
}

static void beat_from(const char *host, int pid)
{
    struct beat beat = {.incarnation = 2, .sequence = 1, .pid = pid};
    snprintf(beat.host, sizeof beat.host, "%s", host);
    beats_take(beats, &beat, 1000);
}

static void expect(uint32_t count, const char *names)
{
    ck_assert_uint_eq(unheard_hosts(&members, beats, told, text, sizeof text), count);
    if (count > 0)
        ck_assert_str_eq(text, names);
}

START_TEST(names_each_host_once)
{
    add_members("h0", 2);
    add_members("h1", 2);
    add_members("h2.site", 2);
    beat_from("h0", 7); /* one that is heard shows that beats get through */
    beat_from("h2", 7);
    expect(1, "host h1");
    expect(0, "");
    add_members("h3", 1); /* comes later */
    add_members("h1", 1);
    add_members("h4", 1);
    expect(2, "hosts h3, h4");
    json_object_clear(told); /* the next incarnation */
    expect(3, "hosts h1, h3, h4");
}
END_TEST

START_TEST(names_a_few_of_many)
{
    char name[8];
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "n%d", i);
        add_members(name, 1);
    }
    beat_from("n4", 1);
    expect(9, "hosts n0, n1, n2 and 6 more");
}
END_TEST

START_TEST(is_content_where_all_are_heard)
{
    expect(0, "");
    add_members("h0", 1);
    beat_from("h0", 1);
    expect(0, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("unheard");
    TCase *test = tcase_create("all");
    tcase_add_checked_fixture(test, set_up, tear_down);
    tcase_add_test(test, names_each_host_once);
    tcase_add_test(test, names_a_few_of_many);
    tcase_add_test(test, is_content_where_all_are_heard);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
