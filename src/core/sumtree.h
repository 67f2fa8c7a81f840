/* sumtree.h - the canonical summation tree over subtask numbers 0 .. n-1.
 *
 * Node (level, index) covers the subtasks [index << level, (index + 1) << level) that are below n.
 * Its sum is left + right, or left alone where the right half is empty. The root is the lowest
 * node that covers all. The sum of a node therefore never depends on who computes it. */
#ifndef CORE_SUMTREE_H
#define CORE_SUMTREE_H

#include <stdbool.h>
#include <stdint.h>

enum { SUMTREE_MAX_LEVELS = 33, SUMTREE_MAX_NODES = 2 * SUMTREE_MAX_LEVELS };

struct sumtree_node {
    uint32_t level;
    uint32_t index;
};

/* First subtask of the node, and one past the last (clipped to n). 64-bit, so that no shift wraps.
 */
uint64_t sumtree_begin(struct sumtree_node node);
uint64_t sumtree_end(struct sumtree_node node, uint32_t n);

/* Level of the root: the smallest L with (1 << L) >= n; 0 for n <= 1. */
uint32_t sumtree_root_level(uint32_t n);

/* The maximal nodes that lie whole in [first, first+count), from left to right, into nodes (room
 * for SUMTREE_MAX_NODES). A node whose clipped range lies inside counts as whole. Canonical: of
 * nodes with the same clipped range the highest is taken, up to the root. Returns how many. */
uint32_t sumtree_cover(uint32_t n, uint32_t first, uint32_t count, struct sumtree_node *nodes);

/* A stack machine that adds a sequence of nodes, given from left to right without gaps, in tree
 * order. The caller keeps one vector for each stack entry. sumtree_push returns how many times the
 * caller must now fold: top-1 += top, pop. After the last node of the whole range [0, n) exactly
 * one entry, the root, is left. Works as well for part of the range: then the entries that are
 * left are the sumtree_cover of that part. */
struct sumtree_stack {
    struct sumtree_node nodes[SUMTREE_MAX_NODES];
    uint32_t depth;
    uint32_t n;
};

void sumtree_start(struct sumtree_stack *stack, uint32_t n);
uint32_t sumtree_push(struct sumtree_stack *stack, struct sumtree_node node);

#endif
