/* losses.c - see losses.h. */
#include "losses.h"

#include <stdio.h>
#include <string.h>

#include "lineup.h"

enum { POISON_LIMIT = 3 };

/* Returns how many losses at this step were in that subtask, with this one. */
static int count_subtask(struct loss_streak *losses, int64_t subtask)
{
    uint32_t i = 0;
    while (i < losses->subtask_count && losses->subtasks[i].subtask != subtask)
        i++;
    if (i == LOSS_SUBTASKS)
        return 1;
    if (i == losses->subtask_count)
        losses->subtasks[losses->subtask_count++] = (struct loss_subtask){subtask, 0};
    return ++losses->subtasks[i].count;
}

/* Of a loss that is in *losses already but for its subtask. */
static void note_subtask(struct loss_streak *losses, const json_t *number)
{
    if (!json_is_integer(number))
        return;
    losses->subtask = json_integer_value(number);
    int count = count_subtask(losses, losses->subtask);
    if (count >= POISON_LIMIT && !*losses->poison)
        snprintf(losses->poison, sizeof losses->poison,
                 "subtask %lld of step %lld ended %d workers: the last was worker %lld on host %s",
                 (long long)losses->subtask, (long long)losses->step, count,
                 (long long)losses->rank, losses->host);
}

void losses_note(struct loss_streak *losses, const json_t *event)
{
    const char *what = json_string_value(json_object_get(event, "event"));
    const char *host = json_string_value(json_object_get(event, "host"));
    int64_t step = json_integer_value(json_object_get(event, "step"));
    if (what && !strcmp(what, "epoch"))
        losses->workers = (uint32_t)json_integer_value(json_object_get(event, "workers"));
    if (!what || strcmp(what, "lost") != 0)
        return;
    if (losses->step != step)
        *losses = (struct loss_streak){.workers = losses->workers};
    losses->subtask = losses->count ? losses->subtask : -1;
    losses->count++;
    losses->step = step;
    losses->rank = json_integer_value(json_object_get(event, "rank"));
    snprintf(losses->host, sizeof losses->host, "%s", host ? host : "");
    note_subtask(losses, json_object_get(event, "subtask"));
}

/* " (subtask 5)", " (subtasks 4 to 7)" where it is not known which, or "". */
static void describe_subtasks(const struct loss_streak *losses, const struct rundir *rundir,
                              char *text, size_t text_bytes)
{
    struct task_record record;
    text[0] = '\0';
    if (losses->subtask >= 0) {
        snprintf(text, text_bytes, " (subtask %lld)", (long long)losses->subtask);
        return;
    }
    if (rundir_read_task(rundir, &record, NULL) != ONWARD_OK)
        return;
    uint32_t rank = (uint32_t)losses->rank;
    if (rank < losses->workers && record.subtask_count) {
        struct lineup_range range = lineup_split(record.subtask_count, losses->workers, rank);
        snprintf(text, text_bytes, " (subtasks %u to %u)", range.first,
                 range.first + range.count - 1);
    }
    task_record_clear(&record);
}

void losses_describe(const struct loss_streak *losses, const struct rundir *rundir, int64_t step,
                     char *text, size_t text_bytes)
{
    char subtasks[64];
    text[0] = '\0';
    if (losses->count == 0 || losses->step < step)
        return;
    if (losses->rank < 0) {
        snprintf(text, text_bytes, "the last loss was no worker, host %.100s", losses->host);
        return;
    }
    describe_subtasks(losses, rundir, subtasks, sizeof subtasks);
    snprintf(text, text_bytes, "%d loss%s there, the last of worker %lld%s, host %.100s",
             losses->count, losses->count == 1 ? "" : "es", (long long)losses->rank, subtasks,
             losses->host);
}
