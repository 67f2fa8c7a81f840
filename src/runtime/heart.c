/* heart.c - the thread that sends heartbeats. A datagram that does not go out is not sent again:
 * the next beat follows soon, and one in eight is enough. */
#include "heart.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "background.h"

static const double default_detect_s = 5, beats_per_detection = 8;
static const double min_interval_s = 0.2, max_interval_s = 1;

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct heart {
    const struct heart_marks *marks;
    struct beat beat; /* the newest */
    union address addresses[BEAT_MAX_ADDRESSES];
    int address_count;
    int fd, fd6; /* of both families; -1: none */
    double interval_s;
    uint32_t stay_ms; /* of the main thread in the program, so far */
    uint32_t told;    /* by this thread, for a controller that spawns */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool ended;
};

/* How long the main thread has been in its step is counted in beats: then a time in which the whole
 * process was stopped does not make it long. */
static void measure_stay(struct heart *heart, uint64_t moves, uint8_t place)
{
    bool stays = place == BEAT_STEP && heart->beat.place == place && heart->beat.moves == moves;
    heart->stay_ms = stays ? heart->stay_ms + (uint32_t)(heart->interval_s * 1e3) : 0;
    if (heart->stay_ms > heart->beat.longest_ms)
        heart->beat.longest_ms = heart->stay_ms;
}

/* A controller that spawns cannot tell anything, and must not be taken for one that is silent: its
 * watchdog ends it alone, where the launcher would end the whole job. */
static uint32_t count_tellings(struct heart *heart)
{
    const struct heart_marks *marks = heart->marks;
    if (atomic_load_explicit(&marks->spawns, memory_order_relaxed))
        heart->told++;
    return atomic_load_explicit(&marks->tellings, memory_order_relaxed) + heart->told;
}

static void read_marks(struct heart *heart)
{
    const struct heart_marks *marks = heart->marks;
    uint64_t moves = atomic_load_explicit(&marks->moves, memory_order_relaxed);
    uint8_t place = atomic_load_explicit(&marks->place, memory_order_relaxed);
    measure_stay(heart, moves, place);
    heart->beat.moves = moves;
    heart->beat.place = place;
    heart->beat.epoch = atomic_load_explicit(&marks->epoch, memory_order_relaxed);
    heart->beat.complete_step = atomic_load_explicit(&marks->complete_step, memory_order_relaxed);
    heart->beat.member = atomic_load_explicit(&marks->member, memory_order_relaxed);
    heart->beat.rank = atomic_load_explicit(&marks->rank, memory_order_relaxed);
    heart->beat.tellings = count_tellings(heart);
    heart->beat.disk_errno = atomic_load_explicit(&marks->disk_errno, memory_order_relaxed);
}

static void send_beat(struct heart *heart, bool ends)
{
    unsigned char bytes[BEAT_BYTES];
    read_marks(heart);
    heart->beat.sequence++;
    heart->beat.ends = ends;
    beat_encode(&heart->beat, bytes);
    for (int i = 0; i < heart->address_count; i++) {
        const union address *to = &heart->addresses[i];
        bool is_6 = to->any.sa_family == AF_INET6;
        int fd = is_6 ? heart->fd6 : heart->fd;
        if (fd >= 0)
            sendto(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL, &to->any,
                   is_6 ? sizeof to->in6 : sizeof to->in);
    }
}

static void *beat(void *argument)
{
    struct heart *heart = argument;
    pthread_mutex_lock(&heart->mutex);
    while (!heart->ended) {
        struct timespec next;
        send_beat(heart, false);
        clock_gettime(CLOCK_MONOTONIC, &next);
        int64_t ns = next.tv_nsec + (int64_t)(heart->interval_s * 1e9);
        next.tv_sec += ns / 1000000000;
        next.tv_nsec = ns % 1000000000;
        while (!heart->ended &&
               pthread_cond_timedwait(&heart->changed, &heart->mutex, &next) != ETIMEDOUT)
            ;
    }
    send_beat(heart, true);
    pthread_mutex_unlock(&heart->mutex);
    return NULL;
}

static bool read_address(const char *text, uint16_t port, union address *address)
{
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &address->in.sin_addr) == 1) {
        address->in.sin_family = AF_INET;
        address->in.sin_port = htons(port);
        return true;
    }
    address->in6.sin6_family = AF_INET6;
    address->in6.sin6_port = htons(port);
    return inet_pton(AF_INET6, text, &address->in6.sin6_addr) == 1;
}

static bool read_target(struct heart *heart, const char *text)
{
    struct beat_target target;
    if (!beat_target_parse(text, &target))
        return false;
    heart->beat.token = target.token;
    heart->address_count = target.address_count;
    for (int i = 0; i < target.address_count; i++)
        if (!read_address(target.addresses[i], target.port, &heart->addresses[i]))
            return false;
    return true;
}

static bool read_interval(struct heart *heart, const char *text)
{
    char *end = (char *)"";
    double detect_s = text && *text ? strtod(text, &end) : default_detect_s;
    double interval_s = detect_s / beats_per_detection;
    heart->interval_s = interval_s < min_interval_s   ? min_interval_s
                        : interval_s > max_interval_s ? max_interval_s
                                                      : interval_s;
    return *end == '\0' && isfinite(detect_s) && detect_s > 0;
}

static int read_environment(struct heart *heart, struct error *error)
{
    const char *target = getenv("ONWARD_BEAT"), *detect = getenv("ONWARD_DETECT_S");
    if (!read_target(heart, target))
        return error_set(error, ONWARD_ERR_INPUT,
                         "environment variable ONWARD_BEAT is '%s', expected "
                         "ADDRESS[,ADDRESS...]:PORT:TOKEN",
                         target);
    if (!read_interval(heart, detect))
        return error_set(error, ONWARD_ERR_INPUT,
                         "environment variable ONWARD_DETECT_S is '%s', expected a number of "
                         "seconds above 0",
                         detect);
    return ONWARD_OK;
}

static int start_thread(struct heart *heart, struct error *error)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&heart->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&heart->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return background_start(&heart->thread, beat, heart, error);
}

static void release(struct heart *heart)
{
    if (heart->fd >= 0)
        close(heart->fd);
    if (heart->fd6 >= 0)
        close(heart->fd6);
    free(heart);
}

int heart_start(const struct heart_marks *marks, const char *host, int64_t incarnation,
                struct heart **result, struct error *error)
{
    const char *target = getenv("ONWARD_BEAT");
    *result = NULL;
    if (!target || !*target)
        return ONWARD_OK;
    struct heart *heart = calloc(1, sizeof *heart);
    if (!heart)
        return error_set(error, ONWARD_ERR_MEMORY, "no memory for heartbeats");
    heart->marks = marks;
    heart->beat.incarnation = incarnation;
    heart->beat.pid = getpid();
    strncpy(heart->beat.host, host, sizeof heart->beat.host - 1);
    heart->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    heart->fd6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int code = read_environment(heart, error);
    if (code == ONWARD_OK && heart->fd < 0 && heart->fd6 < 0)
        code = error_set_errno(error, ONWARD_ERR_IO, errno, "heartbeats: a UDP socket");
    if (code == ONWARD_OK)
        send_beat(heart,
                  false); /* who ends before the thread has its turn was there all the same */
    if (code == ONWARD_OK)
        code = start_thread(heart, error);
    if (code != ONWARD_OK) {
        release(heart);
        return code;
    }
    *result = heart;
    return ONWARD_OK;
}

void heart_stop(struct heart *heart)
{
    if (!heart)
        return;
    pthread_mutex_lock(&heart->mutex);
    heart->ended = true;
    pthread_cond_signal(&heart->changed);
    pthread_mutex_unlock(&heart->mutex);
    pthread_join(heart->thread, NULL);
    pthread_cond_destroy(&heart->changed);
    pthread_mutex_destroy(&heart->mutex);
    release(heart);
}
