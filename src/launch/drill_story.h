/* drill_story.h - what a drill did and what each of its faults cost, in words and as JSON. */
#ifndef LAUNCH_DRILL_STORY_H
#define LAUNCH_DRILL_STORY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "drill.h"
#include "drill_costs.h"

enum { DRILL_STORY_MAX = 10000, DRILL_STORY_BYTES = 512 };

/* Zeroed: nothing happened. */
struct drill_story {
    json_t *faults; /* a list of the first DRILL_STORY_MAX */
};

/* The next fault: so many seconds after the begin of the drill. */
void drill_story_fault(struct drill_story *story, double seconds, enum drill_kind kind,
                       const char *text);
/* What those that it names cost. */
void drill_story_cost(struct drill_story *story, const struct drill_cost *cost);
/* [{"fault", "seconds", "kind", "text", "cost"}]: each cost is that of the epoch that answers it,
 * or null. */
json_t *drill_story_json(const struct drill_story *story);
void drill_story_clear(struct drill_story *story);

/* "faults 1, 2: epoch 3 (lost member 4): 2 workers from step 9, 0.2 s, 0 steps lost" */
void drill_story_cost_text(const struct drill_cost *cost, char *text, size_t text_bytes);
/* "fault 4 brought no epoch"; "" where each brought one. */
void drill_story_unanswered_text(const struct drill_costs *costs, char *text, size_t text_bytes);

#endif
