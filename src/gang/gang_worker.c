/* gang_worker.c - the worker's side of a gang: does what is wanted, says how it stands. */
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gang.h"

/* Looks every WAIT_MS, and QUICK_MS while it is likely that more comes at once. */
enum { WAIT_MS = 20, QUICK_MS = 1, QUICK_FOR_NS = 1000000000 };
enum { SAY_NS = 50000000, GONE_EXIT = 70, RESULTS = KEEPER_RESULTS_AT_ONCE };

struct gang_worker {
    const struct gang_settings *settings;
    struct onward *ow;
    struct keeper **keepers; /* one a rank */
    struct gang_tee *tees;   /* two a rank */
    struct gang_standing standing;
    bool ending;
    int64_t say_ns;   /* when next */
    int64_t quick_ns; /* until then it looks often */
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

struct gang_worker *gang_worker_create(const struct gang_settings *settings,
                                       struct keeper **keepers)
{
    struct gang_worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    worker->settings = settings;
    worker->keepers = keepers;
    worker->tees = calloc(2 * settings->per_worker, sizeof *worker->tees);
    for (uint32_t i = 0; worker->tees && i < 2 * settings->per_worker; i++)
        worker->tees[i].fd = -1;
    if (worker->tees)
        return worker;
    free(worker);
    return NULL;
}

void gang_worker_destroy(struct gang_worker *worker)
{
    if (!worker)
        return;
    for (uint32_t i = 0; i < 2 * worker->settings->per_worker; i++)
        gang_tee_close(&worker->tees[i]);
    free(worker->tees);
    free(worker);
}

void gang_worker_open(struct gang_worker *worker, struct onward *ow)
{
    worker->ow = ow;
}

/* One that nobody listens at now; 0: none. */
static uint32_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool found = fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 &&
                 getsockname(fd, (struct sockaddr *)&address, &size) == 0;
    if (fd >= 0)
        close(fd);
    return found ? ntohs(address.sin_port) : 0;
}

static void follow(struct gang_worker *worker, uint32_t i, uint32_t rank)
{
    const char *run = onward_run_directory(worker->ow);
    char path[KEEPER_PATH_BYTES];
    if (!worker->settings->tee)
        return;
    gang_log_path(run, rank, "out", path, sizeof path);
    gang_tee_begin(&worker->tees[2 * i], path, rank, STDOUT_FILENO);
    gang_log_path(run, rank, "err", path, sizeof path);
    gang_tee_begin(&worker->tees[2 * i + 1], path, rank, STDERR_FILENO);
}

static void begin(struct gang_worker *worker, const struct gang_order *first)
{
    worker->standing = (struct gang_standing){.sequence = worker->standing.sequence,
                                              .generation = first->name.attempt};
    worker->ending = false;
    for (uint32_t i = 0; i < worker->settings->per_worker; i++) {
        struct gang_order order = *first;
        order.name.id += i;
        order.local_rank += i;
        follow(worker, i, order.name.id);
        if (!keeper_give(worker->keepers[i], &order, 1))
            _exit(GONE_EXIT);
        worker->standing.running++;
    }
}

static void end(struct gang_worker *worker)
{
    if (worker->ending)
        return;
    worker->ending = true;
    for (uint32_t i = 0; i < worker->settings->per_worker; i++)
        keeper_end_all(worker->keepers[i]);
}

void gang_take_answer(struct gang_worker *worker, const void *bytes, size_t size)
{
    struct gang_wish wish;
    if (size != sizeof wish)
        return;
    memcpy(&wish, bytes, sizeof wish);
    struct gang_standing *standing = &worker->standing;
    if (standing->sequence != wish.sequence) {
        worker->say_ns = 0;
        worker->quick_ns = now_ns() + QUICK_FOR_NS;
    }
    standing->sequence = wish.sequence;
    if (!wish.runs && standing->running > 0)
        end(worker);
    else if (wish.runs && standing->running == 0 && wish.first.name.attempt > standing->generation)
        begin(worker, &wish.first);
}

static void take_result(struct gang_worker *worker, const struct keeper_result *result)
{
    struct gang_standing *standing = &worker->standing;
    bool good = result->exit_status == 0 && result->signal == 0 && !result->ended;
    standing->running--;
    standing->succeeded += good;
    if (good || result->ended || standing->failed)
        return;
    standing->failed = true;
    standing->failed_rank = result->name.id;
    standing->exit_status = result->exit_status;
    standing->signal = result->signal;
}

static void look(struct gang_worker *worker)
{
    struct keeper_result results[RESULTS];
    bool news = false;
    for (uint32_t i = 0; i < worker->settings->per_worker; i++) {
        int count = keeper_take(worker->keepers[i], results, RESULTS);
        if (count < 0)
            _exit(GONE_EXIT);
        for (int k = 0; k < count; k++)
            take_result(worker, &results[k]);
        news |= count > 0;
        gang_tee_look(&worker->tees[2 * i], count > 0);
        gang_tee_look(&worker->tees[2 * i + 1], count > 0);
    }
    if (news) {
        worker->say_ns = 0;
        worker->quick_ns = now_ns() + QUICK_FOR_NS;
    }
}

static void say(struct gang_worker *worker)
{
    struct gang_standing *standing = &worker->standing;
    if (now_ns() < worker->say_ns)
        return;
    if (standing->running == 0)
        standing->port = free_port();
    /* One that does not get through is followed by another. */
    onward_send(worker->ow, 0, standing, sizeof *standing);
    worker->say_ns = now_ns() + SAY_NS;
}

void gang_idle(struct gang_worker *worker)
{
    look(worker);
    say(worker);
}

int gang_work(struct gang_worker *worker, struct onward *ow)
{
    const char *run = onward_run_directory(ow);
    struct onward_role role;
    int verdict;
    for (uint32_t i = 0; i < worker->settings->per_worker; i++)
        if (!keeper_setup(worker->keepers[i], run, strlen(run)))
            return ONWARD_ERR_IO;
    while ((verdict = onward_next(ow, &role)) > ONWARD_DONE)
        while (onward_poll(ow)) {
            struct pollfd fd = {keeper_fd(worker->keepers[0]), POLLIN, 0};
            look(worker);
            say(worker);
            poll(&fd, 1, now_ns() < worker->quick_ns ? QUICK_MS : WAIT_MS);
        }
    look(worker);
    return verdict;
}
