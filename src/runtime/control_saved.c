/* control_saved.c - what the controller makes of the checkpoints that it finds in the run
 * directory: the newest that can be used, what becomes of those that cannot, and when there is
 * none. */
#include <stdio.h>

#include "control.h"

void control_find_checkpoint(struct onward *ow)
{
    struct error error = {0};
    int64_t step = -1;
    struct control *control = ow->control;
    int code = checkpoint_find(ow->run, ow->options.task, &step, &control->unusable_checkpoints,
                               control_checkpoint_warning, ow, &error);
    if (code == ONWARD_OK && step >= 0)
        control_feed(ow,
                     (struct controller_event){.type = EVENT_CHECKPOINT_COMMITTED, .step = step});
    else if (code != ONWARD_OK && code != ONWARD_ERR_NOT_FOUND)
        control_warn(ow, "%s", error.text);
    control->status.checkpoint_step = step;
    control->checkpoint_incarnation = control_checkpoint_incarnation(ow, step);
}

void control_checkpoint_bad(struct onward *ow, int64_t step)
{
    control_warn(ow, "the checkpoint of step %lld could not be read; it is not tried again",
                 (long long)step);
    checkpoint_mark_failed(ow->run, step, "a worker could not read all of it", NULL);
    control_feed(ow, (struct controller_event){.type = EVENT_CHECKPOINT_BAD, .step = step});
    ow->control->knows_checkpoints = false; /* the one before is to be found */
}

/* Workers report at times, not each step: only of those who live is the newest step known. */
static bool is_witnessed(const struct controller *core, int64_t step)
{
    for (uint32_t i = 0; i < controller_member_count(core); i++) {
        const struct core_member *member = controller_member(core, i);
        if (member->reported && member->complete_step >= step)
            return true;
    }
    return false;
}

bool control_newest_is_saved(const struct onward *ow)
{
    const struct controller *core = ow->control->core;
    int64_t step = controller_checkpoint_step(core), best = controller_best_step(core);
    return step >= 0 && step >= best && is_witnessed(core, best);
}

/* To begin at the initial values, and in time overwrite what may still be mended, is for the user
 * to decide. */
void control_refuse_to_start_over(struct onward *ow)
{
    struct control *control = ow->control;
    if (control->give_up || control->opened.type != ACTION_OPEN_EPOCH ||
        control->opened.source != SOURCE_FRESH || control->unusable_checkpoints == 0)
        return;
    control->give_up = true;
    control->end_code = ONWARD_ERR_INPUT;
    snprintf(
        control->end_text, sizeof control->end_text,
        "none of the %u checkpoints of task %.63s is whole (`onward ckpt verify' says why) and "
        "nothing was removed; `onward ckpt rm --force' would, to begin anew",
        control->unusable_checkpoints, ow->options.task);
    control_write_end(ow, control->end_code, control->end_text);
}
