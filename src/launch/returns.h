/* returns.h - hosts that were lost and answer again, and such as an operator names.
 *
 * While members are missing, the hosts that could not be used at the last start are asked every ten
 * seconds, by a process of their own, since a dead host takes its time not to answer. One that can
 * be used is a reason for a planned start (move.h). */
#ifndef LAUNCH_RETURNS_H
#define LAUNCH_RETURNS_H

#include <stdint.h>
#include <sys/types.h>

struct supervisor;

enum { RETURNS_ANSWER_BYTES = 4096 };

struct returns {
    int answers;                       /* of the process that asks; -1: none does */
    pid_t pid;                         /* that process */
    double next_s, deadline_s;         /* when to ask again, and when to wait no more */
    char answer[RETURNS_ANSWER_BYTES]; /* a line each: the name of a host, or "! NAME REASON" */
    uint32_t used_bytes;
};

void returns_start(struct returns *returns);
/* Asks, and takes the answer: sets `returned` of the places that can be used again. */
void returns_look(struct supervisor *s);
/* The next question is due now: an operator named hosts. */
void returns_hurry(struct returns *returns);
/* A start asks all hosts itself. */
void returns_end(struct supervisor *s);

#endif
