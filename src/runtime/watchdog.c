/* watchdog.c - one thread that waits on a condition with the armed deadline. */
#include "watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "background.h"

struct watchdog {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool armed, ended;
    int exit_code;
    struct timespec deadline;
};

static void end_process(int exit_code)
{
    if (exit_code == WATCHDOG_KILL)
        kill(getpid(), SIGKILL);
    _exit(exit_code);
}

static void *watch(void *argument)
{
    struct watchdog *watchdog = argument;
    pthread_mutex_lock(&watchdog->mutex);
    while (!watchdog->ended) {
        int code = 0;
        if (!watchdog->armed)
            pthread_cond_wait(&watchdog->changed, &watchdog->mutex);
        else
            code =
                pthread_cond_timedwait(&watchdog->changed, &watchdog->mutex, &watchdog->deadline);
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (code != 0 && watchdog->armed &&
            (now.tv_sec > watchdog->deadline.tv_sec || (now.tv_sec == watchdog->deadline.tv_sec &&
                                                        now.tv_nsec >= watchdog->deadline.tv_nsec)))
            end_process(watchdog->exit_code);
    }
    pthread_mutex_unlock(&watchdog->mutex);
    return NULL;
}

struct watchdog *watchdog_create(void)
{
    struct watchdog *watchdog = calloc(1, sizeof *watchdog);
    if (!watchdog)
        return NULL;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watchdog->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&watchdog->mutex, NULL);
    if (background_start(&watchdog->thread, watch, watchdog, NULL) != ONWARD_OK) {
        free(watchdog);
        return NULL;
    }
    return watchdog;
}

static void set(struct watchdog *watchdog, bool armed, bool ended)
{
    watchdog->armed = armed;
    watchdog->ended = ended;
    pthread_cond_signal(&watchdog->changed);
}

void watchdog_destroy(struct watchdog *watchdog)
{
    if (!watchdog)
        return;
    pthread_mutex_lock(&watchdog->mutex);
    set(watchdog, false, true);
    pthread_mutex_unlock(&watchdog->mutex);
    pthread_join(watchdog->thread, NULL);
    pthread_cond_destroy(&watchdog->changed);
    pthread_mutex_destroy(&watchdog->mutex);
    free(watchdog);
}

void watchdog_arm(struct watchdog *watchdog, double limit_s, int exit_code)
{
    pthread_mutex_lock(&watchdog->mutex);
    clock_gettime(CLOCK_MONOTONIC, &watchdog->deadline);
    int64_t ns = watchdog->deadline.tv_nsec + (int64_t)(limit_s * 1e9);
    watchdog->deadline.tv_sec += ns / 1000000000;
    watchdog->deadline.tv_nsec = ns % 1000000000;
    watchdog->exit_code = exit_code;
    set(watchdog, true, false);
    pthread_mutex_unlock(&watchdog->mutex);
}

void watchdog_disarm(struct watchdog *watchdog)
{
    pthread_mutex_lock(&watchdog->mutex);
    set(watchdog, false, false);
    pthread_mutex_unlock(&watchdog->mutex);
}
