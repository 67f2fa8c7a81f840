/* partner.c - the handle of the partner level: its address, its threads, and the order that the
 * sender carries out; see partner.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* pthread_timedjoin_np */
#endif
#include "partner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "background.h"
#include "partner_wire.h"

enum { BACKLOG = 1024, STOP_LIMIT_S = 2 };

/* This host's addresses that another one may reach. */
static void find_addresses(struct partner_address *address)
{
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) != 0)
        return;
    for (const struct ifaddrs *entry = list; entry && address->count < PARTNER_MAX_ADDRESSES;
         entry = entry->ifa_next) {
        struct sockaddr_in in;
        if (!entry->ifa_addr || entry->ifa_addr->sa_family != AF_INET ||
            !(entry->ifa_flags & IFF_UP) || (entry->ifa_flags & IFF_LOOPBACK))
            continue;
        memcpy(&in, entry->ifa_addr, sizeof in);
        address->hosts[address->count++] = in.sin_addr.s_addr;
    }
    if (address->count == 0) /* members of one machine only */
        address->hosts[address->count++] = htonl(INADDR_LOOPBACK);
    freeifaddrs(list);
}

static int open_port(struct partner *partner, struct error *error)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_ANY)}};
    socklen_t length = sizeof any;
    partner->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (partner->listen_fd < 0 ||
        bind(partner->listen_fd, (struct sockaddr *)&any, sizeof any) != 0 ||
        listen(partner->listen_fd, BACKLOG) != 0 ||
        getsockname(partner->listen_fd, (struct sockaddr *)&any, &length) != 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "cannot listen for copies of shards");
    partner->address.port = ntohs(any.sin_port);
    find_addresses(&partner->address);
    if (getrandom(&partner->address.token, sizeof partner->address.token, 0) !=
        sizeof partner->address.token)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "no random number to be had");
    return ONWARD_OK;
}

static int start_threads(struct partner *partner, struct error *error)
{
    int code = background_start(&partner->receiver, partner_receive, partner, error);
    if (code != ONWARD_OK)
        return code;
    code = background_start(&partner->sender, partner_deliver, partner, error);
    if (code != ONWARD_OK) {
        atomic_store(&partner->ended, true);
        pthread_join(partner->receiver, NULL);
    }
    return code;
}

static void release(struct partner *partner)
{
    if (partner->listen_fd >= 0)
        close(partner->listen_fd);
    pthread_cond_destroy(&partner->changed);
    pthread_mutex_destroy(&partner->mutex);
    pthread_mutex_destroy(&partner->placing);
    free(partner->directory);
    free(partner->task);
    free(partner);
}

static int copy_strings(struct partner *partner, const struct copy_place *place,
                        struct error *error)
{
    partner->directory = strdup(place->directory);
    partner->task = strdup(place->task);
    partner->place = (struct copy_place){partner->directory, partner->task, place->run};
    return partner->directory && partner->task
               ? ONWARD_OK
               : error_set(error, ONWARD_ERR_MEMORY, "no memory for the partner level");
}

int partner_start(const struct copy_place *place, int64_t incarnation, struct partner **result,
                  struct error *error)
{
    struct partner *partner = calloc(1, sizeof *partner);
    *result = NULL;
    if (!partner)
        return error_set(error, ONWARD_ERR_MEMORY, "no memory for the partner level");
    partner->listen_fd = partner->fd = partner->receive_fd = -1;
    partner->incarnation = incarnation;
    pthread_mutex_init(&partner->mutex, NULL);
    pthread_mutex_init(&partner->placing, NULL);
    pthread_cond_init(&partner->changed, NULL);
    int code = copy_strings(partner, place, error);
    if (code == ONWARD_OK)
        code = open_port(partner, error);
    if (code == ONWARD_OK)
        code = start_threads(partner, error);
    if (code == ONWARD_OK)
        *result = partner;
    else
        release(partner);
    return code;
}

void partner_end(struct partner *partner)
{
    if (!partner)
        return;
    pthread_mutex_lock(&partner->placing);
    atomic_store(&partner->ended, true);
    pthread_mutex_unlock(&partner->placing);
    partner_cancel(partner);
    pthread_mutex_lock(&partner->mutex);
    if (partner->receive_fd >= 0)
        shutdown(partner->receive_fd, SHUT_RDWR);
    pthread_mutex_unlock(&partner->mutex);
}

void partner_stop(struct partner *partner)
{
    struct timespec until;
    if (!partner)
        return;
    partner_end(partner);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_LIMIT_S;
    bool has_received = pthread_timedjoin_np(partner->receiver, NULL, &until) == 0;
    bool has_sent = pthread_timedjoin_np(partner->sender, NULL, &until) == 0;
    if (has_received && has_sent)
        release(partner);
}

void partner_see_epoch(struct partner *partner, int64_t epoch)
{
    if (partner)
        atomic_store(&partner->newest_epoch, epoch);
}

void partner_own_address(const struct partner *partner, struct partner_address *address)
{
    *address = partner ? partner->address : (struct partner_address){0};
}

/* With the mutex held: what is under way ends with an error. */
static void give_up(struct partner *partner)
{
    partner->order.number++;
    partner->has_order = partner->sends = false;
    if (partner->fd >= 0)
        shutdown(partner->fd, SHUT_RDWR);
    pthread_cond_broadcast(&partner->changed);
}

void partner_send(struct partner *partner, const struct partner_address *to,
                  const struct copy_id *id, int64_t drop_below, struct partner_turn turn)
{
    pthread_mutex_lock(&partner->mutex);
    give_up(partner);
    partner->order = (struct partner_order){*to, *id, drop_below, turn, partner->order.number};
    partner->has_order = partner->sends = true;
    partner->has_failed = false;
    pthread_mutex_unlock(&partner->mutex);
}

void partner_cancel(struct partner *partner)
{
    pthread_mutex_lock(&partner->mutex);
    give_up(partner);
    partner->has_failed = false;
    pthread_mutex_unlock(&partner->mutex);
}

enum partner_state partner_look(struct partner *partner, char *text)
{
    pthread_mutex_lock(&partner->mutex);
    enum partner_state state = partner->sends        ? PARTNER_SENDS
                               : partner->has_failed ? PARTNER_FAILED
                                                     : PARTNER_IDLE;
    memcpy(text, partner->text, sizeof partner->text);
    pthread_mutex_unlock(&partner->mutex);
    return state;
}
