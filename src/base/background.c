/* background.c - threads of the library; see background.h. */
#include "background.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STACK_BYTES = 2 * 1024 * 1024 }; /* HDF5 may run on it */

int background_start(pthread_t *thread, void *(*work)(void *argument), void *argument,
                     struct error *error)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(thread, &attributes, work, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return failed ? error_set_errno(error, ONWARD_ERR_MEMORY, failed, "no thread to be had")
                  : ONWARD_OK;
}

/* Linux has a priority for each thread. */
void background_lower_priority(enum background_priority priority)
{
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), (int)priority);
}

static void *work(void *argument)
{
    struct background_task *task = argument;
    if (task->priority != BACKGROUND_NORMAL)
        background_lower_priority(task->priority);
    task->work(task->argument);
    atomic_store(&task->is_done, true);
    return NULL;
}

int background_begin(struct background_task *task, enum background_priority priority,
                     void (*to_do)(void *argument), void *argument, struct error *error)
{
    task->priority = priority;
    task->work = to_do;
    task->argument = argument;
    atomic_store(&task->is_done, false);
    return background_start(&task->thread, work, task, error);
}

bool background_is_done(const struct background_task *task)
{
    return atomic_load(&task->is_done);
}

void background_end(struct background_task *task)
{
    pthread_join(task->thread, NULL);
}
