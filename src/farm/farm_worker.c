/* farm_worker.c - the worker's side of the farm: between the controller and the keeper.
 *
 * It keeps as many subtasks ahead as take a fraction of a second, so that the keeper never waits
 * for a message when commands are short, and no more than it runs when they are long. One report is
 * on its way at a time; results stay here until the answer says that the journal has them. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "farm.h"

enum {
    REPORT_NS = 5000000,     /* between reports, while there is enough to do */
    SHORT_WAIT_NS = 2000000, /* with many ahead: results are collected */
    LONG_WAIT_MS = 20,
    IDLE_WAIT_MS = 3,
    MANY = 16,
    GONE_EXIT = 70
};

static const double ahead_s = 0.15;

struct farm_worker {
    struct onward *ow;
    struct keeper *keeper;
    struct farm_item items[FARM_GIVE_LIMIT]; /* a ring: given and without a result, oldest first */
    uint32_t first, count;
    uint32_t passed;                                 /* of these, to the keeper */
    struct keeper_result results[KEEPER_MAX_ORDERS]; /* that the journal may not have yet */
    uint32_t result_count, told_count;
    bool hello;     /* the next report is the first after a change */
    bool awaits;    /* an answer */
    bool has_asked; /* for more, and the controller had none */
    uint32_t sequence, failed;
    double run_s;                 /* of a subtask, on average; 0: unknown */
    int64_t report_ns, result_ns; /* the next report; the last result */
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

struct farm_worker *farm_worker_create(struct keeper *keeper)
{
    struct farm_worker *worker = calloc(1, sizeof *worker);
    if (worker)
        worker->keeper = keeper;
    return worker;
}

void farm_worker_destroy(struct farm_worker *worker)
{
    free(worker);
}

void farm_worker_open(struct farm_worker *worker, struct onward *ow)
{
    worker->ow = ow;
}

/* Those that were told are in the journal now. */
static void forget_told(struct farm_worker *worker)
{
    worker->result_count -= worker->told_count;
    memmove(worker->results, worker->results + worker->told_count,
            worker->result_count * sizeof *worker->results);
    worker->told_count = 0;
}

void farm_take_answer(struct farm_worker *worker, const void *bytes, size_t size)
{
    struct farm_answer answer;
    if (size < sizeof answer)
        return;
    memcpy(&answer, bytes, sizeof answer);
    if (size != sizeof answer + answer.count * sizeof(struct farm_item))
        return;
    if (worker->awaits && answer.sequence == worker->sequence) {
        worker->awaits = false;
        forget_told(worker);
    }
    worker->failed = answer.failed;
    const unsigned char *rest = (const unsigned char *)bytes + sizeof answer;
    for (uint32_t i = 0; i < answer.count && worker->count < FARM_GIVE_LIMIT; i++) {
        struct farm_item *item =
            &worker->items[(worker->first + worker->count++) % FARM_GIVE_LIMIT];
        memcpy(item, rest + i * sizeof *item, sizeof *item);
        worker->has_asked = false;
    }
}

static void pass_on(struct farm_worker *worker)
{
    while (worker->passed < worker->count) {
        uint32_t place = (worker->first + worker->passed) % FARM_GIVE_LIMIT;
        uint32_t count = worker->count - worker->passed;
        count = count < FARM_GIVE_LIMIT - place ? count : FARM_GIVE_LIMIT - place;
        count = count < KEEPER_ORDERS_AT_ONCE ? count : KEEPER_ORDERS_AT_ONCE;
        if (!keeper_give(worker->keeper, worker->items + place, count))
            return; /* no room now */
        worker->passed += count;
    }
}

/* It has a result: nearly always the oldest. */
static void take_away(struct farm_worker *worker, uint32_t subtask)
{
    struct farm_item *items = worker->items;
    uint32_t at = 0;
    while (at < worker->count && items[(worker->first + at) % FARM_GIVE_LIMIT].name.id != subtask)
        at++;
    if (at == worker->count)
        return;
    for (; at > 0; at--)
        items[(worker->first + at) % FARM_GIVE_LIMIT] =
            items[(worker->first + at - 1) % FARM_GIVE_LIMIT];
    worker->first = (worker->first + 1) % FARM_GIVE_LIMIT;
    worker->count--;
    worker->passed--;
}

static void average(struct farm_worker *worker, double run_s)
{
    run_s = run_s > 1e-6 ? run_s : 1e-6;
    worker->run_s = worker->run_s > 0 ? 0.9 * worker->run_s + 0.1 * run_s : run_s;
}

static void take_results(struct farm_worker *worker)
{
    int room = KEEPER_MAX_ORDERS - (int)worker->result_count;
    struct keeper_result *results = worker->results + worker->result_count;
    int taken = keeper_take(worker->keeper, results, room);
    if (taken < 0)
        _exit(GONE_EXIT); /* the keeper was killed: the others take over what it ran */
    for (int i = 0; i < taken; i++) {
        take_away(worker, results[i].name.id);
        if (!results[i].ended)
            average(worker, (double)results[i].run_us / 1e6);
    }
    worker->result_count += (uint32_t)taken;
    if (taken > 0 || worker->count == 0)
        worker->result_ns = now_ns();
}

/* What runs takes longer than was thought: others may have time for what waits behind it. */
static void give_back(struct farm_worker *worker)
{
    double since_s = (double)(now_ns() - worker->result_ns) / 1e9;
    if (worker->passed > 1 && since_s > 2 * ahead_s && keeper_drop(worker->keeper)) {
        worker->run_s = worker->run_s > since_s ? worker->run_s : since_s;
        worker->result_ns = now_ns();
    }
}

/* How many to have, the one that runs included. */
static uint32_t target(const struct farm_worker *worker)
{
    double ahead = worker->run_s > 0 ? ahead_s / worker->run_s : 0;
    uint32_t wanted = ahead < FARM_GIVE_LIMIT - 1 ? 1 + (uint32_t)ahead : FARM_GIVE_LIMIT;
    uint32_t most =
        worker->result_count < FARM_GIVE_LIMIT ? FARM_GIVE_LIMIT - worker->result_count : 0;
    return wanted < most ? wanted : most;
}

static void send_report(struct farm_worker *worker, uint32_t want)
{
    static unsigned char message[sizeof(struct farm_report) + FARM_GIVE_LIMIT * sizeof(uint32_t) +
                                 KEEPER_MAX_ORDERS * sizeof(struct keeper_result)];
    struct farm_report report = {.hello = worker->hello,
                                 .sequence = worker->sequence + 1,
                                 .want = want,
                                 .held_count = worker->hello ? worker->count : 0,
                                 .result_count = worker->result_count};
    unsigned char *end = message;
    memcpy(end, &report, sizeof report);
    end += sizeof report;
    for (uint32_t i = 0; i < report.held_count; i++, end += sizeof(uint32_t))
        memcpy(end, &worker->items[(worker->first + i) % FARM_GIVE_LIMIT].name.id,
               sizeof(uint32_t));
    memcpy(end, worker->results, worker->result_count * sizeof *worker->results);
    end += worker->result_count * sizeof *worker->results;
    /* Where this worker is the controller the answer may come before the call returns. */
    uint32_t told = worker->told_count;
    worker->awaits = true;
    worker->sequence++;
    worker->told_count = worker->result_count;
    if (onward_send(worker->ow, 0, message, (size_t)(end - message)) != ONWARD_OK) {
        worker->awaits = false;
        worker->told_count = told;
        return;
    }
    worker->hello = false;
    worker->has_asked = want > 0;
    worker->report_ns = now_ns() + REPORT_NS;
}

static void report(struct farm_worker *worker, bool wants)
{
    uint32_t most = wants ? target(worker) : 0;
    uint32_t want = most > worker->count ? most - worker->count : 0;
    bool asks = want > 0 && !worker->has_asked;
    if (worker->awaits)
        return;
    if (worker->hello || ((worker->result_count > 0 || asks) &&
                          (now_ns() >= worker->report_ns || worker->count == 0)))
        send_report(worker, want);
}

static void turn(struct farm_worker *worker, bool wants)
{
    take_results(worker);
    pass_on(worker);
    give_back(worker);
    report(worker, wants);
    pass_on(worker); /* where the answer came at once */
}

void farm_idle(struct farm_worker *worker)
{
    turn(worker, false);
}

static void pause_turn(const struct farm_worker *worker)
{
    const struct timespec brief = {.tv_nsec = SHORT_WAIT_NS};
    struct pollfd fd = {keeper_fd(worker->keeper), POLLIN, 0};
    if (worker->count >= MANY)
        nanosleep(&brief, NULL);
    else
        poll(&fd, 1, worker->count > 0 && !worker->awaits ? LONG_WAIT_MS : IDLE_WAIT_MS);
}

void farm_changed(struct farm_worker *worker)
{
    worker->hello = true;
    worker->awaits = worker->has_asked = false;
    worker->told_count = 0;
}

static void work_until_change(struct farm_worker *worker, const struct onward_role *role)
{
    while (onward_poll(worker->ow)) {
        turn(worker, true);
        if (role->rank == 0)
            onward_metric(worker->ow, "failed", worker->failed);
        pause_turn(worker);
    }
}

int farm_work(struct farm_worker *worker, struct onward *ow, const struct farm_settings *settings)
{
    const char *run = onward_run_directory(ow), *task = strrchr(run, '/');
    struct onward_role role;
    struct error error;
    int verdict;
    if (!keeper_setup(worker->keeper, run, strlen(run)))
        return ONWARD_ERR_IO;
    while ((verdict = onward_next(ow, &role)) > ONWARD_DONE) {
        if (verdict == ONWARD_STEP)
            work_until_change(worker, &role);
        else if (role.rank == 0 &&
                 farm_write_results(ow, run, task ? task + 1 : run, settings, &error) != ONWARD_OK)
            onward_warn(ow, error.text);
    }
    return verdict;
}
