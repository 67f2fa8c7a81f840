/* control_change.c - when a change of the lineup that was planned begins: between two steps.
 *
 * Nothing was lost when an operator asks for another lineup, so nobody is to be cut in the middle
 * of a step. Where no worker comes round in time (a very long step), the change begins at once.
 *
 * Replicated state is in the memory of those who go on, so one worker begins the change between its
 * own steps. Sharded state comes from copies, and the newest of these are of some steps ago; so the
 * workers are told to write one more, of a step that none of them has reached yet, and to wait
 * there. Once all have said that they did, the change begins, and costs no step. Where one was past
 * that step already a later one is tried, a few times. Where one cannot write, or all of this takes
 * too long, the change begins at once. */
#include "control.h"

/* Of a checkpoint's margin: who is late holds up all others, and a planned change has time. */
enum { COPY_TRIES = 4, FIRST_MARGIN = 4 };

static void begin(struct onward *ow)
{
    struct message order = {.kind = ORDER_CHANGE};
    for (uint32_t i = 0; ow->dedicated && i < ow->seat_count; i++)
        if (ow->seats[i].rank == 0 &&
            transport_send(ow->transport, (int)i, &order, sizeof order) == ONWARD_OK)
            return;
    transport_interrupt(ow->transport); /* a worker that is the controller: between its own steps */
}

bool control_has_shards(const struct control *control)
{
    for (uint32_t i = 0; i < control->array_count; i++)
        if (control->arrays[i].sharded)
            return true;
    return false;
}

/* Not reached yet, and in half of the time that the change may take to begin. */
static bool is_near(const struct onward *ow, int64_t step)
{
    double rate = ow->control->status.steps_per_s;
    int64_t distance = step - controller_order_step(ow->control->core, 0);
    return distance > 0 && (rate <= 0 || (double)distance <= rate * ow->options.reform_limit_s / 2);
}

static void order_copy(struct onward *ow)
{
    struct control *control = ow->control;
    control->copy_step = controller_order_step(control->core, FIRST_MARGIN << control->copy_tries);
    control->copy_count = 0;
    control->copy_tries++;
    if (control->copy_step >= ow->options.step_count)
        control->copy_step = ow->options.step_count - 1;
    if (is_near(ow, control->copy_step))
        control_order(ow, (struct message){.kind = ORDER_COPY, .step = control->copy_step}, true);
    else
        begin(ow);
}

void control_plan_change(struct onward *ow)
{
    struct control *control = ow->control;
    control->change_ns = clock_ns() + (int64_t)(ow->options.reform_limit_s * 1e9);
    control->copy_tries = 0;
    if (control_has_shards(control) && !ow->options.service)
        order_copy(ow);
    else
        begin(ow);
}

void control_take_copied(struct onward *ow, const struct message *message)
{
    struct control *control = ow->control;
    if (message->epoch != controller_epoch(control->core) || message->step != control->copy_step)
        return;
    bool is_late = message->code == ONWARD_ERR_ORDER && control->copy_tries < COPY_TRIES;
    control->copy_count++;
    if (message->code == ONWARD_OK && control->copy_count < controller_worker_count(control->core))
        return;
    control->copy_step = -1;
    if (is_late)
        order_copy(ow);
    else
        begin(ow);
}

void control_change_overdue(struct onward *ow)
{
    if (ow->control->change_ns == 0 || clock_ns() < ow->control->change_ns)
        return;
    ow->control->change_ns = 0;
    transport_interrupt(ow->transport);
}
