/* place.h - on which host new members go: into free slots of the emptiest one. */
#ifndef CORE_PLACE_H
#define CORE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLACE_TEXT_BYTES = 240, PLACE_NAME_BYTES = 256 };

/* Where `count` members go; hosts is NAME:COUNT or "": anywhere. */
struct placement {
    uint32_t count;
    char hosts[PLACE_TEXT_BYTES];
};

/* hosts: NAME:SLOTS,... ("": one host without a limit). used(context, name): how many slots of that
 * host are taken. Places at most `wanted` members, all on one host (0: no slot is free). False when
 * hosts cannot be read. */
bool place_choose(const char *hosts, uint32_t wanted,
                  uint32_t (*used)(const void *context, const char *name), const void *context,
                  struct placement *place);

/* A list of hosts with changes: both are NAME:SLOTS,...; NAME:0 in the changes takes a host out,
 * fewer slots than it has change nothing. By `names` (place_own_name) a host that the list calls
 * otherwise is found. Hosts that the list does not have are passed over unless it `grows`. The
 * result goes into merged, which has room for both texts and two bytes more; *added is by how many
 * slots hosts grew, *total how many there are. False when one of them cannot be read. */
bool place_merge(const char *hosts, const char *changes, const char *names, bool grows,
                 char *merged, uint32_t *added, uint32_t *total);

/* Whether two names mean one host: equal up to the first dot; addresses are compared whole. */
bool place_same_host(const char *a, const char *b);

/* Takes the first NAME:SLOTS off a list of them, as place_next_name() does. */
bool place_next_host(const char **hosts, char *name, uint32_t *slots);
/* Takes the first NAME=OWN off a list of them, NAME=OWN,...: what a host that a list of hosts calls
 * NAME calls itself. Both have room for PLACE_NAME_BYTES. False at the end of the list, or where
 * the rest cannot be read. */
bool place_next_name(const char **names, char *name, char *own);
/* What the host of that name calls itself, into own of PLACE_NAME_BYTES: by the list, that very
 * name before one that means the same host, else as it is called here. */
const char *place_own_name(const char *names, const char *name, char *own);
/* The reverse: what the list calls the host that calls itself so, into name of PLACE_NAME_BYTES, or
 * as it calls itself. Such as mean another host elsewhere (localhost) are passed over. */
const char *place_listed_name(const char *names, const char *host, char *name);
/* Whether two names mean one host, each its own or one of the list. */
bool place_is_one(const char *names, const char *a, const char *b);
/* localhost, or an address that means the same. */
bool place_is_loopback(const char *name);

#endif
