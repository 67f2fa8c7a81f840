/* epoch.c - what the event log says of an epoch: how it came to be, which each member remembers,
 * since it may be the next controller, and how long no step was done for it, which workers tell. */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "control.h"

/* Since the last step of the incarnation before, which the launcher saw. */
static double restart_stall_s(void)
{
    const char *text = getenv("ONWARD_STEPPED_AT");
    double stepped_at_s = text ? strtod(text, NULL) : 0;
    double stall_s = clock_since_1970_s() - stepped_at_s;
    return stepped_at_s > 0 && stall_s > 0 ? stall_s : 0;
}

/* Whether a worker of before is one now. */
static bool works_on(const struct onward *ow, const struct opening *opening,
                     const struct seat *seats)
{
    for (uint32_t i = 0; i < opening->seat_count; i++) {
        const struct seat *now = &seats[i];
        const struct seat *was = control_find_seat(ow->seats, ow->seat_count, now->member);
        if (now->rank >= 0 && was && was->rank >= 0)
            return true;
    }
    return false;
}

/* How long no step was done, as far as this member can know. */
static double known_stall_s(const struct onward *ow)
{
    int64_t since_ns = ow->in_lineup ? ow->step_end_ns : ow->change_ns;
    return ow->opened ? (double)(clock_ns() - since_ns) / 1e9 : restart_stall_s();
}

static bool others_know_better(const struct onward *ow, const struct opening *opening,
                               const struct seat *seats)
{
    return ow->opened ? !ow->in_lineup && works_on(ow, opening, seats) : ow->spawned;
}

void epoch_remember(struct onward *ow, const struct opening *opening, const struct seat *seats)
{
    struct epoch_story *story = &ow->story;
    story->action = (struct controller_action){.type = ACTION_OPEN_EPOCH,
                                               .source = opening->source,
                                               .member = opening->source_member,
                                               .size = opening->size,
                                               .epoch = opening->epoch,
                                               .step = opening->step,
                                               .steps_lost = opening->steps_lost};
    memcpy(story->cause, opening->cause, sizeof story->cause);
    story->stall_s = known_stall_s(ow);
    ow->stall_s = others_know_better(ow, opening, seats) ? -1 : story->stall_s;
}

static const char *host_of(const struct onward *ow, uint32_t member)
{
    const struct seat *seat = control_find_seat(ow->seats, ow->seat_count, member);
    return seat ? seat->host : "";
}

/* The epoch's line in the log comes with the first report of a worker that knows the stall. Of a
 * set of copies only the controller that chose it knows whose they were. */
void control_report_epoch(struct onward *ow, double stall_s)
{
    struct control *control = ow->control;
    const struct epoch_story *story = &ow->story;
    const struct controller_action *opened = &story->action;
    bool is_of_set = ow->copies.from.shard_count > 0;
    if (control->epoch_told)
        return;
    control->epoch_told = true;
    json_t *extra = json_pack(
        "{s:I, s:s, s:f, s:I, s:I, s:s}", "workers", (json_int_t)opened->size, "cause",
        story->cause, "stall_s", stall_s, "steps_lost", (json_int_t)opened->steps_lost,
        "resume_step", (json_int_t)opened->step, "source", control_source_name(opened->source));
    if (is_of_set && control->copyset_size > 0)
        json_object_set_new(extra, "copies", control_tell_copies(ow));
    else if (!is_of_set && (opened->source == SOURCE_HELD || opened->source == SOURCE_MEMBER))
        json_object_set_new(extra, "from", json_string(host_of(ow, opened->member)));
    control_event(ow, "epoch", extra);
}

void control_tell_epoch(struct onward *ow)
{
    control_report_epoch(ow, ow->story.stall_s);
}
