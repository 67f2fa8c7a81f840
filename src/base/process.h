/* process.h - what the process table says of a process of this host. Local, thread-safe. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process {
    pid_t pid, parent;
    char state; /* R S D T ..., as in proc(5) */
};

/* False: there is none of that number, or it is dead. */
bool process_read(pid_t pid, struct process *process);

/* A file of /proc/PID, at most room - 1 bytes and a zero; its size, 0 when it cannot be read. */
size_t process_read_file(pid_t pid, const char *name, char *bytes, size_t room);

#endif
