/* heart.h - tells the launcher that this member lives, and where its main thread is.
 *
 * A thread sends a heartbeat (src/base/beat.h) several times in each detect_s, whatever the main
 * thread does, and without MPI. What it tells are marks that the main thread leaves as it passes;
 * to leave them costs a few nanoseconds. Without a launcher there is no thread. */
#ifndef RUNTIME_HEART_H
#define RUNTIME_HEART_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "beat.h"
#include "error.h"

/* Written by the main thread alone. They are read one by one: a beat may mix two moments. */
struct heart_marks {
    _Atomic int64_t epoch, complete_step;
    _Atomic uint64_t moves;
    _Atomic uint32_t member;
    _Atomic int32_t rank;
    _Atomic uint32_t tellings; /* of the controller: how the task stands */
    _Atomic int32_t disk_errno;
    _Atomic uint8_t place; /* enum beat_place */
    _Atomic bool spawns;   /* the controller is held up by a spawn, which is bounded elsewhere */
};

struct heart;

/* Begins to beat as ONWARD_BEAT and ONWARD_DETECT_S say; *heart is NULL where there is no launcher.
 * marks must outlive it. */
int heart_start(const struct heart_marks *marks, const char *host, int64_t incarnation,
                struct heart **heart, struct error *error);

/* Says that this process leaves, and ends the thread. NULL is allowed. */
void heart_stop(struct heart *heart);

#endif
