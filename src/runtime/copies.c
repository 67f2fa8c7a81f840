/* copies.c - the local level of a task with sharded state; see copies.h. */
#include "copies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copies_keep.h"
#include "shards.h"

/* The share of the time that copies may take, as one in so many. */
enum { COST_DIVISOR = 100, MAX_INTERVAL = 1000000 };

/* What one that finds no room passes for, so that it is not tried all the time. */
static const int64_t NO_ROOM_COST_NS = 10000000;

/* For the change that a copy was ordered for: all reach its step at about the same time. Then one
 * of them did not, and may need what this one does in the next step. */
static const int64_t HOLD_NS = 500000000, MAX_MORE_HOLD_NS = 5000000000;

struct copy_place copies_place(const struct onward *ow)
{
    return (struct copy_place){
        .directory = ow->options.local_directory, .task = ow->options.task, .run = ow->run_number};
}

static struct copy_id own_id(const struct onward *ow, int64_t step)
{
    return (struct copy_id){.incarnation = ow->incarnation,
                            .epoch = ow->role.epoch,
                            .step = step,
                            .shard = (uint32_t)ow->role.rank,
                            .shard_count = (uint32_t)ow->role.size};
}

static void plan_next(struct onward *ow)
{
    struct copies *copies = &ow->copies;
    int64_t fixed = ow->options.local_steps;
    copies->next_step =
        fixed > 0 ? (ow->complete_step / fixed + 1) * fixed : ow->complete_step + copies->interval;
    copies->begin_ns = clock_ns();
    copies->begin_step = ow->complete_step;
}

static bool takes_copies(const struct seat *seat)
{
    return !seat->dedicated && !seat->draining;
}

/* The host behind `host` in the order of the seats, and behind the last the first; or NULL where
 * there is no other. */
static const char *next_host(const struct onward *ow, const char *host)
{
    const char *first = NULL;
    bool is_behind = false;
    for (uint32_t i = 0; i < ow->seat_count; i++) {
        const char *other = ow->seats[i].host;
        bool is_new = true;
        for (uint32_t k = 0; k < i && is_new; k++)
            is_new = !takes_copies(&ow->seats[k]) || strcmp(ow->seats[k].host, other) != 0;
        if (!takes_copies(&ow->seats[i]) || !is_new)
            continue;
        if (strcmp(other, host) == 0)
            is_behind = true;
        else if (is_behind)
            return other;
        else if (!first)
            first = other;
    }
    return first;
}

/* The workers of a host are dealt out over the members of the next one. */
static void choose_partner(struct onward *ow)
{
    const char *host = next_host(ow, ow->host);
    uint32_t place = 0, count = 0, senders = 0;
    ow->copies.has_partner = host && ow->partner;
    ow->copies.lacks_partner = host && !ow->partner;
    for (uint32_t i = 0; i < ow->seat_count && host; i++) {
        const struct seat *seat = &ow->seats[i];
        bool sends = seat->rank >= 0 && strcmp(seat->host, ow->host) == 0;
        senders += sends;
        place += sends && seat->rank < ow->role.rank;
        count += takes_copies(seat) && strcmp(seat->host, host) == 0;
    }
    for (uint32_t i = 0, at = 0; i < ow->seat_count && host; i++)
        if (takes_copies(&ow->seats[i]) && strcmp(ow->seats[i].host, host) == 0 &&
            at++ == place % count) {
            ow->copies.to = ow->seats[i].partner;
            ow->copies.turn.count = (senders - 1 - place % count) / count;
        }
}

void copies_opened(struct onward *ow, const struct copy_id *from)
{
    ow->copies = (struct copies){.whole_step = -1,
                                 .newest_step = -1,
                                 .flight_step = -1,
                                 .sent_step = -1,
                                 .ordered_step = -1,
                                 .from = *from,
                                 .interval = 1,
                                 .settle_step = INT64_MAX,
                                 .cost_ns = ow->copies.cost_ns,
                                 .room_told = ow->copies.room_told};
    if (ow->complete_step < ow->saved_step) /* it could not be read, or is gone */
        ow->saved_step = -1;
    copies_forget_unread(ow);
    if (ow->partner)
        partner_cancel(ow->partner);
    if (ow->in_lineup && shards_any(ow))
        choose_partner(ow);
    plan_next(ow);
}

void copies_listen(struct onward *ow, struct partner_address *address)
{
    struct copy_place place = copies_place(ow);
    struct error error = {0};
    if (!ow->partner && !ow->dedicated && shards_any(ow) &&
        partner_start(&place, ow->incarnation, &ow->partner, &error) != ONWARD_OK)
        snprintf(ow->warning, sizeof ow->warning, "%.255s", error.text);
    partner_own_address(ow->partner, address);
}

/* So many steps that the copy is a small part of their time. */
static int64_t wanted_interval(const struct copies *copies, int64_t steps)
{
    int64_t passed_ns = clock_ns() - copies->begin_ns;
    int64_t step_ns = steps > 0 && passed_ns > steps ? passed_ns / steps : 1;
    int64_t interval = copies->cost_ns * COST_DIVISOR / step_ns + 1;
    return interval < MAX_INTERVAL ? interval : MAX_INTERVAL;
}

/* The news of a failure is told once, not at each step. */
static void warn(struct onward *ow, const char *text)
{
    snprintf(ow->warning, sizeof ow->warning, "%.255s", text);
    worker_send_warning(ow);
}

/* Once for all workers of a host, and once a task: the news is not which step it was. */
static void tell_want_of_room(struct onward *ow)
{
    if (!ow->copies.room_told)
        snprintf(
            ow->warning, sizeof ow->warning,
            "%.120s: No space left for two copies of each part: a new one is written only once "
            "a checkpoint is as new as the one before",
            ow->options.local_directory);
    ow->copies.room_told = true;
    worker_send_warning(ow);
}

static void write_copy(struct onward *ow)
{
    struct copies *copies = &ow->copies;
    struct copy_place place = copies_place(ow);
    struct copy_id id = own_id(ow, ow->complete_step);
    struct error error = {0};
    int64_t begin_ns = clock_ns();
    int code = copy_has_room(&place, shards_copy_bytes(ow))
                   ? copy_write(&place, &id, ow->arrays, ow->array_count, &copies->bytes, &error)
                   : ONWARD_ERR_NO_SPACE;
    if (code != ONWARD_ERR_NO_SPACE)
        copies->cost_ns = clock_ns() - begin_ns;
    else if (copies->cost_ns < NO_ROOM_COST_NS)
        copies->cost_ns = NO_ROOM_COST_NS;
    copies->newest_step = ow->complete_step;
    bool is_news = code != ONWARD_OK && !copies->has_failed;
    copies->has_failed = code != ONWARD_OK;
    copies->lacks_room = code == ONWARD_ERR_NO_SPACE;
    if (copies->lacks_room)
        tell_want_of_room(ow);
    else if (is_news)
        warn(ow, error.text);
}

static void begin_flight(struct onward *ow)
{
    struct copies *copies = &ow->copies;
    struct copy_id id = own_id(ow, ow->complete_step);
    bool takes_part = copies->has_partner || copies->lacks_partner;
    if (!takes_part || copies->flight_step >= 0)
        return;
    copies->flight_step = ow->complete_step;
    if (copies->has_partner) /* else that of the others comes to nothing */
        partner_send(ow->partner, &copies->to, &id, copies->sent_step, copies->turn);
}

/* Whether this worker's copy is on its way still. */
static bool look_at_flight(struct onward *ow)
{
    struct copies *copies = &ow->copies;
    char text[256];
    if (copies->flight_step < 0 || !copies->has_partner)
        return false;
    enum partner_state state = partner_look(ow->partner, text);
    if (state == PARTNER_FAILED && !copies->flight_failed)
        warn(ow, text);
    copies->flight_failed = state == PARTNER_FAILED;
    return state == PARTNER_SENDS;
}

/* What every worker says, and all hear the most of. False: somebody is lost. */
static bool agree(struct onward *ow, struct copies_agreement *agreed)
{
    struct copies *copies = &ow->copies;
    int64_t values[] = {wanted_interval(copies, ow->complete_step - copies->begin_step),
                        copies->has_failed,
                        look_at_flight(ow),
                        copies->flight_failed || copies->lacks_partner,
                        copies->lacks_room,
                        -ow->saved_step,
                        (int64_t)shards_copy_bytes(ow)};
    if (transport_max(ow->transport, values, sizeof values / sizeof *values) != ONWARD_OK) {
        transport_note_loss(ow->transport);
        return false;
    }
    *agreed = (struct copies_agreement){.interval = values[0],
                                        .newest_is_whole = !values[1],
                                        .flight_ended = !values[2],
                                        .flight_is_whole = !values[3],
                                        .lacks_room = values[4] != 0,
                                        .saved_step = -values[5],
                                        .bytes = (uint64_t)values[6]};
    return true;
}

/* Behind a copy all agree again, at the next step and then ever less often, until it is known to be
 * whole and to have arrived: what is older need not stay until the next one. */
static void plan_settling(struct onward *ow, bool is_new)
{
    struct copies *copies = &ow->copies;
    bool is_open = copies->newest_step >= 0 || copies->flight_step >= 0;
    copies->settle_wait = is_new ? 1 : 2 * copies->settle_wait;
    copies->settle_step = is_open ? ow->complete_step + copies->settle_wait : INT64_MAX;
}

void copies_step(struct onward *ow)
{
    struct copies *copies = &ow->copies;
    struct copies_agreement agreed;
    bool is_due = ow->complete_step >= copies->next_step;
    if ((!is_due && ow->complete_step < copies->settle_step) ||
        ow->complete_step >= ow->options.step_count || !shards_any(ow) || !agree(ow, &agreed))
        return;
    copies_settle(ow, &agreed);
    if (is_due) {
        copies_make_room(ow, &agreed);
        copies->interval = agreed.interval;
        copies->turn.bytes = agreed.bytes;
        write_copy(ow);
        begin_flight(ow);
        plan_next(ow);
    }
    plan_settling(ow, is_due);
}

void copies_order(struct onward *ow, int64_t step)
{
    ow->copies.ordered_step = step;
    ow->copies.hold_until_ns = 0;
}

/* Others may need longer for theirs, but a worker that waits for this one must not seem to hang. */
static int64_t hold_ns(int64_t write_ns)
{
    int64_t more_ns = 4 * write_ns;
    return HOLD_NS + (more_ns < MAX_MORE_HOLD_NS ? more_ns : MAX_MORE_HOLD_NS);
}

/* It is none of the two that the agreement knows, and goes with the next one of these. */
static void write_ordered(struct onward *ow, struct message *told)
{
    struct copies *copies = &ow->copies;
    struct copy_place place = copies_place(ow);
    struct copy_id id = own_id(ow, ow->complete_step);
    struct error error = {0};
    int64_t begin_ns = clock_ns();
    told->code = copy_write(&place, &id, ow->arrays, ow->array_count, &copies->bytes, &error);
    if (told->code == ONWARD_OK)
        copies->hold_until_ns = clock_ns() + hold_ns(clock_ns() - begin_ns);
    else
        warn(ow, error.text);
}

bool copies_hold(struct onward *ow)
{
    struct copies *copies = &ow->copies;
    if (copies->ordered_step >= 0 && ow->complete_step >= copies->ordered_step) {
        struct message told = {
            .kind = MESSAGE_COPIED, .step = copies->ordered_step, .code = ONWARD_ERR_ORDER};
        bool is_past = ow->complete_step > copies->ordered_step;
        copies->ordered_step = -1;
        if (!is_past)
            write_ordered(ow, &told);
        worker_report(ow); /* the core is to know the step first */
        worker_send(ow, &told);
    }
    return copies->hold_until_ns > 0 && clock_ns() < copies->hold_until_ns;
}

struct run_flight copies_flight(const struct onward *ow)
{
    const struct copies *copies = &ow->copies;
    char text[256];
    bool sends = copies->has_partner && copies->flight_step >= 0 &&
                 partner_look(ow->partner, text) == PARTNER_SENDS;
    return sends ? (struct run_flight){copies->flight_step, copies->bytes} : (struct run_flight){0};
}

void copies_note_unread(struct onward *ow, int code, const char *text)
{
    if (ow->unread_text[0] != '\0')
        return;
    ow->unread_code = code;
    snprintf(ow->unread_text, sizeof ow->unread_text, "%.255s", text);
}

int copies_leave_unread(struct onward *ow, const struct copy_id *id, const char *text)
{
    struct copy_id *grown = realloc(ow->unread, (ow->unread_count + 1) * sizeof *grown);
    if (!grown)
        return ONWARD_ERR_MEMORY;
    ow->unread = grown;
    ow->unread[ow->unread_count++] = *id;
    copies_note_unread(ow, ONWARD_ERR_IO, text);
    return ONWARD_OK;
}

void copies_forget_unread(struct onward *ow)
{
    free(ow->unread);
    ow->unread = NULL;
    ow->unread_count = 0;
    ow->unread_text[0] = '\0';
}

static bool is_unread(const struct onward *ow, const struct copy_id *id)
{
    for (uint32_t i = 0; i < ow->unread_count; i++) {
        struct copy_id same = ow->unread[i];
        same.is_partner = id->is_partner; /* a file of the host is tried, whoever it is from */
        if (memcmp(&same, id, sizeof same) == 0)
            return true;
    }
    return false;
}

/* A program that has nothing sharded any more began anew over them. */
static void note_copies_of_another(struct onward *ow, const struct copy_place *place)
{
    struct copy_id *list = NULL;
    uint32_t count = 0;
    if (copy_list(place, &list, &count, NULL) == ONWARD_OK && count > 0)
        copies_note_unread(
            ow, ONWARD_ERR_INPUT,
            "copies of sharded arrays are there, of which the program protects none");
    free(list);
}

void copies_find(struct onward *ow, struct copy_id **list, uint32_t *count)
{
    struct copy_place place = copies_place(ow);
    struct error error = {0};
    *list = NULL;
    *count = 0;
    if (!ow->dedicated && shards_any(ow) && copy_list(&place, list, count, &error) != ONWARD_OK)
        snprintf(ow->warning, sizeof ow->warning, "%.255s", error.text);
    if (error.code == ONWARD_ERR_IO)
        copies_note_unread(ow, ONWARD_ERR_IO, error.text);
    else if (!ow->dedicated && !ow->opened && !ow->spawned && !shards_any(ow))
        note_copies_of_another(ow, &place);
    for (uint32_t i = 0; i < *count; i++)
        (*list)[i].is_unread = is_unread(ow, &(*list)[i]);
}

void copies_remove_all(struct onward *ow)
{
    struct copy_place place = copies_place(ow);
    copy_remove_all(&place);
}
