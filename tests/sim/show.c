/* show.c - events and actions of the decision core as text, one line each. */
#include "show.h"

#include <inttypes.h>

static const char *const event_names[] = {
    [EVENT_START] = "start",
    [EVENT_REGISTERED] = "registered",
    [EVENT_LOST] = "lost",
    [EVENT_GATHERED] = "gathered",
    [EVENT_OPENED] = "opened",
    [EVENT_SPAWN_RESULT] = "spawned",
    [EVENT_REPORT] = "report",
    [EVENT_CHECKPOINT_SHARD] = "shard",
    [EVENT_CHECKPOINT_COMMITTED] = "committed",
    [EVENT_CHECKPOINT_FAILED] = "failed",
    [EVENT_CHECKPOINT_BAD] = "bad",
    [EVENT_SIZE_REFUSED] = "size-refused",
    [EVENT_FINAL_WORK_DONE] = "final",
    [EVENT_REQUEST] = "request",
    [EVENT_TICK] = "tick",
};

static const char *const level_names[] = {
    [LEVEL_MEMORY] = "memory",
    [LEVEL_LOCAL] = "local",
    [LEVEL_PARTNER] = "partner",
    [LEVEL_SHARED] = "shared",
};

static const char *const source_names[] = {
    [SOURCE_FRESH] = "fresh",
    [SOURCE_MEMBER] = "member",
    [SOURCE_HELD] = "held",
    [SOURCE_CHECKPOINT] = "checkpoint",
};

static const char *const reason_names[] = {
    [GIVE_UP_TOO_FEW] = "too-few",
    [GIVE_UP_STOPPED] = "stopped",
    [GIVE_UP_NO_PROGRESS] = "no-progress",
    [GIVE_UP_BUDGET] = "budget",
    [GIVE_UP_END_TIME] = "end-time",
    [GIVE_UP_NO_STATE] = "no-state",
    [GIVE_UP_STATE_ON_HOSTS] = "state-on-hosts",
};

static const char *const note_names[] = {
    [NOTE_STEPS_LOST] = "steps-lost",
    [NOTE_SPARE_WORKERS] = "spare-workers",
    [NOTE_CHECKPOINT_MISSED] = "checkpoint-missed",
    [NOTE_SPAWN_FAILED] = "spawn-failed",
    [NOTE_CHECKPOINT_FAILED] = "checkpoint-failed",
    [NOTE_END_TIME] = "end-time",
    [NOTE_NO_FINAL_CHECKPOINT] = "no-final-checkpoint",
};

const char *show_event_name(uint8_t type)
{
    return type >= EVENT_START && type <= EVENT_TICK ? event_names[type] : NULL;
}

const char *show_level_name(uint8_t level)
{
    return level >= LEVEL_MEMORY && level <= LEVEL_SHARED ? level_names[level] : NULL;
}

void show_event(FILE *out, const struct controller_event *event)
{
    fprintf(out, "> %s at=%.6f member=%u step=%" PRId64 " epoch=%" PRId64 "%s%s%s",
            event_names[event->type], (double)event->now_us / 1e6, event->member, event->step,
            event->epoch, event->clean ? " clean" : "", event->is_controller ? " controller" : "",
            event->in_change ? " in-change" : "");
    for (uint32_t i = 0; i < event->held_count; i++)
        fprintf(out, " held=%" PRId64 "/%u/%u/%s", event->held[i].step, event->held[i].shard,
                event->held[i].shard_count, level_names[event->held[i].level]);
    fprintf(out, " host=%u count=%u tried=%u request=%u\n", event->host, event->count, event->tried,
            event->request);
}

static void show_lineup(FILE *out, const struct controller *state, uint32_t size)
{
    fprintf(out, "<   lineup");
    for (uint32_t rank = 0; rank < size && rank < 64; rank++)
        for (uint32_t i = 0; i < controller_member_count(state); i++)
            if (controller_member(state, i)->rank == (int32_t)rank)
                fprintf(out, " %u", controller_member(state, i)->id);
    fprintf(out, "%s\n", size > 64 ? " ..." : "");
}

static void show_open(FILE *out, const struct controller *state,
                      const struct controller_action *action)
{
    fprintf(out, "< open epoch=%" PRId64 " size=%u step=%" PRId64 " source=%s", action->epoch,
            action->size, action->step, source_names[action->source]);
    if (action->member != 0)
        fprintf(out, " member=%u", action->member);
    if (action->steps_lost != 0)
        fprintf(out, " steps-lost=%" PRId64, action->steps_lost);
    fprintf(out, "\n");
    show_lineup(out, state, action->size);
}

void show_action(FILE *out, const struct controller *state, const struct controller_action *action)
{
    static const char *const plain_names[] = {
        [ACTION_TAKE_CHECKPOINT] = "take-checkpoint",
        [ACTION_COMMIT_CHECKPOINT] = "commit-checkpoint",
        [ACTION_ABANDON_CHECKPOINT] = "abandon-checkpoint",
        [ACTION_FINISH] = "finish",
        [ACTION_COMPLETE] = "complete",
    };
    switch (action->type) {
    case ACTION_REFORM:
        fprintf(out, "< reform\n");
        break;
    case ACTION_OPEN_EPOCH:
        show_open(out, state, action);
        break;
    case ACTION_SPAWN:
        fprintf(out, "< spawn count=%u\n", action->count);
        break;
    case ACTION_GIVE_UP:
        fprintf(out, "< give-up %s exit=%d\n", reason_names[action->reason], action->exit_code);
        break;
    case ACTION_NOTE:
        fprintf(out, "< note %s member=%u step=%" PRId64 " count=%u\n", note_names[action->note],
                action->member, action->step, action->count);
        break;
    default:
        fprintf(out, "< %s step=%" PRId64 "\n", plain_names[action->type], action->step);
        break;
    }
}
