/* listen.c - the socket, its addresses, and the token, which the kernel's random numbers make. */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUEUE_BYTES = 4 << 20 };

/* For both families where there is IPv6, else for IPv4. Returns the family, or -1 with errno. */
static int open_socket(struct listener *listener)
{
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6};
    struct sockaddr_in any4 = {.sin_family = AF_INET};
    int off = 0, type = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    listener->fd = socket(AF_INET6, type, 0);
    if (listener->fd >= 0 &&
        setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0 &&
        bind(listener->fd, (struct sockaddr *)&any6, sizeof any6) == 0)
        return AF_INET6;
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = socket(AF_INET, type, 0);
    return listener->fd >= 0 && bind(listener->fd, (struct sockaddr *)&any4, sizeof any4) == 0
               ? AF_INET
               : -1;
}

static bool read_port(const struct listener *listener, uint16_t *port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } bound;
    socklen_t size = sizeof bound;
    if (getsockname(listener->fd, &bound.any, &size) != 0)
        return false;
    *port = ntohs(bound.any.sa_family == AF_INET ? bound.in.sin_port : bound.in6.sin6_port);
    return true;
}

/* An address that reaches this machine from elsewhere. */
static bool is_useful(const struct ifaddrs *item, int family)
{
    if (!item->ifa_addr || !(item->ifa_flags & IFF_UP) || (item->ifa_flags & IFF_LOOPBACK) ||
        item->ifa_addr->sa_family != family)
        return false;
    return family == AF_INET ||
           !IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)item->ifa_addr)->sin6_addr);
}

static void add_addresses(const struct ifaddrs *list, int family, struct beat_target *target)
{
    for (; list && target->address_count < BEAT_MAX_ADDRESSES; list = list->ifa_next) {
        if (!is_useful(list, family))
            continue;
        const void *address =
            family == AF_INET
                ? (const void *)&((const struct sockaddr_in *)list->ifa_addr)->sin_addr
                : (const void *)&((const struct sockaddr_in6 *)list->ifa_addr)->sin6_addr;
        if (inet_ntop(family, address, target->addresses[target->address_count],
                      BEAT_ADDRESS_BYTES))
            target->address_count++;
    }
}

/* IPv4 first: the bound may cut the rest off. */
static int fill_target(const struct listener *listener, int family, struct beat_target *target)
{
    struct ifaddrs *list;
    *target = (struct beat_target){
        .addresses = {"127.0.0.1"}, .address_count = 1, .token = listener->token};
    if (!read_port(listener, &target->port) || getifaddrs(&list) != 0)
        return -1;
    add_addresses(list, AF_INET, target);
    if (family == AF_INET6)
        add_addresses(list, AF_INET6, target);
    freeifaddrs(list);
    return 0;
}

int listen_open(struct listener *listener, struct error *error)
{
    char text[BEAT_TARGET_BYTES];
    struct beat_target target;
    int queue_bytes = QUEUE_BYTES;
    listener->fd = -1;
    ssize_t got = getrandom(&listener->token, sizeof listener->token, 0);
    int family = got == (ssize_t)sizeof listener->token ? open_socket(listener) : -1;
    if (family < 0 || fill_target(listener, family, &target) != 0) {
        int problem = errno;
        listen_close(listener);
        return error_set_errno(error, ONWARD_ERR_IO, problem,
                               "heartbeats cannot be received: a UDP socket");
    }
    setsockopt(listener->fd, SOL_SOCKET, SO_RCVBUF, &queue_bytes, sizeof queue_bytes);
    beat_target_text(&target, text);
    setenv("ONWARD_BEAT", text, 1);
    return ONWARD_OK;
}

bool listen_take(struct listener *listener, int *budget, struct beat *beat)
{
    unsigned char bytes[BEAT_BYTES + 1];
    ssize_t got;
    while (*budget > 0 && (got = recv(listener->fd, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0) {
        --*budget;
        if (beat_decode(bytes, (size_t)got, beat) && beat->token == listener->token)
            return true;
    }
    return false;
}

void listen_close(struct listener *listener)
{
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
}
