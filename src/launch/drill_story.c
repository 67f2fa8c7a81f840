/* drill_story.c - a fault has its number from its place in the list. */
#include "drill_story.h"

#include "progress.h"
#include "words.h"

enum { SHOWN = 16 };

void drill_story_fault(struct drill_story *story, double seconds, enum drill_kind kind,
                       const char *text)
{
    if (!story->faults)
        story->faults = json_array();
    size_t count = json_array_size(story->faults);
    if (count < DRILL_STORY_MAX)
        json_array_append_new(story->faults,
                              json_pack("{s:I, s:f, s:s, s:s, s:n}", "fault", (json_int_t)count + 1,
                                        "seconds", seconds, "kind", drill_kind_name(kind), "text",
                                        text, "cost"));
}

void drill_story_cost(struct drill_story *story, const struct drill_cost *cost)
{
    json_t *root =
        json_pack("{s:I, s:s, s:I, s:I, s:f, s:I}", "epoch", (json_int_t)cost->epoch, "cause",
                  cost->cause, "workers", (json_int_t)cost->workers, "step", (json_int_t)cost->step,
                  "stall_s", cost->stall_s, "steps_lost", (json_int_t)cost->steps_lost);
    for (uint32_t i = 0; i < cost->fault_count; i++)
        json_object_set(json_array_get(story->faults, (size_t)cost->faults[i] - 1), "cost", root);
    json_decref(root);
}

json_t *drill_story_json(const struct drill_story *story)
{
    return story->faults ? json_incref(story->faults) : json_array();
}

void drill_story_clear(struct drill_story *story)
{
    json_decref(story->faults);
    story->faults = NULL;
}

/* The numbers of faults, of which a story shows no more than so many. */
static void add_number(struct words *words, uint32_t index, uint32_t count, int64_t number)
{
    if (index == 0)
        words_add(words, count == 1 ? "fault" : "faults");
    if (index < SHOWN)
        words_add(words, "%s %lld", index == 0 ? "" : ",", (long long)number);
    else if (index + 1 == count)
        words_add(words, " and %u more", count - SHOWN);
}

void drill_story_cost_text(const struct drill_cost *cost, char *text, size_t text_bytes)
{
    char stall[32];
    struct words words = words_start(text, text_bytes);
    progress_duration(cost->stall_s, stall, sizeof stall);
    for (uint32_t i = 0; i < cost->fault_count; i++)
        add_number(&words, i, cost->fault_count, cost->faults[i]);
    words_add(&words, "%sepoch %lld (%s): %lld workers from step %lld, %s, %lld steps lost",
              cost->fault_count > 0 ? ": " : "", (long long)cost->epoch, cost->cause,
              (long long)cost->workers, (long long)cost->step, stall, (long long)cost->steps_lost);
}

void drill_story_unanswered_text(const struct drill_costs *costs, char *text, size_t text_bytes)
{
    struct words words = words_start(text, text_bytes);
    text[0] = '\0';
    for (uint32_t i = 0; i < costs->open_count; i++)
        add_number(&words, i, costs->open_count, costs->open[i].number);
    if (costs->given_up > 0)
        words_add(&words, "%s%lld older", costs->open_count > 0 ? ", and " : "",
                  (long long)costs->given_up);
    if (words.used > 0)
        words_add(&words, " brought no epoch");
}
