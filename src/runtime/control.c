/* control.c - the controller's messages, time, and its part in an epoch change. What it does on
 * behalf of the core is in control_act.c. */
#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IDLE_NS = 15000000,
    BUSY_NS = 1000000,
    REPORT_NS = 100000000,
    STATUS_NS = 500000000,
    REQUEST_NS = 200000000
};

/* FNV-1a */
uint32_t control_host_number(const char *host)
{
    uint32_t number = 2166136261u;
    for (const char *c = host; *c; c++)
        number = (number ^ (unsigned char)*c) * 16777619u;
    return number;
}

static void remember_metrics(struct run_status *status, const struct message *message)
{
    if (message->metric_count > RUNDIR_METRICS)
        return;
    for (uint32_t i = 0; i < message->metric_count; i++)
        status->metrics[i] = message->metrics[i];
    if (message->metric_count > 0)
        status->metric_count = message->metric_count;
}

static void take_report(struct onward *ow, const struct message *message)
{
    struct control *control = ow->control;
    remember_metrics(&control->status, message);
    control_take_flights(ow, message);
    control_feed(ow, (struct controller_event){.type = EVENT_REPORT,
                                               .member = message->member,
                                               .step = message->step,
                                               .epoch = message->epoch,
                                               .clean = true});
    bool is_of_epoch = message->epoch == controller_epoch(control->core);
    if (message->stall_s >= 0 && is_of_epoch)
        control_report_epoch(ow, message->stall_s);
    if (is_of_epoch)
        control_end_restore(ow, message->member);
    fault_of_controller(ow, controller_best_step(control->core));
}

static void take_arrays(struct onward *ow, const struct message *message, size_t size)
{
    size_t tail = message->array_count * sizeof(struct checkpoint_array);
    if (message->array_count > ONWARD_MAX_ARRAYS || size != sizeof *message + tail)
        return;
    memcpy(ow->control->arrays, message + 1, tail);
    ow->control->array_count = message->array_count;
    for (uint32_t i = 0; i < message->array_count; i++) {
        ow->control->arrays[i].data = NULL;
        ow->control->arrays[i].slabs = NULL;
    }
}

void control_take_warning(struct onward *ow, const char *text)
{
    char *newest = ow->control->worker_warning;
    if (text[0] == '\0' || strncmp(newest, text, WARNING_BYTES) == 0)
        return;
    memcpy(newest, text, WARNING_BYTES);
    control_warn(ow, "%.255s", newest);
}

static void take_failure(struct onward *ow, const struct message *message)
{
    bool is_late = message->kind == MESSAGE_MISSED;
    if (!is_late)
        control_warn(ow, "checkpoint of step %lld: %s", (long long)message->step, message->text);
    if (!control_is_of_attempt(ow, message))
        return;
    if (!is_late)
        control_make_room(ow, message->code, message->step);
    control_feed(ow, (struct controller_event){.type = EVENT_CHECKPOINT_FAILED,
                                               .member = is_late ? message->member : 0,
                                               .step = message->step,
                                               .epoch = message->epoch});
}

void control_take(struct onward *ow, const void *bytes, size_t size)
{
    const struct message *whole = bytes;
    if (size < sizeof *whole)
        return;
    struct message message = *whole; /* feeding the core may come back here */
    switch (message.kind) {
    case MESSAGE_REPORT:
        take_report(ow, &message);
        break;
    case MESSAGE_SLABS:
        control_take_slabs(ow, whole, size);
        break;
    case MESSAGE_SHARD:
        control_take_shard(ow, whole, size);
        break;
    case MESSAGE_FAILED:
    case MESSAGE_MISSED:
        take_failure(ow, &message);
        break;
    case MESSAGE_FINAL_DONE:
        remember_metrics(&ow->control->status, &message);
        control_feed(ow, (struct controller_event){.type = EVENT_FINAL_WORK_DONE,
                                                   .member = message.member,
                                                   .step = message.step,
                                                   .epoch = message.epoch});
        break;
    case MESSAGE_ARRAYS:
        take_arrays(ow, whole, size);
        break;
    case MESSAGE_WARNING:
        control_take_warning(ow, message.text);
        break;
    case MESSAGE_COPIED:
        control_take_copied(ow, &message);
        break;
    case MESSAGE_GIVE_UP:
        message.text[sizeof message.text - 1] = '\0';
        onward_give_up(ow, message.code, message.text);
        break;
    default:
        break;
    }
}

static void measure_rate(struct onward *ow, int64_t now_ns)
{
    struct control *control = ow->control;
    int64_t step = controller_current_step(control->core);
    double passed_s = (double)(now_ns - control->rate_ns) / 1e9;
    if (control->rate_step < 0 || step < control->rate_step || passed_s > 60) {
        control->rate_ns = now_ns;
        control->rate_step = step;
    } else if (passed_s > 1 && step > control->rate_step) {
        double rate = (double)(step - control->rate_step) / passed_s;
        double before = control->status.steps_per_s;
        control->status.steps_per_s = before > 0 ? 0.7 * before + 0.3 * rate : rate;
        control->rate_ns = now_ns;
        control->rate_step = step;
    }
}

void control_tick(struct onward *ow)
{
    struct control *control = ow->control;
    int64_t now_ns = clock_ns();
    if (!control->started || ow->ended || control->give_up)
        return;
    if (now_ns >= control->status_ns && control_is_fenced(ow))
        return;
    control_look_at_commit(ow);
    control_feed(ow, (struct controller_event){.type = EVENT_TICK});
    control_serve(ow);
    control_look_at_newcomers(ow);
    control_change_overdue(ow);
    if (now_ns >= control->request_ns) {
        control->request_ns = now_ns + REQUEST_NS;
        control_take_request(ow);
    }
    if (now_ns >= control->status_ns) {
        control->status_ns = now_ns + STATUS_NS;
        measure_rate(ow, now_ns);
        control_write_status(ow, "running");
    }
}

static void start_core(struct onward *ow, int count)
{
    struct control *control = ow->control;
    control->started = true;
    struct controller_event start = {.type = EVENT_START, .member = 1};
    control_fill_start(ow, &start);
    control_feed(ow, start);
    snprintf(control->cause, sizeof control->cause, "start");
    control_event(ow, "registered", json_pack("{s:i}", "members", count));
}

/* A member learns its ID only when all agree; in passes before that it is known by its process. */
static uint32_t known_member(const struct control *control, const struct change_report *report)
{
    if (report->member != 0)
        return report->member;
    for (int i = 0; i < control->given_count; i++)
        if (control->given[i].pid == report->pid && !strcmp(control->given[i].host, report->host))
            return control->given[i].member;
    return 0;
}

static void identify(const struct control *control, const struct change_report *reports, int count,
                     struct seat *seats)
{
    for (int i = 0; i < count; i++) {
        seats[i].member = known_member(control, &reports[i]);
        seats[i].pid = reports[i].pid;
        memcpy(seats[i].host, reports[i].host, sizeof seats[i].host);
        seats[i].partner = reports[i].partner;
    }
}

static void register_member(struct onward *ow, const struct change_report *report,
                            struct seat *seat)
{
    struct controller *core = ow->control->core;
    uint32_t next = controller_next_member_id(core);
    if (seat->member < next)
        seat->member = next;
    control_feed(ow, (struct controller_event){.type = EVENT_REGISTERED,
                                               .member = seat->member,
                                               .host = control_host_number(report->host),
                                               .is_controller = report->dedicated,
                                               .step = report->complete_step});
    if (controller_epoch(core) == 0)
        return;
    snprintf(ow->control->cause, sizeof ow->control->cause, "spawned member %u", seat->member);
    control_event(ow, "spawned",
                  json_pack("{s:I, s:s}", "member", (json_int_t)seat->member, "host", seat->host));
}

/* First those who know their ID from an opening that this controller did not see: IDs only grow. */
static void register_unknown(struct onward *ow, const struct change_report *reports, int count,
                             struct seat *seats)
{
    for (int knows_id = 1; knows_id >= 0; knows_id--)
        for (int i = 0; i < count; i++)
            if ((seats[i].member != 0) == knows_id &&
                !controller_find(ow->control->core, seats[i].member))
                register_member(ow, &reports[i], &seats[i]);
}

static void remember_seats(struct control *control, const struct seat *seats, int count)
{
    struct seat *given = realloc(control->given, (size_t)count * sizeof *given);
    if (!given)
        return; /* a pass that fails now costs a member a new ID */
    memcpy(given, seats, (size_t)count * sizeof *given);
    control->given = given;
    control->given_count = count;
}

/* What the reports of a change say before the core has them. */
static int64_t newest_step(const struct onward *ow, const struct change_report *reports, int count)
{
    int64_t step = controller_best_step(ow->control->core);
    for (int i = 0; i < count; i++)
        step = reports[i].complete_step > step ? reports[i].complete_step : step;
    return step;
}

static void tell_loss(struct onward *ow, const struct core_member *lost,
                      const struct change_report *reports, int count)
{
    const struct seat *known = control_find_seat(ow->seats, ow->seat_count, lost->id);
    struct seat seat = known ? *known : (struct seat){.host = ""};
    struct trace_point point = {.step = -1, .subtask = TRACE_NO_SUBTASK};
    int64_t step = newest_step(ow, reports, count);
    bool is_known = traces_find(ow, reports, count, &seat, &point) && point.step >= step;
    step = is_known ? point.step : step; /* who began a step had all before it */
    json_t *extra = json_pack("{s:I, s:i, s:s, s:I}", "member", (json_int_t)lost->id, "rank",
                              lost->rank, "host", seat.host, "pid", (json_int_t)seat.pid);
    if (is_known && point.subtask >= 0)
        json_object_set_new(extra, "subtask", json_integer(point.subtask));
    control_event_at(ow, "lost", step, extra);
    ow->control->status.losses++;
}

static bool is_told(const struct control *control, uint32_t member)
{
    for (uint32_t i = 0; i < control->told.loss_count; i++)
        if (control->told.losses[i] == member)
            return true;
    return false;
}

static void lose_member(struct onward *ow, const struct core_member *lost,
                        const struct change_report *reports, int count)
{
    struct control *control = ow->control;
    /* An ID that a change gave, and which it did not live to see, may be another's by now. */
    bool is_known = control_find_seat(ow->seats, ow->seat_count, lost->id) != NULL;
    if (!is_known || !is_told(control, lost->id))
        tell_loss(ow, lost, reports, count);
    snprintf(control->cause, sizeof control->cause, "lost member %u", lost->id);
    control_feed(ow, (struct controller_event){.type = EVENT_LOST, .member = lost->id});
}

static void lose_missing(struct onward *ow, const struct change_report *reports, int count,
                         const struct seat *seats)
{
    struct controller *core = ow->control->core;
    for (uint32_t i = 0; i < controller_member_count(core);) {
        const struct core_member *member = controller_member(core, i);
        uint32_t before = controller_member_count(core);
        if (control_find_seat(seats, (uint32_t)count, member->id)) {
            i++;
            continue;
        }
        struct core_member lost = *member;
        lose_member(ow, &lost, reports, count);
        if (controller_member_count(core) == before)
            i++; /* the core refused: never loop on it */
    }
}

static bool same_arrays(const struct change_report *reports, int count)
{
    uint64_t signature = 0;
    for (int i = 0; i < count; i++) {
        if (reports[i].dedicated)
            continue;
        if (signature != 0 && reports[i].signature != signature)
            return false;
        signature = reports[i].signature;
    }
    return true;
}

/* Where the state comes from, and who needs it. */
static void fill_source(struct onward *ow, const struct change_report *reports, int count,
                        struct opening *opening, const struct seat *seats)
{
    const struct controller_action *action = &ow->control->opened;
    opening->move_state = action->source == SOURCE_FRESH;
    bool is_held = action->source == SOURCE_HELD;
    const struct copyset_entry *copy = ow->control->copyset;
    if (is_held && ow->control->copyset_size > 0) {
        opening->copy = (struct copy_id){copy->incarnation, copy->epoch, copy->step, 0,
                                         copy->shard_count, 0,           0};
        return;
    }
    bool from_member = is_held || action->source == SOURCE_MEMBER;
    for (int i = 0; i < count; i++) {
        bool behind = is_held || !reports[i].clean || reports[i].complete_step != action->step;
        if (from_member && seats[i].rank >= 0 && behind)
            opening->move_state = true;
        if (from_member ? seats[i].member == action->member : seats[i].rank == 0)
            opening->source_seat = i;
    }
    opening->move_to_all =
        opening->move_state && from_member && seats[opening->source_seat].rank < 0;
    if (is_held)
        opening->held = reports[opening->source_seat].held;
    opening->is_disputed =
        is_held && memcmp(&opening->held, &ow->disputed, sizeof ow->disputed) == 0;
}

/* A first start with a number of workers that cannot be laid out is bad input: the user chose it.
 */
static bool may_shrink(const struct onward *ow, const struct opening *opening)
{
    const struct control *control = ow->control;
    bool has_worked = controller_epoch(control->core) > 0 || control->before.epoch > 0 ||
                      opening->source != SOURCE_FRESH;
    return has_worked && opening->size > controller_get_policy(control->core)->min_workers;
}

static void fill_end(struct onward *ow, const struct change_report *reports, int count,
                     struct opening *opening, struct seat *seats)
{
    opening->end = true;
    control_choose_leavers(ow, reports, count, opening, seats);
    opening->saved = control_newest_is_saved(ow);
    opening->restarts = ow->control->restarts && ow->control->end_code == ONWARD_ERR_STOPPED;
    opening->end_code = ow->control->end_code;
    memcpy(opening->text, ow->control->end_text, sizeof opening->text);
}

static void give_up_on_arrays(struct onward *ow)
{
    control_end(
        ow, ONWARD_ERR_INPUT,
        "the workers protect different arrays; every worker has to call onward_protect with "
        "the same arguments in the same order");
}

static void report_all(struct onward *ow, const struct change_report *reports, int count,
                       const struct seat *seats)
{
    int64_t held = control_held_incarnation(ow, reports, count);
    for (int i = 0; i < count; i++) {
        const struct change_report *report = &reports[i];
        int64_t held_step = report->held.step;
        bool is_held = held > 0 && held_step >= 0 && report->held.incarnation == held;
        is_held = control_copies_held(ow, i, &held_step) || is_held;
        control_feed(ow, (struct controller_event){.type = EVENT_REPORT,
                                                   .member = seats[i].member,
                                                   .step = report->complete_step,
                                                   .clean = report->clean,
                                                   .epoch = report->seen_epoch,
                                                   .in_change = true,
                                                   .sharded = report->sharded,
                                                   .held_count = is_held ? 1 : 0,
                                                   .held = {{held_step, 0, 1, LEVEL_LOCAL}}});
    }
}

void control_decide(struct onward *ow, const struct change_report *reports, int count,
                    struct opening *opening, struct seat *seats)
{
    struct control *control = ow->control;
    if (!control->started)
        start_core(ow, count);
    if (!control->knows_checkpoints) { /* once, not at each change */
        control->knows_checkpoints = true;
        control_find_checkpoint(ow);
    }
    identify(control, reports, count, seats);
    lose_missing(ow, reports, count, seats);
    control_settle_commit(ow); /* the core orders nothing once it knows of the change */
    control_choose_copies(ow);
    register_unknown(ow, reports, count, seats);
    remember_seats(control, seats, count);
    if (!same_arrays(reports, count))
        give_up_on_arrays(ow);
    report_all(ow, reports, count, seats);
    control->opened = (struct controller_action){0};
    if (!control->give_up)
        control_feed(ow, (struct controller_event){.type = EVENT_GATHERED});
    control_refuse_to_start_over(ow);
    *opening = (struct opening){.magic = OPENING_MAGIC,
                                .source = control->opened.source,
                                .size = control->opened.size,
                                .epoch = control->opened.epoch,
                                .step = control->opened.step,
                                .steps_lost = control->opened.steps_lost,
                                .source_member = control->opened.member,
                                .incarnation = ow->incarnation,
                                .run_number = ow->run_number};
    memcpy(opening->cause, control->cause, sizeof opening->cause);
    control_fill_seats(ow, reports, count, seats);
    opening->again = !control->give_up && control->opened.type != ACTION_OPEN_EPOCH;
    if (control->give_up)
        fill_end(ow, reports, count, opening, seats);
    else if (!opening->again) {
        fill_source(ow, reports, count, opening, seats);
        opening->saved = controller_checkpoint_step(control->core) >= opening->step;
        opening->state_bytes = control_state_bytes(reports, count, opening);
        opening->may_shrink = may_shrink(ow, opening);
        control_tell_restore(ow, opening);
    }
}

void control_opened(struct onward *ow, const struct seat *before, uint32_t before_count)
{
    struct control *control = ow->control;
    control_make_shards(ow, control->opened.size);
    control->epoch_told = false;
    control->cause[0] = '\0';
    control->rate_step = -1;
    control->change_ns = 0;
    control->copy_step = -1;
    control_feed(ow,
                 (struct controller_event){.type = EVENT_OPENED, .epoch = control->opened.epoch});
    control_tell_members(ow, before, before_count);
    control_tell_service(ow);
    control_write_status(ow, "running");
    control_stay_awake(ow, REPORT_NS); /* a spawn waits for the first report */
}

void control_stay_awake(struct onward *ow, int64_t for_ns)
{
    int64_t until_ns = clock_ns() + for_ns;
    if (until_ns > ow->control->busy_ns)
        ow->control->busy_ns = until_ns;
}

int onward_control(struct onward *ow)
{
    if (!ow->dedicated)
        return error_set(&ow->error, ONWARD_ERR_ORDER,
                         "onward_control was called on a worker; call onward_next");
    while (!ow->ended) {
        if (!ow->opened || transport_loss_seen(ow->transport)) {
            int code = change_run(ow);
            if (code != ONWARD_OK)
                return code;
        }
        if (!ow->ended)
            worker_poll(ow);
        if (!ow->ended && !transport_loss_seen(ow->transport))
            sleep_ns(clock_ns() < ow->control->busy_ns ? BUSY_NS : IDLE_NS);
    }
    return ow->end_code;
}
