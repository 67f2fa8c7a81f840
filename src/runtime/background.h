/* background.h - threads of the library that work beside the program's own. */
#ifndef RUNTIME_BACKGROUND_H
#define RUNTIME_BACKGROUND_H

#include <pthread.h>

#include "error.h"

/* LOW: gets what others leave, and a tenth of a core that it shares. LEAST: a seventieth. */
enum background_priority { BACKGROUND_LOW = 10, BACKGROUND_LEAST = 19 };

/* Starts a thread that takes no signal: these are for the program's own. ONWARD_ERR_MEMORY. */
int background_start(pthread_t *thread, void *(*work)(void *argument), void *argument,
                     struct error *error);

/* Of the thread that calls it, for good. */
void background_lower_priority(enum background_priority priority);

#endif
