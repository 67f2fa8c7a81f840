/* test_core_lineup.c - the split of subtasks over workers, and the canonical summation tree. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "lineup.h"
#include "run_suite.h"
#include "sumtree.h"

static const struct {
    uint32_t subtasks, size, rank, first, count;
} splits[] = {
    {16, 1, 0, 0, 16}, {16, 3, 0, 0, 6}, {16, 3, 1, 6, 5},
    {16, 3, 2, 11, 5}, {2, 4, 1, 1, 1},  {2, 4, 3, 2, 0},
    {0, 2, 1, 0, 0},   {7, 7, 6, 6, 1},  {UINT32_MAX, 2, 1, 2147483648u, 2147483647},
};

START_TEST(split_is_contiguous_and_balanced)
{
    struct lineup_range range = lineup_split(splits[_i].subtasks, splits[_i].size, splits[_i].rank);
    ck_assert_uint_eq(range.first, splits[_i].first);
    ck_assert_uint_eq(range.count, splits[_i].count);
}
END_TEST

START_TEST(owner_is_who_has_the_subtask)
{
    for (uint32_t n = 0; n <= 40; n++)
        for (uint32_t size = 1; size <= 45; size++) {
            uint32_t next = 0;
            for (uint32_t rank = 0; rank < size; rank++) {
                struct lineup_range range = lineup_split(n, size, rank);
                ck_assert_uint_eq(range.first, next);
                for (uint32_t k = 0; k < range.count; k++)
                    ck_assert_uint_eq(lineup_owner(n, size, range.first + k), rank);
                next += range.count;
            }
            ck_assert_uint_eq(next, n);
        }
    ck_assert_uint_eq(lineup_owner(UINT32_MAX, 3, UINT32_MAX - 1), 2);
}
END_TEST

static const struct {
    uint32_t n, first, count, found;
    struct sumtree_node nodes[4];
} covers[] = {
    {8, 0, 8, 1, {{3, 0}}},         {5, 0, 5, 1, {{3, 0}}},
    {5, 4, 1, 1, {{2, 1}}}, /* its right siblings are empty: the highest stands for all */
    {5, 3, 2, 2, {{0, 3}, {2, 1}}}, {8, 1, 6, 4, {{0, 1}, {1, 1}, {1, 2}, {0, 6}}},
    {1, 0, 1, 1, {{0, 0}}},         {6, 2, 0, 0, {{0, 0}}},
    {6, 4, 2, 1, {{2, 1}}},         {UINT32_MAX, 0, UINT32_MAX, 1, {{32, 0}}},
};

START_TEST(cover_is_maximal_and_canonical)
{
    struct sumtree_node nodes[SUMTREE_MAX_NODES];
    uint32_t found = sumtree_cover(covers[_i].n, covers[_i].first, covers[_i].count, nodes);
    ck_assert_uint_eq(found, covers[_i].found);
    for (uint32_t i = 0; i < found; i++) {
        ck_assert_uint_eq(nodes[i].level, covers[_i].nodes[i].level);
        ck_assert_uint_eq(nodes[i].index, covers[_i].nodes[i].index);
    }
}
END_TEST

START_TEST(cover_has_no_gaps)
{
    struct sumtree_node nodes[SUMTREE_MAX_NODES];
    for (uint32_t n = 1; n <= 33; n++)
        for (uint32_t first = 0; first < n; first++)
            for (uint32_t count = 1; count <= n - first; count++) {
                uint32_t found = sumtree_cover(n, first, count, nodes);
                uint64_t at = first;
                for (uint32_t i = 0; i < found; i++) {
                    ck_assert_uint_eq(sumtree_begin(nodes[i]), at);
                    at = sumtree_end(nodes[i], n);
                }
                ck_assert_uint_eq(at, first + count);
            }
}
END_TEST

/* The sum of the tree's root written as nested parentheses, by definition. */
static void write_node(char *out, struct sumtree_node node, uint32_t n)
{
    char number[16];
    struct sumtree_node left = {node.level - 1, 2 * node.index}, right = {node.level - 1, 0};
    right.index = left.index + 1;
    if (node.level == 0) {
        snprintf(number, sizeof(number), "%u", node.index);
        strcat(out, number);
    } else if (sumtree_begin(right) >= n) {
        write_node(out, left, n);
    } else {
        strcat(out, "(");
        write_node(out, left, n);
        strcat(out, "+");
        write_node(out, right, n);
        strcat(out, ")");
    }
}

enum { TEXT = 600 };

struct sums {
    struct sumtree_stack stack;
    char text[SUMTREE_MAX_NODES][TEXT];
};

/* Pushes what `of` says and folds the texts as a caller would fold vectors. */
static void push(struct sums *sums, struct sumtree_node node, const char *of)
{
    uint32_t top = sums->stack.depth;
    snprintf(sums->text[top], TEXT, "%s", of);
    for (uint32_t folds = sumtree_push(&sums->stack, node); folds > 0; folds--, top--) {
        char sum[2 * TEXT + 4];
        snprintf(sum, sizeof(sum), "(%s+%s)", sums->text[top - 1], sums->text[top]);
        ck_assert_uint_lt(strlen(sum), TEXT);
        memcpy(sums->text[top - 1], sum, strlen(sum) + 1);
    }
    ck_assert_uint_eq(sums->stack.depth, top + 1);
}

/* Every number of workers, each reducing its own range first, gives the same parentheses. */
START_TEST(sum_never_depends_on_the_split)
{
    static struct sums own, all;
    uint32_t n = (uint32_t)_i;
    char expected[TEXT] = "";
    write_node(expected, (struct sumtree_node){sumtree_root_level(n), 0}, n);
    for (uint32_t size = 1; size <= n; size++) {
        sumtree_start(&all.stack, n);
        for (uint32_t rank = 0; rank < size; rank++) {
            struct lineup_range range = lineup_split(n, size, rank);
            struct sumtree_node cover[SUMTREE_MAX_NODES];
            sumtree_start(&own.stack, n);
            for (uint32_t k = range.first; k < range.first + range.count; k++) {
                char name[16];
                snprintf(name, sizeof(name), "%u", k);
                push(&own, (struct sumtree_node){0, k}, name);
            }
            ck_assert_uint_eq(sumtree_cover(n, range.first, range.count, cover), own.stack.depth);
            for (uint32_t i = 0; i < own.stack.depth; i++) {
                ck_assert_uint_eq(cover[i].level, own.stack.nodes[i].level);
                ck_assert_uint_eq(cover[i].index, own.stack.nodes[i].index);
                push(&all, cover[i], own.text[i]);
            }
        }
        ck_assert_uint_eq(all.stack.depth, 1);
        ck_assert_str_eq(all.text[0], expected);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core lineup");
    TCase *cases = tcase_create("lineup");
    tcase_add_loop_test(cases, split_is_contiguous_and_balanced, 0,
                        sizeof(splits) / sizeof(splits[0]));
    tcase_add_test(cases, owner_is_who_has_the_subtask);
    tcase_add_loop_test(cases, cover_is_maximal_and_canonical, 0,
                        sizeof(covers) / sizeof(covers[0]));
    tcase_add_test(cases, cover_has_no_gaps);
    tcase_add_loop_test(cases, sum_never_depends_on_the_split, 1, 41);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
