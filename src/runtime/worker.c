/* worker.c - what a worker tells the controller, and is told, between two steps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "copies.h"
#include "handle.h"
#include "slots.h"

enum { POLL_NS = 1000000, REPORT_NS = 100000000 };

/* A message to the controller; to itself where this member is the controller. */
bool worker_send_bytes(struct onward *ow, const void *bytes, size_t size)
{
    if (!ow->control)
        return transport_send(ow->transport, 0, bytes, size) == ONWARD_OK;
    control_take(ow, bytes, size);
    return true;
}

bool worker_send(struct onward *ow, struct message *message)
{
    message->member = ow->member;
    message->epoch = ow->role.epoch;
    return worker_send_bytes(ow, message, sizeof *message);
}

void worker_add_metrics(const struct onward *ow, struct message *message)
{
    if (ow->role.rank != 0)
        return;
    message->metric_count = ow->metric_count;
    memcpy(message->metrics, ow->metrics, sizeof message->metrics);
}

void worker_report(struct onward *ow)
{
    struct message report = {.kind = MESSAGE_REPORT, .step = ow->complete_step};
    report.stall_s = ow->stall_s;
    report.shared = worker_shared_flight(ow);
    report.partner = copies_flight(ow);
    worker_add_metrics(ow, &report);
    worker_send(ow, &report);
    ow->stall_s = -1;
    ow->report_ns = clock_ns() + REPORT_NS;
}

_Static_assert(sizeof(struct message) + ONWARD_MAX_ARRAYS * sizeof(struct checkpoint_array) <=
                   TRANSPORT_MAX_MESSAGE_BYTES,
               "the descriptions of all arrays are one message");

/* The controller needs the descriptions for the master of a checkpoint. */
void worker_send_arrays(struct onward *ow)
{
    size_t tail = ow->array_count * sizeof *ow->arrays;
    unsigned char *bytes = calloc(1, sizeof(struct message) + tail);
    if (!bytes)
        return;
    struct message message = {.kind = MESSAGE_ARRAYS, .member = ow->member};
    message.array_count = ow->array_count;
    memcpy(bytes, &message, sizeof message);
    memcpy(bytes + sizeof message, ow->arrays, tail);
    worker_send_bytes(ow, bytes, sizeof message + tail);
    free(bytes);
}

void worker_send_warning(struct onward *ow)
{
    struct message message = {.kind = MESSAGE_WARNING};
    if (!ow->warning[0])
        return;
    memcpy(message.text, ow->warning, sizeof message.text);
    if (worker_send(ow, &message))
        ow->warning[0] = '\0';
}

/* What ends the task must not be missed, so it is said until the end comes. */
void worker_say_give_up(struct onward *ow)
{
    struct message message = {.kind = MESSAGE_GIVE_UP, .code = ow->give_up_code};
    if (ow->give_up_code == ONWARD_OK)
        return;
    memcpy(message.text, ow->give_up_text, sizeof message.text);
    worker_send(ow, &message);
    ow->give_up_ns = clock_ns() + REPORT_NS;
}

void worker_take_order(struct onward *ow, const struct message *message)
{
    switch (message->kind) {
    case ORDER_CHECKPOINT:
        worker_checkpoint_give_up(ow); /* there is never more than one that the core waits for */
        ow->checkpoint_step = message->step;
        ow->checkpoint_attempt = message->attempt;
        ow->checkpoint_waits = message->code != BEHIND_STEPS;
        ow->checkpoint_leaves = message->code == BEHIND_START;
        break;
    case ORDER_FINISH:
        ow->finish_ordered = true;
        break;
    case ORDER_COMPLETE:
        ow->complete_ordered = true;
        ow->end_code = message->code;
        break;
    case ORDER_SPAWNS:
        ow->controller_spawns = message->code != 0;
        break;
    case ORDER_CHANGE:
        transport_interrupt(ow->transport);
        break;
    case ORDER_COPY:
        copies_order(ow, message->step);
        break;
    case ORDER_SAVED:
        if (message->step > ow->saved_step)
            ow->saved_step = message->step;
        slots_saved(ow);
        break;
    case ORDER_PROGRESS:
        if (message->step > ow->complete_step)
            ow->complete_step = message->step;
        break;
    default:
        break;
    }
}

static void take_messages(struct onward *ow)
{
    static union {
        struct message message;
        unsigned char bytes[TRANSPORT_MAX_MESSAGE_BYTES];
    } received;
    size_t size;
    int source;
    while (!ow->ended && transport_receive(ow->transport, &received, &size, &source)) {
        if (service_take(ow, &received, size))
            continue;
        if (ow->control)
            control_take(ow, &received, size);
        else if (size >= sizeof received.message)
            worker_take_order(ow, &received.message);
    }
}

/* Looks for messages and for a change (as the controller also after the time), at most a thousand
 * times a second: onward_next has to cost about a microsecond. */
void worker_poll(struct onward *ow)
{
    int64_t now = clock_ns();
    if (now < ow->poll_ns)
        return;
    ow->poll_ns = now + POLL_NS;
    take_messages(ow);
    if (ow->control)
        control_tick(ow);
    if (transport_change_due(ow->transport)) {
        transport_note_loss(ow->transport);
        return;
    }
    if (ow->in_lineup && now >= ow->report_ns)
        worker_report(ow);
    worker_send_warning(ow);
    if (now >= ow->give_up_ns)
        worker_say_give_up(ow);
}
