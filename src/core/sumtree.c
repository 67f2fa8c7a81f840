/* sumtree.c - the canonical summation tree over subtask numbers.
 *
 * A node with an empty right half has the same clipped range, and so the same sum, as its parent.
 * Of such a chain the highest node stands for all ("canonical"), which makes siblings meet on the
 * stack at the same level also at the ragged right edge of the tree. */
#include "sumtree.h"

#include <assert.h>

uint64_t sumtree_begin(struct sumtree_node node)
{
    assert(node.level < SUMTREE_MAX_LEVELS);
    return (uint64_t)node.index << node.level;
}

uint64_t sumtree_end(struct sumtree_node node, uint32_t n)
{
    assert(node.level < SUMTREE_MAX_LEVELS);
    uint64_t end = ((uint64_t)node.index + 1) << node.level;
    return end < n ? end : n;
}

uint32_t sumtree_root_level(uint32_t n)
{
    uint32_t level = 0;
    while (((uint64_t)1 << level) < n)
        level++;
    return level;
}

static struct sumtree_node parent_of(struct sumtree_node node)
{
    return (struct sumtree_node){.level = node.level + 1, .index = node.index >> 1};
}

/* Climbs from node while the parent begins at the same subtask and ends at or before `end`. */
static struct sumtree_node climb(struct sumtree_node node, uint32_t n, uint64_t end)
{
    uint32_t root = sumtree_root_level(n);
    while (node.level < root && node.index % 2 == 0 && sumtree_end(parent_of(node), n) <= end)
        node = parent_of(node);
    return node;
}

uint32_t sumtree_cover(uint32_t n, uint32_t first, uint32_t count, struct sumtree_node *nodes)
{
    uint64_t end = (uint64_t)first + count;
    uint32_t found = 0;
    assert(end <= n);
    for (uint64_t at = first; at < end; at = sumtree_end(nodes[found - 1], n)) {
        assert(found < SUMTREE_MAX_NODES);
        nodes[found++] = climb((struct sumtree_node){.index = (uint32_t)at}, n, end);
    }
    return found;
}

void sumtree_start(struct sumtree_stack *stack, uint32_t n)
{
    stack->depth = 0;
    stack->n = n;
}

uint32_t sumtree_push(struct sumtree_stack *stack, struct sumtree_node node)
{
    struct sumtree_node *nodes = stack->nodes;
    uint32_t folds = 0;
    assert(stack->depth < SUMTREE_MAX_NODES);
    assert(sumtree_begin(node) < sumtree_end(node, stack->n));
    assert(stack->depth == 0 ||
           sumtree_begin(node) == sumtree_end(nodes[stack->depth - 1], stack->n));
    node = climb(node, stack->n, sumtree_end(node, stack->n));
    while (stack->depth > 0 && node.index % 2 == 1 && nodes[stack->depth - 1].level == node.level) {
        stack->depth--;
        folds++;
        node = parent_of(node);
        node = climb(node, stack->n, sumtree_end(node, stack->n));
    }
    nodes[stack->depth++] = node;
    return folds;
}
