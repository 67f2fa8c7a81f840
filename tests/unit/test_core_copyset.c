/* test_core_copyset.c - which state is put together from copies of shards. */
#include <check.h>

#include "copyset.h"
#include "run_suite.h"

enum { MOST = 12 };

struct story {
    const char *name;
    uint32_t count;
    struct copyset_entry entries[MOST]; /* incarnation, epoch, step, shard, shard count, holder */
    int64_t min_incarnation;
    int64_t step; /* that is chosen; -1: none */
    uint32_t holders[4];
};

static const struct story stories[] = {
    {"nothing", 0, {{0}}, 0, -1, {0}},
    {"the newest whole step",
     5,
     {{1, 1, 20, 0, 2, 7},
      {1, 1, 10, 0, 2, 7},
      {1, 1, 10, 1, 2, 8},
      {1, 1, 20, 1, 2, 8},
      {1, 1, 30, 1, 2, 8}},
     0,
     20,
     {7, 8}},
    {"a shard twice is no other shard; of two holders the first",
     5,
     {{1, 1, 20, 0, 2, 7},
      {1, 1, 20, 0, 2, 3},
      {1, 1, 10, 0, 2, 7},
      {1, 1, 10, 1, 2, 8},
      {1, 1, 10, 1, 2, 2}},
     0,
     10,
     {7, 2}},
    {"two epochs do not mix",
     4,
     {{1, 1, 20, 0, 2, 7}, {1, 2, 20, 1, 2, 8}, {1, 1, 5, 0, 2, 1}, {1, 1, 5, 1, 2, 1}},
     0,
     5,
     {1, 1}},
    {"two sizes do not mix", 2, {{1, 1, 20, 0, 2, 7}, {1, 1, 20, 1, 3, 8}}, 0, -1, {0}},
    {"the newest incarnation that is whole comes before a newer step",
     5,
     {{1, 1, 90, 0, 1, 7},
      {2, 1, 50, 0, 2, 8},
      {2, 1, 50, 1, 2, 9},
      {3, 1, 60, 0, 2, 8},
      {1, 1, 95, 0, 1, 7}},
     0,
     50,
     {8, 9}},
    {"an incarnation before that of the checkpoint is not used",
     1,
     {{1, 1, 90, 0, 1, 7}},
     2,
     -1,
     {0}},
};

START_TEST(the_newest_whole_state)
{
    const struct story *story = &stories[_i];
    struct copyset_entry entries[MOST];
    uint32_t first = 99;
    for (uint32_t i = 0; i < story->count; i++)
        entries[i] = story->entries[i];
    bool found = copyset_choose(entries, story->count, story->min_incarnation, &first);
    ck_assert_msg(found == (story->step >= 0), "%s", story->name);
    if (!found)
        return;
    ck_assert_msg(entries[first].step == story->step, "%s: step %lld", story->name,
                  (long long)entries[first].step);
    for (uint32_t i = 0; i < entries[first].shard_count; i++) {
        ck_assert_uint_eq(entries[first + i].shard, i);
        ck_assert_msg(entries[first + i].holder == story->holders[i], "%s: holder %u", story->name,
                      entries[first + i].holder);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core copyset");
    TCase *tests = tcase_create("copyset");
    tcase_add_loop_test(tests, the_newest_whole_state, 0, (int)(sizeof stories / sizeof *stories));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
