/* background.h - threads of the library that work beside the program's own. */
#ifndef BASE_BACKGROUND_H
#define BASE_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "error.h"

/* LOW: gets what others leave, and a tenth of a core that it shares. LEAST: a seventieth. NORMAL:
 * for what is short, or pauses by itself. */
enum background_priority { BACKGROUND_NORMAL = 0, BACKGROUND_LOW = 10, BACKGROUND_LEAST = 19 };

/* Starts a thread that takes no signal: these are for the program's own. ONWARD_ERR_MEMORY. */
int background_start(pthread_t *thread, void *(*work)(void *argument), void *argument,
                     struct error *error);

/* Of the thread that calls it, for good. */
void background_lower_priority(enum background_priority priority);

/* One piece of work, done by a thread. Zeros until it is begun. */
struct background_task {
    pthread_t thread;
    enum background_priority priority;
    atomic_bool is_done;
    void (*work)(void *argument);
    void *argument;
};
int background_begin(struct background_task *task, enum background_priority priority,
                     void (*work)(void *argument), void *argument, struct error *error);
/* Whether background_end would return at once. */
bool background_is_done(const struct background_task *task);
void background_end(struct background_task *task); /* waits */

#endif
