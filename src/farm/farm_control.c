/* farm_control.c - the controller's side of the farm: the queue, the journal, and who has what.
 *
 * What a message says is applied to the queue and added to the journal at once, and answered by
 * farm_serve when the journal is in its file. A controller that took over knows from the journal
 * what is settled, and waits, before it gives out anything, until every worker has said what it
 * has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "farm.h"
#include "file.h"
#include "journal.h"
#include "queue.h"
#include "rundir.h"

enum { MAX_HOSTS = 65536, SYNC_MS = 300, ROOM_MS = 300000, TEXT_BYTES = 256 };

struct farm_member {
    uint32_t member; /* 0: none */
    bool works, said_hello;
    bool due; /* an answer */
    uint32_t sequence, want, host;
};

struct farm_control {
    struct farm_settings settings;
    struct onward *ow;
    uint32_t subtask_count;
    struct queue *queue;
    struct journal *journal;
    struct commands *commands;
    struct farm_member members[FARM_MAX_MEMBERS]; /* by slot of the queue */
    uint32_t member_count;                        /* slots that were ever used */
    uint32_t worker_count;
    uint32_t hellos_missing; /* until all have said what they have, after this one took over */
    bool gathers;
    char (*hosts)[JOURNAL_HOST_BYTES];
    uint32_t host_count;
    int64_t incarnation;
    uint32_t failed;     /* in all */
    uint32_t failed_now; /* in this incarnation */
    uint32_t settled, synced;
    int64_t sync_ms;    /* when next */
    int64_t no_room_ms; /* since when the journal cannot be written; 0: it can */
    struct error error;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

struct farm_control *farm_control_create(const struct farm_settings *settings,
                                         uint32_t subtask_count)
{
    const char *incarnation = getenv("ONWARD_INCARNATION");
    struct farm_control *control = calloc(1, sizeof *control);
    if (!control)
        return NULL;
    control->settings = *settings;
    control->subtask_count = subtask_count;
    control->incarnation = incarnation ? strtoll(incarnation, NULL, 10) : 0;
    return control;
}

void farm_control_destroy(struct farm_control *control)
{
    if (!control)
        return;
    queue_destroy(control->queue);
    journal_close(control->journal);
    commands_close(control->commands);
    free(control->hosts);
    free(control);
}

void farm_control_open(struct farm_control *control, struct onward *ow)
{
    control->ow = ow;
}

/* What cannot be written now could be later: the task can be resumed. */
static void stop_for(struct farm_control *control, const struct error *error)
{
    onward_give_up(control->ow, ONWARD_ERR_STOPPED, error->text);
}

/* Where there may be room again nobody is given anything for a while, and what came waits. */
static bool waits_for_room(struct farm_control *control)
{
    if (!rundir_may_recover(&control->error))
        return false;
    if (control->no_room_ms == 0) {
        control->no_room_ms = now_ms();
        onward_warn(control->ow, control->error.text);
    }
    return now_ms() - control->no_room_ms < ROOM_MS;
}

static void add(struct farm_control *control, const struct journal_record *record)
{
    if (journal_add(control->journal, record) == ONWARD_OK)
        return;
    if (journal_flush(control->journal, &control->error) != ONWARD_OK)
        stop_for(control, &control->error);
    else
        journal_add(control->journal, record);
}

static void remember_host(struct farm_control *control, uint32_t number, const char *name)
{
    if (number >= MAX_HOSTS)
        return;
    if (number >= control->host_count) {
        void *hosts = realloc(control->hosts, (number + 1) * sizeof *control->hosts);
        if (!hosts)
            return; /* then it gets another number */
        control->hosts = hosts;
        memset(control->hosts[control->host_count], 0,
               (number + 1 - control->host_count) * sizeof *control->hosts);
        control->host_count = number + 1;
    }
    snprintf(control->hosts[number], JOURNAL_HOST_BYTES, "%.*s", JOURNAL_HOST_BYTES - 1, name);
}

static void count_failure(struct farm_control *control)
{
    control->failed++;
    control->failed_now++;
}

static void restore(void *context, const struct journal_record *record)
{
    struct farm_control *control = context;
    enum queue_state settled = record->kind == JOURNAL_DONE     ? QUEUE_DONE
                               : record->kind == JOURNAL_FAILED ? QUEUE_FAILED
                               : record->kind == JOURNAL_POISON ? QUEUE_POISON
                                                                : QUEUE_OPEN;
    if (record->kind == JOURNAL_INCARNATION) {
        if (record->start_us != control->incarnation)
            control->failed_now = 0;
    } else if (record->kind == JOURNAL_HOST) {
        remember_host(control, record->host, record->name);
    } else if (queue_restore(control->queue, record->subtask, settled,
                             record->kind == JOURNAL_TRIED, record->kind == JOURNAL_LOST) &&
               settled > QUEUE_DONE) {
        count_failure(control);
    }
}

static uint32_t settled_count(const struct farm_control *control)
{
    return queue_count(control->queue, QUEUE_DONE) + queue_count(control->queue, QUEUE_FAILED) +
           queue_count(control->queue, QUEUE_POISON);
}

static int read_files(struct farm_control *control)
{
    struct queue_limits limits = {control->subtask_count, FARM_MAX_MEMBERS, FARM_GIVE_LIMIT,
                                  control->settings.retries + 1, control->settings.max_losses};
    const char *run = onward_run_directory(control->ow);
    char path[4096];
    control->queue = queue_create(&limits);
    if (!control->queue)
        return error_set(&control->error, ONWARD_ERR_MEMORY, "no memory for %u subtasks",
                         control->subtask_count);
    int code = file_join(path, sizeof path, run, "commands", &control->error);
    if (code == ONWARD_OK)
        code = commands_open(path, true, &control->commands, &control->error);
    if (code == ONWARD_OK)
        code = file_join(path, sizeof path, run, "journal", &control->error);
    if (code == ONWARD_OK)
        code = journal_read(path, control->subtask_count, restore, control, NULL, &control->error);
    if (code == ONWARD_OK)
        code = journal_open(path, control->subtask_count, &control->journal, &control->error);
    return code;
}

int64_t farm_lead(struct farm_control *control)
{
    int code = read_files(control);
    if (code == ONWARD_OK) {
        struct journal_record begins = {.kind = JOURNAL_INCARNATION,
                                        .start_us = control->incarnation};
        add(control, &begins);
        code = journal_flush(control->journal, &control->error);
    }
    if (code == ONWARD_OK)
        code = journal_sync(control->journal, &control->error);
    if (code != ONWARD_OK) {
        onward_give_up(control->ow, code, control->error.text);
        return code;
    }
    control->gathers = true;
    control->settled = control->synced = settled_count(control);
    return control->synced;
}

static uint32_t number_host(struct farm_control *control, const char *name)
{
    for (uint32_t i = 0; i < control->host_count; i++)
        if (strncmp(control->hosts[i], name, JOURNAL_HOST_BYTES - 1) == 0)
            return i;
    struct journal_record record = {.kind = JOURNAL_HOST, .host = control->host_count};
    snprintf(record.name, sizeof record.name, "%.*s", JOURNAL_HOST_BYTES - 1, name);
    remember_host(control, record.host, name);
    add(control, &record);
    return record.host;
}

/* Its slot, or FARM_MAX_MEMBERS. */
static uint32_t slot_of(const struct farm_control *control, uint32_t member)
{
    for (uint32_t slot = 0; slot < control->member_count; slot++)
        if (control->members[slot].member == member)
            return slot;
    return FARM_MAX_MEMBERS;
}

static void set_aside(struct farm_control *control, uint32_t subtask)
{
    char text[TEXT_BYTES];
    struct journal_record record = {.subtask = subtask,
                                    .kind = JOURNAL_POISON,
                                    .attempt = queue_attempts(control->queue, subtask)};
    add(control, &record);
    count_failure(control);
    snprintf(text, sizeof text,
             "subtask %u took down the worker that ran it %u times and is set aside", subtask + 1,
             control->settings.max_losses);
    onward_warn(control->ow, text);
}

static void lose(struct farm_control *control, uint32_t slot)
{
    uint32_t blamed;
    struct farm_member *member = &control->members[slot];
    queue_lost(control->queue, slot, &blamed);
    if (blamed != QUEUE_NONE) {
        struct journal_record record = {.subtask = blamed,
                                        .kind = JOURNAL_LOST,
                                        .host = member->host,
                                        .member = member->member};
        add(control, &record);
        if (queue_state(control->queue, blamed) == QUEUE_POISON)
            set_aside(control, blamed);
    }
    *member = (struct farm_member){0};
}

static bool is_listed(const struct onward_member *members, uint32_t count, uint32_t member)
{
    for (uint32_t i = 0; i < count; i++)
        if (members[i].member == member)
            return true;
    return false;
}

static uint32_t take_slot(struct farm_control *control, const struct onward_member *member)
{
    uint32_t slot = slot_of(control, member->member);
    if (slot == FARM_MAX_MEMBERS) {
        slot = slot_of(control, 0);
        if (slot == FARM_MAX_MEMBERS && control->member_count < FARM_MAX_MEMBERS)
            slot = control->member_count++;
    }
    return slot;
}

void farm_members(struct farm_control *control, const struct onward_member *members, uint32_t count)
{
    for (uint32_t slot = 0; slot < control->member_count; slot++)
        if (control->members[slot].member != 0 &&
            !is_listed(members, count, control->members[slot].member))
            lose(control, slot);
    control->hellos_missing = control->worker_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = take_slot(control, &members[i]);
        if (slot == FARM_MAX_MEMBERS)
            continue; /* more than the core can have */
        control->members[slot] =
            (struct farm_member){.member = members[i].member,
                                 .works = members[i].works,
                                 .host = number_host(control, members[i].host)};
        control->hellos_missing++;
        control->worker_count += members[i].works;
    }
}

static void record_result(struct farm_control *control, uint32_t slot,
                          const struct keeper_result *result, enum journal_kind kind)
{
    struct journal_record record = {.subtask = result->name.id,
                                    .kind = (uint8_t)kind,
                                    .exit_status = result->exit_status,
                                    .signal = result->signal,
                                    .timed_out = result->timed_out,
                                    .host = control->members[slot].host,
                                    .start_us = result->start_us,
                                    .run_us = result->run_us,
                                    .out_bytes = result->out_bytes,
                                    .err_bytes = result->err_bytes,
                                    .attempt = result->name.attempt,
                                    .member = control->members[slot].member};
    add(control, &record);
}

static void warn_of_output(struct farm_control *control, const struct keeper_result *result)
{
    char text[TEXT_BYTES];
    if (!result->unkept)
        return;
    snprintf(text, sizeof text, "the output of subtask %u could not be put into logs/",
             result->name.id + 1);
    onward_warn(control->ow, text);
}

/* One that was told before, or whose attempt is somebody else's by now, changes nothing. */
static void take_result(struct farm_control *control, uint32_t slot,
                        const struct keeper_result *result)
{
    struct queue *queue = control->queue;
    if (result->name.id >= control->subtask_count ||
        queue_attempts(queue, result->name.id) + 1 != result->name.attempt)
        return;
    if (queue_state(queue, result->name.id) == QUEUE_OPEN)
        queue_hold(queue, slot, result->name.id);
    if (result->ended) {
        queue_return(queue, slot, result->name.id);
    } else if (result->exit_status == 0 && result->signal == 0 && !result->timed_out) {
        if (queue_done(queue, slot, result->name.id))
            record_result(control, slot, result, JOURNAL_DONE);
    } else if (queue_failed(queue, slot, result->name.id)) {
        bool final = queue_state(queue, result->name.id) == QUEUE_FAILED;
        record_result(control, slot, result, final ? JOURNAL_FAILED : JOURNAL_TRIED);
        if (final)
            count_failure(control);
    }
    warn_of_output(control, result);
}

static bool holds(const uint32_t *held, uint32_t count, uint32_t subtask)
{
    for (uint32_t i = 0; i < count; i++)
        if (held[i] == subtask)
            return true;
    return false;
}

/* After a change: the worker has what it says, and nothing else. */
static void take_hello(struct farm_control *control, uint32_t slot, const uint32_t *held,
                       uint32_t count)
{
    struct queue *queue = control->queue;
    for (uint32_t at = queue_first(queue, slot), next; at != QUEUE_NONE; at = next) {
        next = queue_next(queue, slot, at);
        if (!holds(held, count, at))
            queue_return(queue, slot, at);
    }
    for (uint32_t i = 0; i < count; i++)
        if (queue_state(queue, held[i]) == QUEUE_OPEN)
            queue_hold(queue, slot, held[i]);
    if (!control->members[slot].said_hello && control->hellos_missing > 0)
        control->hellos_missing--;
    control->members[slot].said_hello = true;
    if (control->hellos_missing == 0)
        control->gathers = false;
}

void farm_request(struct farm_control *control, uint32_t member, const void *bytes, size_t size)
{
    struct farm_report report;
    uint32_t slot = slot_of(control, member);
    if (size < sizeof report || slot == FARM_MAX_MEMBERS)
        return;
    memcpy(&report, bytes, sizeof report);
    if (report.held_count > FARM_GIVE_LIMIT || report.result_count > KEEPER_MAX_ORDERS ||
        size != sizeof report + report.held_count * sizeof(uint32_t) +
                    report.result_count * sizeof(struct keeper_result))
        return;
    const unsigned char *rest = (const unsigned char *)bytes + sizeof report;
    uint32_t held[FARM_GIVE_LIMIT];
    memcpy(held, rest, report.held_count * sizeof *held);
    rest += report.held_count * sizeof *held;
    for (uint32_t i = 0; i < report.result_count; i++) {
        struct keeper_result result;
        memcpy(&result, rest + i * sizeof result, sizeof result);
        take_result(control, slot, &result);
    }
    if (report.hello)
        take_hello(control, slot, held, report.held_count);
    control->members[slot].sequence = report.sequence;
    control->members[slot].want = report.want;
    control->members[slot].due = true;
}

static bool is_halting(const struct farm_control *control)
{
    return control->settings.max_fails > 0 && control->failed_now >= control->settings.max_fails;
}

/* How many more the slot may have: near the end nobody is to have much while others have nothing.
 * What it holds counts, or several answers in a row would give it all the same. */
static uint32_t fair_share(const struct farm_control *control, uint32_t slot)
{
    const struct queue *queue = control->queue;
    uint32_t left = queue_count(queue, QUEUE_OPEN) + queue_count(queue, QUEUE_GIVEN);
    uint32_t share = left / (2 * control->worker_count + 1) + 1;
    uint32_t held = queue_slot_count(queue, slot);
    return share > held ? share - held : 0;
}

static uint32_t give(struct farm_control *control, uint32_t slot, struct farm_item *items)
{
    struct farm_member *member = &control->members[slot];
    uint32_t count = 0, subtask;
    bool may = member->works && member->said_hello && !control->gathers && !is_halting(control);
    uint32_t most = may ? fair_share(control, slot) : 0;
    most = most < member->want ? most : member->want;
    while (count < most && count < FARM_GIVE_LIMIT && queue_give(control->queue, slot, &subtask)) {
        struct farm_item *item = &items[count++];
        *item = (struct farm_item){.name = {subtask, queue_attempts(control->queue, subtask) + 1}};
        if (commands_find(control->commands, subtask, &item->offset, &item->length,
                          &control->error) != ONWARD_OK) {
            onward_give_up(control->ow, control->error.code, control->error.text);
            return 0;
        }
    }
    return count;
}

static void answer(struct farm_control *control, uint32_t slot)
{
    static struct {
        struct farm_answer head;
        struct farm_item items[FARM_GIVE_LIMIT];
    } message;
    struct farm_member *member = &control->members[slot];
    uint32_t count = give(control, slot, message.items);
    if (count == 0 && !member->due)
        return;
    message.head = (struct farm_answer){
        .sequence = member->sequence, .count = count, .failed = control->failed};
    if (onward_send(control->ow, member->member, &message,
                    sizeof message.head + count * sizeof *message.items) == ONWARD_OK) {
        member->due = false;
        member->want -= count;
        return;
    }
    for (uint32_t i = 0; i < count; i++) /* too many messages are under way: the next time */
        queue_return(control->queue, slot, message.items[i].name.id);
}

static bool keep(struct farm_control *control)
{
    int code = journal_flush(control->journal, &control->error);
    if (code != ONWARD_OK && waits_for_room(control))
        return false;
    control->no_room_ms = 0;
    control->settled = settled_count(control);
    bool all = queue_is_settled(control->queue);
    if (code == ONWARD_OK && control->synced != control->settled &&
        (all || now_ms() >= control->sync_ms)) {
        code = journal_sync(control->journal, &control->error);
        control->sync_ms = now_ms() + SYNC_MS;
        if (code == ONWARD_OK)
            control->synced = control->settled;
    }
    if (code != ONWARD_OK)
        stop_for(control, &control->error);
    return code == ONWARD_OK;
}

static void halt(struct farm_control *control)
{
    char text[TEXT_BYTES];
    snprintf(text, sizeof text, "%u subtask%s failed (--max-fails)", control->failed_now,
             control->failed_now == 1 ? "" : "s");
    onward_give_up(control->ow, ONWARD_ERR_GAVE_UP, text);
}

int64_t farm_serve(struct farm_control *control)
{
    if (!keep(control))
        return control->synced;
    for (uint32_t slot = 0; slot < control->member_count; slot++)
        if (control->members[slot].member &&
            (control->members[slot].due || control->members[slot].want))
            answer(control, slot);
    if (is_halting(control) && !control->gathers && !queue_is_settled(control->queue) &&
        queue_count(control->queue, QUEUE_GIVEN) == 0)
        halt(control);
    return control->synced;
}
