/* keeper_serve.c - the keeper's own side: takes orders, runs one command at a time, tells results.
 *
 * All signals are blocked; SIGCHLD comes through a descriptor, beside the socket, so that one wait
 * covers the end of the command, new orders, the worker's death, and time. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "keeper_internal.h"

static const double kill_limit_s = 10;

enum { FIRST_FREE_FD = 3 };

struct serving {
    const struct keeper_settings *settings;
    int socket, signals, nothing;
    struct keeper_output output, error_output;
    unsigned char *orders; /* a ring */
    uint32_t first_order, order_count;
    struct keeper_result results[KEEPER_MAX_ORDERS]; /* a ring too */
    uint32_t first_result, result_count;
    bool ends;     /* what runs is to end */
    bool stops;    /* and the keeper behind it */
    bool orphaned; /* the worker is gone: at once */
    unsigned char message[KEEPER_MESSAGE_BYTES];
};

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void take_orders(struct serving *serving, const unsigned char *bytes, uint32_t count)
{
    size_t size = serving->settings->order_bytes;
    for (uint32_t i = 0; i < count && serving->order_count < KEEPER_MAX_ORDERS; i++) {
        uint32_t place = (serving->first_order + serving->order_count++) % KEEPER_MAX_ORDERS;
        memcpy(serving->orders + place * size, bytes + i * size, size);
    }
}

static void add_result(struct serving *serving, const struct keeper_result *result)
{
    uint32_t place = (serving->first_result + serving->result_count) % KEEPER_MAX_ORDERS;
    serving->results[place] = *result;
    serving->result_count += serving->result_count < KEEPER_MAX_ORDERS;
}

static void take_order(struct serving *serving, void *order)
{
    size_t size = serving->settings->order_bytes;
    memcpy(order, serving->orders + serving->first_order * size, size);
    serving->first_order = (serving->first_order + 1) % KEEPER_MAX_ORDERS;
    serving->order_count--;
}

static void drop_orders(struct serving *serving)
{
    unsigned char order[KEEPER_MAX_ORDER_BYTES];
    while (serving->order_count > 0) {
        struct keeper_result result = {.ended = 1};
        take_order(serving, order);
        memcpy(&result.name, order, sizeof result.name);
        add_result(serving, &result);
    }
}

static void take_message(struct serving *serving, size_t size)
{
    const struct keeper_settings *settings = serving->settings;
    const unsigned char *bytes = serving->message + sizeof(struct keeper_head);
    struct keeper_head head;
    memcpy(&head, serving->message, sizeof head);
    size -= sizeof head;
    switch (head.kind) {
    case KEEPER_SETUP:
        settings->setup(settings->context, bytes, size);
        break;
    case KEEPER_ORDERS:
        if (head.count <= size / settings->order_bytes)
            take_orders(serving, bytes, head.count);
        break;
    default:
        drop_orders(serving);
        serving->ends |= head.kind != KEEPER_DROP;
        serving->stops |= head.kind == KEEPER_STOP;
    }
}

static void take_messages(struct serving *serving)
{
    for (;;) {
        ssize_t got =
            recv(serving->socket, serving->message, sizeof serving->message, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got < (ssize_t)sizeof(struct keeper_head)) {
            serving->orphaned = true;
            return;
        }
        take_message(serving, (size_t)got);
    }
}

/* As many results as the socket takes. */
static void tell_results(struct serving *serving)
{
    while (serving->result_count > 0) {
        uint32_t first = serving->first_result, count = serving->result_count;
        if (count > KEEPER_MAX_ORDERS - first)
            count = KEEPER_MAX_ORDERS - first;
        if (count > KEEPER_RESULTS_AT_ONCE)
            count = KEEPER_RESULTS_AT_ONCE;
        ssize_t sent = send(serving->socket, serving->results + first,
                            count * sizeof *serving->results, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            return;
        serving->first_result = (first + count) % KEEPER_MAX_ORDERS;
        serving->result_count -= count;
    }
}

/* For a signal, a message, room for results, or until deadline_us (-1: however long). */
static void wait_for_anything(struct serving *serving, int64_t deadline_us)
{
    struct signalfd_siginfo info[16];
    struct pollfd fds[] = {
        {serving->socket, (short)(POLLIN | (serving->result_count ? POLLOUT : 0)), 0},
        {serving->signals, POLLIN, 0}};
    int64_t left_us = deadline_us < 0 ? -1 : deadline_us - clock_us(CLOCK_MONOTONIC);
    int64_t left_ms = left_us < 0 ? (deadline_us < 0 ? -1 : 0) : left_us / 1000 + 1;
    if (poll(fds, 2, left_ms > INT_MAX ? INT_MAX : (int)left_ms) <= 0)
        return;
    if (fds[1].revents)
        while (read(serving->signals, info, sizeof info) == (ssize_t)sizeof info)
            ;
    if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
        take_messages(serving);
    if (fds[0].revents & POLLOUT)
        tell_results(serving);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Until the command has ended, by itself or not; its status as of waitpid. */
static int await_end(struct serving *serving, pid_t pid, int64_t begin_us,
                     struct keeper_result *result)
{
    const struct keeper_settings *settings = serving->settings;
    int64_t end_us = settings->timeout_s > 0 ? begin_us + (int64_t)(settings->timeout_s * 1e6) : -1;
    int64_t kill_us = -1;
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        int64_t now_us = clock_us(CLOCK_MONOTONIC);
        bool is_late = end_us >= 0 && now_us >= end_us;
        if (serving->orphaned || (kill_us >= 0 && now_us >= kill_us)) {
            kill(-pid, SIGKILL);
            kill_us = now_us + 1000000; /* one that hangs in the kernel goes later */
        } else if (kill_us < 0 && (is_late || serving->ends)) {
            result->timed_out = is_late;
            result->ended = !is_late;
            kill(-pid, SIGTERM);
            kill(-pid, SIGCONT);
            kill_us = now_us + (int64_t)(settings->grace_s * 1e6);
            end_us = -1;
        }
        wait_for_anything(serving, earlier(end_us, kill_us));
    }
    return status;
}

static void run(struct serving *serving, const struct keeper_launch *launch,
                struct keeper_result *result)
{
    int problem = keeper_output_open(&serving->output, launch->output, launch->appends);
    if (problem == 0)
        problem = keeper_output_open(&serving->error_output, launch->error_output, launch->appends);
    int64_t begin_us = clock_us(CLOCK_MONOTONIC);
    pid_t pid = -1;
    if (problem == 0)
        pid = keeper_spawn(launch, serving->nothing, serving->output.fd, serving->error_output.fd,
                           &problem);
    if (pid > 0) {
        int status = await_end(serving, pid, begin_us, result);
        result->exit_status = WIFEXITED(status) ? (uint8_t)WEXITSTATUS(status) : 0;
        result->signal = WIFSIGNALED(status) ? (uint8_t)WTERMSIG(status) : 0;
        keeper_kill_below(kill_limit_s);
    } else {
        result->exit_status = problem == ENOENT ? 127 : 126;
        if (serving->error_output.fd >= 0)
            dprintf(serving->error_output.fd, "onward: %s: %s\n", launch->arguments[0],
                    strerror(problem));
    }
    result->run_us = clock_us(CLOCK_MONOTONIC) - begin_us;
}

static void refuse(struct serving *serving, const struct keeper_launch *launch,
                   const struct error *error, struct keeper_result *result)
{
    result->exit_status = 126;
    if (launch->error_output &&
        keeper_output_open(&serving->error_output, launch->error_output, launch->appends) == 0)
        dprintf(serving->error_output.fd, "onward: %s\n", error->text);
}

static void keep_output(struct keeper_output *output, const char *path, uint32_t attempt,
                        uint64_t *size, uint8_t *unkept)
{
    if (output->fd >= 0 && path && !keeper_output_keep(output, path, attempt > 1, size))
        *unkept = 1;
}

static void run_order(struct serving *serving, const void *order)
{
    const struct keeper_settings *settings = serving->settings;
    struct keeper_launch launch = {0};
    struct error error = {0};
    struct keeper_result result = {.start_us = clock_us(CLOCK_REALTIME)};
    int code = settings->prepare(settings->context, order, &launch, &error);
    if (code == ONWARD_OK)
        run(serving, &launch, &result);
    else
        refuse(serving, &launch, &error, &result);
    memcpy(&result.name, order, sizeof result.name);
    keep_output(&serving->output, launch.output, result.name.attempt, &result.out_bytes,
                &result.unkept);
    keep_output(&serving->error_output, launch.error_output, result.name.attempt, &result.err_bytes,
                &result.unkept);
    add_result(serving, &result);
    tell_results(serving);
}

static bool set_up(struct serving *serving)
{
    sigset_t all, child;
    setsid(); /* what ends the worker's process group by a signal would keep us from cleaning up */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    serving->socket = fcntl(serving->socket, F_DUPFD_CLOEXEC, 1 << 8);
    close_range(FIRST_FREE_FD, (1u << 8) - 1, 0);
    serving->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    serving->nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    serving->orders = calloc(KEEPER_MAX_ORDERS, serving->settings->order_bytes);
    return serving->socket >= 0 && serving->signals >= 0 && serving->nothing >= 0 &&
           serving->orders;
}

void keeper_serve(const struct keeper_settings *settings, int fd)
{
    struct serving *serving = calloc(1, sizeof *serving);
    unsigned char order[KEEPER_MAX_ORDER_BYTES];
    if (!serving || settings->order_bytes > sizeof order)
        _exit(1);
    serving->settings = settings;
    serving->socket = fd;
    serving->output.fd = serving->error_output.fd = -1;
    if (!set_up(serving))
        _exit(1);
    while (!serving->orphaned && !(serving->stops && serving->result_count == 0)) {
        if (serving->order_count == 0 || serving->stops) {
            wait_for_anything(serving, -1);
            continue;
        }
        take_messages(serving);
        if (serving->order_count == 0)
            continue;
        take_order(serving, order);
        serving->ends = false;
        run_order(serving, order);
    }
    keeper_kill_below(kill_limit_s);
    keeper_output_close(&serving->output);
    keeper_output_close(&serving->error_output);
    _exit(0);
}
