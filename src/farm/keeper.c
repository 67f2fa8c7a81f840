/* keeper.c - the worker's side of the keeper; see keeper.h. */
#include "keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper_internal.h"

enum { LEAVE_MS = 3000, SOCKET_BYTES = 1 << 20 };

struct keeper {
    struct keeper_settings settings;
    pid_t pid;
    int fd;
};

static void enlarge(int fd)
{
    int bytes = SOCKET_BYTES; /* as much as the system allows; what does not fit is sent later */
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

int keeper_start(const struct keeper_settings *settings, struct keeper **result,
                 struct error *error)
{
    int fds[2];
    struct keeper *keeper = malloc(sizeof *keeper);
    *result = NULL;
    if (!keeper)
        return error_set(error, ONWARD_ERR_MEMORY, "keeper: out of memory");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
        free(keeper);
        return error_set_errno(error, ONWARD_ERR_IO, errno, "keeper: socketpair");
    }
    enlarge(fds[0]);
    enlarge(fds[1]);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        keeper_serve(settings, fds[1]);
    }
    int problem = errno;
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        free(keeper);
        return error_set_errno(error, ONWARD_ERR_IO, problem, "keeper: fork");
    }
    *keeper = (struct keeper){*settings, pid, fds[0]};
    *result = keeper;
    return ONWARD_OK;
}

int keeper_fd(const struct keeper *keeper)
{
    return keeper->fd;
}

static bool send_message(struct keeper *keeper, uint32_t kind, uint32_t count, const void *bytes,
                         size_t size)
{
    struct keeper_head head = {kind, count};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)bytes, size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = size ? 2 : 1};
    ssize_t sent;
    do
        sent = sendmsg(keeper->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)(sizeof head + size);
}

bool keeper_setup(struct keeper *keeper, const void *bytes, size_t size)
{
    return send_message(keeper, KEEPER_SETUP, 0, bytes, size);
}

bool keeper_give(struct keeper *keeper, const void *orders, uint32_t count)
{
    return send_message(keeper, KEEPER_ORDERS, count, orders, count * keeper->settings.order_bytes);
}

bool keeper_drop(struct keeper *keeper)
{
    return send_message(keeper, KEEPER_DROP, 0, NULL, 0);
}

bool keeper_end_all(struct keeper *keeper)
{
    return send_message(keeper, KEEPER_END_ALL, 0, NULL, 0);
}

int keeper_take(struct keeper *keeper, struct keeper_result *results, int max)
{
    int taken = 0;
    while (max - taken >= KEEPER_RESULTS_AT_ONCE) {
        ssize_t got = recv(keeper->fd, results + taken, KEEPER_RESULTS_AT_ONCE * sizeof *results,
                           MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno == EAGAIN ? taken : -1;
        if (got == 0)
            return taken ? taken : -1;
        taken += (int)((size_t)got / sizeof *results);
    }
    return taken;
}

/* Until the keeper is gone, which closes its side; what it still sends is dropped. */
static void await_end(struct keeper *keeper)
{
    struct keeper_result results[KEEPER_RESULTS_AT_ONCE];
    struct pollfd fd = {keeper->fd, POLLIN, 0};
    int limit_ms = (int)(keeper->settings.grace_s * 1e3) + LEAVE_MS;
    while (keeper_take(keeper, results, KEEPER_RESULTS_AT_ONCE) >= 0)
        if (poll(&fd, 1, limit_ms) <= 0)
            return;
}

void keeper_stop(struct keeper *keeper, bool with_grace)
{
    if (!keeper)
        return;
    if (with_grace && send_message(keeper, KEEPER_STOP, 0, NULL, 0))
        await_end(keeper);
    close(keeper->fd); /* now it ends at once, if it has not */
    waitpid(keeper->pid, NULL, 0);
    free(keeper);
}
