/* partner_receive.c - the thread that takes in the copies of workers of other hosts; see partner.h.
 *
 * A copy goes to a temporary file, and gets its name once its checksums fit. One comes at a time,
 * also where many workers of a large host send to the only member of a small one: in turn they take
 * no longer than side by side over the same network, and use up less of the cores, which are the
 * program's. Each has a bound, so that one that comes to nothing does not keep the others waiting
 * for longer than they do. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "background.h"
#include "clock.h"
#include "partner_wire.h"

enum { POLL_MS = 100 };

static const int64_t HEAD_LIMIT_NS = 2000000000, ACCEPT_PAUSE_NS = 10000000;

/* What there is, once there is some. 0: nothing more comes, or not by then, or the task ended. */
static size_t receive_some(const struct partner *partner, int fd, void *bytes, size_t size,
                           int64_t until_ns)
{
    while (!atomic_load(&partner->ended) && clock_ns() < until_ns) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, POLL_MS) <= 0)
            continue;
        ssize_t got = recv(fd, bytes, size, MSG_DONTWAIT);
        if (got >= 0)
            return (size_t)got;
        if (errno != EINTR && errno != EAGAIN)
            return 0;
    }
    return 0;
}

static bool take_bytes(const struct partner *partner, int fd, int file, uint64_t bytes)
{
    int64_t until_ns = clock_ns() + partner_copy_limit_s(bytes) * 1000000000;
    char *window = malloc(PARTNER_WINDOW_BYTES);
    bool is_fine = window != NULL;
    while (bytes > 0 && is_fine) {
        size_t piece = bytes < PARTNER_WINDOW_BYTES ? (size_t)bytes : PARTNER_WINDOW_BYTES;
        size_t got = receive_some(partner, fd, window, piece, until_ns);
        is_fine = got > 0 && write(file, window, got) == (ssize_t)got;
        bytes -= got;
    }
    free(window);
    return is_fine;
}

/* On a host without a worker nobody else removes what was sent there in epochs before. Of the same
 * shard the newest and the one of the newest set that is whole are enough: where no set is ever
 * whole, too. */
static bool is_older(void *context, const struct copy_id *id)
{
    const struct partner_head *head = context;
    if (copy_is_before(id, head->id.incarnation, head->id.epoch))
        return head->drop_below >= 0;
    return id->is_partner && id->incarnation == head->id.incarnation &&
           id->epoch == head->id.epoch && id->shard == head->id.shard && id->step < head->id.step &&
           id->step != head->drop_below;
}

static bool put_in_place(struct partner *partner, const char *temporary, const char *path)
{
    pthread_mutex_lock(&partner->placing);
    bool is_done = !atomic_load(&partner->ended) && rename(temporary, path) == 0;
    pthread_mutex_unlock(&partner->placing);
    return is_done;
}

/* One connection: a head, a file. */
static bool take_copy(struct partner *partner, int fd, struct partner_head *head)
{
    struct copy_id id = head->id;
    char directory[COPY_PATH_BYTES], path[COPY_PATH_BYTES], temporary[COPY_PATH_BYTES + 32];
    id.is_partner = 1;
    if (copy_directory(&partner->place, directory, NULL) != ONWARD_OK ||
        copy_path(&partner->place, &id, path, NULL) != ONWARD_OK)
        return false;
    copy_sweep(&partner->place, is_older, head); /* first, so that there is room */
    if (!copy_has_room(&partner->place,
                       head->bytes)) /* the workers of this host need what there is */
        return false;
    snprintf(temporary, sizeof temporary, "%s.tmp-%ld-partner", path, (long)getpid());
    int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        return false;
    bool is_whole = take_bytes(partner, fd, file, head->bytes);
    close(file);
    is_whole =
        is_whole && copy_check(temporary) == ONWARD_OK && put_in_place(partner, temporary, path);
    if (!is_whole)
        unlink(temporary);
    return is_whole;
}

/* It is there where the connection is of a member: whoever says nothing must not keep others out.
 */
static bool read_head(const struct partner *partner, int fd, struct partner_head *head)
{
    char *next = (char *)head, *end = next + sizeof *head;
    int64_t until_ns = clock_ns() + HEAD_LIMIT_NS;
    size_t got;
    while (next < end &&
           (got = receive_some(partner, fd, next, (size_t)(end - next), until_ns)) > 0)
        next += got;
    return next == end;
}

void partner_serve(struct partner *partner, int fd)
{
    struct partner_head head;
    char answer = PARTNER_YES;
    partner_limit(fd, PARTNER_LIMIT_S);
    if (!read_head(partner, fd, &head))
        return;
    if (!partner_head_fits(partner, &head)) {
        answer = PARTNER_NO;
        partner_write(fd, &answer, 1);
        return;
    }
    if (!partner_write(fd, &answer, 1))
        return;
    answer = take_copy(partner, fd, &head) ? PARTNER_YES : PARTNER_NO;
    partner_write(fd, &answer, 1);
}

static void register_connection(struct partner *partner, int fd)
{
    pthread_mutex_lock(&partner->mutex);
    partner->receive_fd = fd;
    pthread_mutex_unlock(&partner->mutex);
}

void *partner_receive(void *argument)
{
    struct partner *partner = argument;
    background_lower_priority(BACKGROUND_LOW);
    while (!atomic_load(&partner->ended)) {
        struct pollfd poll_fd = {.fd = partner->listen_fd, .events = POLLIN};
        if (poll(&poll_fd, 1, POLL_MS) <= 0)
            continue;
        int fd = accept(partner->listen_fd, NULL, NULL);
        if (fd < 0) { /* gone again, or no descriptor to be had: not at once again */
            sleep_ns(ACCEPT_PAUSE_NS);
            continue;
        }
        register_connection(partner, fd);
        if (!atomic_load(&partner->ended))
            partner_serve(partner, fd);
        register_connection(partner, -1);
        close(fd);
    }
    return NULL;
}
