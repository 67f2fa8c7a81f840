/* ranks.h - what the processes of a program that does not use libonward came to, rank by rank.
 *
 * The exit status of mpirun does not tell: it is 0 after a host was lost. So onward-rank, which
 * starts the program at each rank, reports into the run directory, in one file a host, so that each
 * file is appended to on one machine alone:
 *
 *     RUN/ranks/INCARNATION/HOST      begun RANK PID
 *                                     ended RANK EXIT_STATUS SIGNAL MICROSECONDS_SINCE_1970 */
#ifndef LAUNCH_RANKS_H
#define LAUNCH_RANKS_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

enum { RANKS_HOST_BYTES = 256, RANKS_LINE_BYTES = 128 };

struct rank {
    bool begun, ended;
    int32_t pid;
    int32_t exit_status, signal; /* once it ended; signal 0: none */
    int64_t ended_us;
    char host[RANKS_HOST_BYTES]; /* as its kernel calls it */
};

struct ranks {
    uint32_t count;
    struct rank *list;
    uint32_t begun, ended, succeeded;
    int64_t first_bad; /* the rank that was the first to end otherwise than with 0; -1: none */
};

/* Room for so many ranks of which nothing is known; ranks_clear() it, whatever the result. */
int ranks_init(struct ranks *ranks, uint32_t count, struct error *error);
void ranks_clear(struct ranks *ranks);

/* RUN/ranks/INCARNATION */
int ranks_directory(const char *run, int64_t incarnation, char *path, size_t path_bytes,
                    struct error *error);

/* Looks at all that was reported there. What is no such line, or about a rank that is none of
 * these, is passed over. */
int ranks_read(struct ranks *ranks, const char *directory, struct error *error);

/* The lines, with their newline, into text (RANKS_LINE_BYTES); returns their length. */
int ranks_begun_line(uint32_t rank, int32_t pid, char *text);
int ranks_ended_line(uint32_t rank, const struct rank *how, char *text);

/* "rank 2 on host n1 ended with exit status 3", of the first that did not end well, or "". */
void ranks_describe(const struct ranks *ranks, char *text, size_t text_bytes);

#endif
