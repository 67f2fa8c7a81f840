/* partner_send.c - the thread that sends this worker's copy to another host; see partner.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "background.h"
#include "partner_wire.h"

enum { CONNECT_LIMIT_MS = 2000, CHUNK_BYTES = 1 << 20 };

static bool await_connection(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    int failed = 0;
    socklen_t length = sizeof failed;
    return poll(&poll_fd, 1, CONNECT_LIMIT_MS) == 1 &&
           getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &length) == 0 && failed == 0;
}

static int connect_to(const struct partner_address *to, int index)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(to->port), .sin_addr = {to->hosts[index]}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if ((connect(fd, (struct sockaddr *)&in, sizeof in) == 0 || errno == EINPROGRESS) &&
        await_connection(fd) && fcntl(fd, F_SETFL, 0) == 0) {
        partner_limit(fd, PARTNER_LIMIT_S);
        return fd;
    }
    close(fd);
    return -1;
}

/* Whether the order is still the newest; the connection can be cut from now on. */
static bool register_connection(struct partner *partner, uint64_t number, int fd)
{
    pthread_mutex_lock(&partner->mutex);
    bool is_newest = partner->order.number == number;
    partner->fd = is_newest ? fd : -1;
    pthread_mutex_unlock(&partner->mutex);
    return is_newest;
}

static bool hear_yes(int fd, int64_t limit_s)
{
    char answer = PARTNER_NO;
    ssize_t got;
    partner_limit(fd, limit_s);
    do
        got = recv(fd, &answer, 1, 0);
    while (got < 0 && errno == EINTR);
    return got == 1 && answer == PARTNER_YES;
}

static bool send_file(int fd, int file, uint64_t bytes)
{
    for (uint64_t sent = 0; sent < bytes;) {
        uint64_t chunk = bytes - sent < CHUNK_BYTES ? bytes - sent : CHUNK_BYTES;
        ssize_t done = sendfile(fd, file, NULL, chunk);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        sent += (uint64_t)done;
    }
    return true;
}

static bool await_turn(int fd, const struct partner_head *head, const struct partner_turn *turn)
{
    return partner_write(fd, head, sizeof *head) && hear_yes(fd, partner_turn_limit_s(turn));
}

static bool send_whole(int fd, int file, uint64_t bytes)
{
    partner_limit(fd, PARTNER_LIMIT_S);
    return send_file(fd, file, bytes) && hear_yes(fd, partner_copy_limit_s(bytes));
}

/* By whichever address leads to the process with the token. */
static bool deliver(struct partner *partner, const struct partner_order *order,
                    struct partner_head *head, int file)
{
    const struct partner_address *to = &order->to;
    head->token = to->token;
    for (int i = 0; i < to->count && i < PARTNER_MAX_ADDRESSES; i++) {
        int fd = connect_to(to, i);
        if (fd < 0)
            continue;
        bool is_right =
            register_connection(partner, order->number, fd) && await_turn(fd, head, &order->turn);
        bool is_done = is_right && send_whole(fd, file, head->bytes);
        register_connection(partner, order->number, -1);
        close(fd);
        if (is_right)
            return is_done;
    }
    return false;
}

static bool send_copy(struct partner *partner, const struct partner_order *order)
{
    struct partner_head head;
    struct stat status;
    char path[COPY_PATH_BYTES];
    memset(&head, 0, sizeof head);
    memcpy(head.magic, PARTNER_MAGIC, sizeof head.magic);
    head.id = order->id;
    head.drop_below = order->drop_below;
    int file = copy_path(&partner->place, &order->id, path, NULL) == ONWARD_OK
                   ? open(path, O_RDONLY | O_CLOEXEC)
                   : -1;
    if (file < 0)
        return false;
    head.bytes = fstat(file, &status) == 0 ? (uint64_t)status.st_size : 0;
    bool is_done = head.bytes > 0 && deliver(partner, order, &head, file);
    close(file);
    return is_done;
}

/* With the mutex held: waits for an order, and for an end of waiting that no signal tells. */
static bool take_order(struct partner *partner)
{
    while (!partner->has_order && !atomic_load(&partner->ended)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        pthread_cond_timedwait(&partner->changed, &partner->mutex, &until);
    }
    partner->has_order = false;
    return !atomic_load(&partner->ended);
}

void *partner_deliver(void *argument)
{
    struct partner *partner = argument;
    background_lower_priority(BACKGROUND_LOW);
    pthread_mutex_lock(&partner->mutex);
    while (take_order(partner)) {
        struct partner_order order = partner->order;
        pthread_mutex_unlock(&partner->mutex);
        bool is_done = send_copy(partner, &order);
        pthread_mutex_lock(&partner->mutex);
        if (partner->order.number != order.number)
            continue; /* given up */
        partner->sends = false;
        partner->has_failed = !is_done;
        if (!is_done)
            snprintf(partner->text, sizeof partner->text,
                     "the copy of step %lld could not be sent to another host",
                     (long long)order.id.step);
    }
    pthread_mutex_unlock(&partner->mutex);
    return NULL;
}
