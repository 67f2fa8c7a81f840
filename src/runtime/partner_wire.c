/* partner_wire.c - bytes of the partner level: what of them is taken for the head of a copy, and
 * how long either side waits for the other; see partner_wire.h. */
#include "partner_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "summed_file.h"

bool partner_write(int fd, const void *bytes, size_t size)
{
    const char *next = bytes;
    while (size > 0) {
        ssize_t sent = send(fd, next, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        next += sent;
        size -= (size_t)sent;
    }
    return true;
}

void partner_limit(int fd, int64_t limit_s)
{
    struct timeval limit = {.tv_sec = limit_s};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

int64_t partner_copy_limit_s(uint64_t bytes)
{
    return PARTNER_LIMIT_S + (int64_t)(bytes / PARTNER_BYTES_PER_S);
}

/* Parts may differ in size, so what counts is the largest of those before; and each of them may be
 * one that the receiver waits for in vain. */
int64_t partner_turn_limit_s(const struct partner_turn *turn)
{
    return PARTNER_LIMIT_S + turn->count * partner_copy_limit_s(turn->bytes);
}

/* A worker's own copy, in an epoch that was agreed to here, or before. */
static bool id_fits(const struct partner *partner, const struct copy_id *id)
{
    char name[COPY_NAME_BYTES];
    struct copy_id parsed;
    if (id->is_partner != 0 || id->is_unread != 0 || id->incarnation != partner->incarnation ||
        id->epoch > atomic_load(&partner->newest_epoch))
        return false;
    copy_name(name, id);
    return copy_parse_name(name, &parsed);
}

bool partner_head_fits(const struct partner *partner, const struct partner_head *head)
{
    return memcmp(head->magic, PARTNER_MAGIC, sizeof head->magic) == 0 &&
           head->token == partner->address.token && id_fits(partner, &head->id) &&
           head->bytes > SUMMED_FOOT_BYTES && head->bytes <= PARTNER_MAX_BYTES &&
           head->drop_below >= -1 && head->drop_below < head->id.step;
}
