/* neighbour.h - what /proc says of this process, and of others on this host. Local, thread-safe. */
#ifndef RUNTIME_NEIGHBOUR_H
#define RUNTIME_NEIGHBOUR_H

#include <stdbool.h>
#include <stddef.h>

/* The start of a file, at most room - 1 bytes and a zero; its size, 0 when it cannot be read. */
size_t neighbour_read(const char *path, char *bytes, size_t room);

/* Its state, as a letter of proc(5), and its parent. False: there is no such process. */
bool neighbour_look(long pid, char *state, long *parent);

#endif
