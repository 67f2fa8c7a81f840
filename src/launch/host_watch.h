/* host_watch.h - the file of --hostfile while the task runs: whether it changed, and in what. */
#ifndef LAUNCH_HOST_WATCH_H
#define LAUNCH_HOST_WATCH_H

#include <stdbool.h>
#include <sys/stat.h>

#include "hosts.h"

/* Zeroed, but for the path: nothing is known yet. */
struct host_watch {
    const char *path; /* borrowed; NULL: there is none to watch */
    double next_s;    /* when to look again */
    struct stat seen; /* of the version that was looked at */
};

enum host_watch_result { HOST_WATCH_SAME, HOST_WATCH_CHANGED, HOST_WATCH_BAD };

/* Takes the file as it is for known. */
void host_watch_start(struct host_watch *watch);

/* Looks every two seconds. CHANGED: the new list is in hosts, which is the caller's to clear. BAD:
 * the file changed and cannot be read; error says why, once for each version of it. */
enum host_watch_result host_watch_look(struct host_watch *watch, double now_s, struct hosts *hosts,
                                       struct error *error);

#endif
