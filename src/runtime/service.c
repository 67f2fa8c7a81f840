/* service.c - a task whose work is given out in messages: the program's service beside the
 * controller, messages between it and the workers, and how its progress becomes steps.
 *
 * The core knows steps that workers complete. Here the service alone counts them, and what it
 * counted is safe in its files. So in a change every member is said to have the state of the newest
 * step, which makes it the step to resume at, with nothing to bring; outside of one the worker of
 * rank 0 stands for all in the reports to the core. At the last step every worker is told, again
 * and again until its own report says that it knows: then the task ends as any other. A step that
 * was counted is a checkpoint that was committed, so that a stop has nothing to wait for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"

enum { TELL_NS = 100000000, SERVE_NS = 30000000 };

struct program_head {
    uint32_t kind, member; /* as of a struct message */
};

_Static_assert(ONWARD_MAX_MESSAGE_BYTES + sizeof(struct program_head) <=
                   TRANSPORT_MAX_MESSAGE_BYTES,
               "a message of the program fits into one of the transport");

void control_lead_service(struct onward *ow, struct change_report *reports, int count)
{
    struct control *control = ow->control;
    const struct onward_service *service = ow->options.service;
    if (!service)
        return;
    if (!control->leads) {
        int64_t step = service->lead(service->context);
        control->leads = true;
        control->served_step = step > 0 ? step : 0;
        control->told_step = -1;
        if (step < 0 && !control->give_up)
            control_end(ow, (int)step, onward_error_message((int)step));
    }
    for (int i = 0; i < count; i++) {
        reports[i].complete_step = control->served_step;
        reports[i].clean = true;
    }
}

void control_tell_service(struct onward *ow)
{
    const struct onward_service *service = ow->options.service;
    uint32_t count = 0;
    if (!service)
        return;
    struct onward_member *list = calloc(ow->seat_count + 1, sizeof *list);
    if (!list) {
        control_end(ow, ONWARD_ERR_MEMORY, "no memory for the list of members");
        return;
    }
    for (uint32_t i = 0; i < ow->seat_count; i++)
        if (!ow->seats[i].dedicated)
            list[count++] = (struct onward_member){ow->seats[i].member, ow->seats[i].rank >= 0,
                                                   ow->seats[i].host};
    service->members(service->context, list, count);
    free(list);
    ow->control->told_step = -1;
    ow->control->tell_ns = 0;
}

static uint32_t first_worker(const struct onward *ow)
{
    for (uint32_t i = 0; i < ow->seat_count; i++)
        if (ow->seats[i].rank == 0)
            return ow->seats[i].member;
    return 0;
}

static void tell_core(struct onward *ow)
{
    struct control *control = ow->control;
    control->told_step = control->served_step;
    control_feed(ow, (struct controller_event){.type = EVENT_CHECKPOINT_COMMITTED,
                                               .step = control->served_step});
    if (ow->ended || control->give_up)
        return;
    control_feed(ow, (struct controller_event){.type = EVENT_REPORT,
                                               .member = first_worker(ow),
                                               .step = control->served_step,
                                               .epoch = controller_epoch(control->core),
                                               .clean = true});
    fault_of_controller(ow, control->served_step);
}

/* Those who have not said that they know; what does not get through is sent again. */
static void tell_workers(struct onward *ow)
{
    struct control *control = ow->control;
    struct message order = {.kind = ORDER_PROGRESS, .step = control->served_step};
    for (uint32_t i = 0; i < ow->seat_count; i++) {
        const struct core_member *member = controller_find(control->core, ow->seats[i].member);
        if (!member || member->rank < 0)
            continue;
        if (ow->seats[i].member == ow->member)
            worker_take_order(ow, &order);
        else if (member->complete_step < control->served_step || member->rank == 0)
            transport_send(ow->transport, (int)i, &order, sizeof order);
    }
}

void control_serve(struct onward *ow)
{
    struct control *control = ow->control;
    const struct onward_service *service = ow->options.service;
    int64_t now_ns = clock_ns();
    if (!service || !control->leads || ow->changing || controller_in_change(control->core))
        return;
    int64_t step = service->serve(service->context);
    if (control->give_up)
        return;
    control->served_step = step > control->served_step ? step : control->served_step;
    if (control->served_step != control->told_step)
        tell_core(ow);
    bool at_end = control->served_step >= ow->options.step_count;
    if (!ow->ended && !control->give_up && (now_ns >= control->tell_ns || at_end)) {
        tell_workers(ow);
        control->tell_ns = now_ns + TELL_NS;
    }
}

bool service_take(struct onward *ow, const void *bytes, size_t size)
{
    const struct program_head *head = bytes;
    const struct onward_service *service = ow->options.service;
    if (size < sizeof *head || head->kind != MESSAGE_PROGRAM)
        return false;
    if (!service)
        return true;
    if (!ow->control) {
        service->answer(service->context, head + 1, size - sizeof *head);
    } else if (ow->control->leads) {
        control_stay_awake(ow, SERVE_NS);
        service->request(service->context, head->member, head + 1, size - sizeof *head);
    }
    return true;
}

void service_changed(struct onward *ow)
{
    if (ow->options.service && !ow->dedicated)
        ow->options.service->changed(ow->options.service->context);
}

void service_idle(struct onward *ow)
{
    const struct onward_service *service = ow->options.service;
    if (service && service->idle && ow->opened && !ow->ended)
        service->idle(service->context);
}

/* Where in control a member is; -1: nowhere. */
static int rank_of(const struct onward *ow, uint32_t member)
{
    const struct seat *seat = control_find_seat(ow->seats, ow->seat_count, member);
    return seat ? (int)(seat - ow->seats) : -1;
}

static int send_to(struct onward *ow, int rank, const void *bytes, size_t size)
{
    static union {
        struct program_head head;
        unsigned char bytes[TRANSPORT_MAX_MESSAGE_BYTES];
    } whole;
    whole.head = (struct program_head){MESSAGE_PROGRAM, ow->member};
    memcpy(&whole.head + 1, bytes, size);
    return transport_send(ow->transport, rank, &whole, sizeof whole.head + size);
}

int onward_send(struct onward *ow, uint32_t member, const void *bytes, size_t size)
{
    const struct onward_service *service = ow->options.service;
    if (!bytes || size > ONWARD_MAX_MESSAGE_BYTES)
        return error_set(&ow->error, ONWARD_ERR_ARGUMENT,
                         "onward_send: expected a message of at most %d bytes",
                         ONWARD_MAX_MESSAGE_BYTES);
    if (!service || !ow->opened || (member != 0 && !ow->control))
        return error_set(&ow->error, ONWARD_ERR_ORDER,
                         "onward_send: expected a task with a service, in an epoch");
    if (transport_loss_seen(ow->transport))
        return ONWARD_ERR_LOST;
    if (member == 0 && ow->control) {
        control_stay_awake(ow, SERVE_NS);
        service->request(service->context, ow->member, bytes, size);
        return ONWARD_OK;
    }
    if (member != 0 && member == ow->member) {
        service->answer(service->context, bytes, size);
        return ONWARD_OK;
    }
    int rank = member == 0 ? 0 : rank_of(ow, member);
    return rank < 0 ? ONWARD_ERR_NOT_FOUND : send_to(ow, rank, bytes, size);
}

bool onward_poll(struct onward *ow)
{
    mark_place(ow, ow->in_step ? BEAT_STEP : BEAT_FINAL);
    worker_poll(ow);
    if (ow->fault_count > 0)
        fault_at_progress(ow);
    if (ow->ended || ow->complete_ordered || transport_loss_seen(ow->transport))
        return false;
    ow->step_end_ns = ow->poll_ns; /* a stall begins here */
    return ow->complete_step < ow->options.step_count;
}

void onward_give_up(struct onward *ow, int code, const char *text)
{
    ow->gave_up = !ow->options.service;
    if (ow->control && !ow->ended && !ow->control->give_up)
        control_end(ow, code, text);
    if (ow->control || ow->ended)
        return;
    ow->give_up_code = code;
    snprintf(ow->give_up_text, sizeof ow->give_up_text, "%s", text);
    worker_say_give_up(ow);
}

void onward_warn(struct onward *ow, const char *text)
{
    if (ow->control) {
        control_warn(ow, "%.255s", text);
        return;
    }
    snprintf(ow->warning, sizeof ow->warning, "%.255s", text);
    worker_send_warning(ow);
}
