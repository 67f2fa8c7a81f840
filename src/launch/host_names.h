/* host_names.h - which host a name means. The list of hosts, a person, the kernel of the host and
 * Slurm may each call it otherwise. One rule for all: names are the same up to their first dot,
 * addresses when they are whole (core/place.h), and a name that the list of hosts has stands for
 * what that host calls itself. What differs is known from the answers of the hosts, and is in
 * members.json: {NAME: OWN}, NULL where nothing differs. */
#ifndef LAUNCH_HOST_NAMES_H
#define LAUNCH_HOST_NAMES_H

#include <jansson.h>
#include <stdbool.h>

/* Whether the two mean one host. */
bool host_names_same(const json_t *names, const char *a, const char *b);
/* What the list of hosts calls the host that calls itself so, by which it can be reached from
 * others; that name itself where the list has no other. */
const char *host_names_listed(const json_t *names, const char *host);

#endif
