/* doctor_hosts.c - what onward can do over the hosts of --hosts: which of them answer through the
 * agent and see the place of the run directories, how long a bare start of mpirun over those takes,
 * and whether heartbeats come from them.
 *
 * They are asked just as the launcher asks them, by the name of a directory that stands in for a
 * run directory; what is started carries that name, and is swept in the end. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allot.h"
#include "beats.h"
#include "doctor.h"
#include "find.h"
#include "listen.h"
#include "say.h"
#include "start.h"
#include "verb.h"
#include "words.h"

static const double answer_limit_s = 10, start_limit_s = 60;

struct trip {
    struct doctor *doctor;
    struct allotment allotment;
    struct listener listener;
    char helper[PATH_MAX], directory[PATH_MAX + 32];
    const char *program[2];
};

static int open_directory(struct trip *trip, struct error *error)
{
    if (!trip->doctor->base[0])
        return error_set(error, ONWARD_ERR_INPUT, "there is no place for run directories");
    snprintf(trip->directory, sizeof trip->directory, "%s/onward-doctor.XXXXXX",
             trip->doctor->base);
    if (!mkdtemp(trip->directory)) {
        trip->directory[0] = '\0';
        return error_set(error, ONWARD_ERR_IO, "no directory can be made in %.200s",
                         trip->doctor->base);
    }
    return ONWARD_OK;
}

static int open_trip(struct trip *trip, struct error *error)
{
    const struct doctor *doctor = trip->doctor;
    struct hosts hosts = {.list = NULL};
    int code = find_own("onward-host", "ONWARD_HOST", trip->helper, sizeof trip->helper, error);
    if (code == ONWARD_OK)
        code = open_directory(trip, error);
    if (code == ONWARD_OK) /* parsed once before: good */
        code = hosts_parse_list(doctor->host_list, "--hosts", &hosts, error);
    if (code != ONWARD_OK)
        return code;
    for (uint32_t i = 0; i < hosts.count; i++)
        hosts.list[i].slots = 1;
    trip->allotment = (struct allotment){
        .places = {.agent = doctor->agent,
                   .program = trip->helper,
                   .task = strrchr(trip->directory, '/') + 1,
                   .base = doctor->base,
                   .local_directory = "/dev/shm",
                   .limit_s = answer_limit_s},
        .command = {.mpirun = doctor->mpirun, .is_root = geteuid() == 0, .program = trip->program},
        .member_count = hosts.count,
        .most_members = hosts.count,
        .min_workers = 1,
        .core_count = start_core_count(),
        .detect_s = 5};
    command_keepalive_prefix(doctor->mpirun, trip->allotment.keepalive,
                             sizeof trip->allotment.keepalive);
    code = places_open(&trip->allotment.places, &hosts, error);
    hosts_clear(&hosts);
    if (code == ONWARD_OK)
        code = places_find_agent(&trip->allotment.places, error);
    return code;
}

/* What is left anywhere, and the directory. */
static void close_trip(struct trip *trip)
{
    char names[256];
    listen_close(&trip->listener);
    if (trip->allotment.argv)
        places_sweep(&trip->allotment.places, 0, true, names, sizeof names);
    allot_clear(&trip->allotment);
    if (trip->directory[0])
        rmdir(trip->directory);
}

/* Returns how many hosts can be used. */
static uint32_t ask_hosts(struct trip *trip)
{
    const struct places *places = &trip->allotment.places;
    double begin_s = clock_now_s();
    uint32_t usable = allot_probe(&trip->allotment, 1, true), told = 0;
    doctor_check(trip->doctor, "hosts", usable == 0, usable == places->count,
                 "see the lines below; the others are used",
                 "%u of %u answer and see the run directory in %.80s, asked in %.2g s", usable,
                 places->count, places->base, clock_now_s() - begin_s);
    for (uint32_t i = 0; i < places->count && told < DOCTOR_MAX_HOSTS_TOLD; i++)
        if (!places->list[i].usable) {
            doctor_check(trip->doctor, "host", false, false, "", "%s", places->list[i].reason);
            told++;
        }
    return usable;
}

/* The probe over the hosts that are usable now. */
static double start_probe(struct trip *trip, struct quick_result *result, struct error *error)
{
    double begin_s = clock_now_s();
    trip->program[0] = trip->doctor->probe;
    trip->program[1] = "start";
    trip->allotment.command.program_count = 2;
    result->output[0] = '\0';
    if (allot_command(&trip->allotment, 1, error) == ONWARD_OK)
        doctor_run_probe(trip->allotment.argv, start_limit_s, result, error);
    return clock_now_s() - begin_s;
}

static bool check_start(struct trip *trip, uint32_t usable)
{
    static struct quick_result result;
    struct error error = {.text = ""};
    char detail[160];
    double seconds = start_probe(trip, &result, &error);
    bool starts = doctor_probe_says(result.output, "start", detail, sizeof detail);
    if (starts)
        snprintf(detail, sizeof detail,
                 "mpirun starts a program on %u host%s and ends it in %.2g s", usable,
                 usable == 1 ? "" : "s", seconds);
    else if (!result.output[0])
        snprintf(detail, sizeof detail, "%.150s", error.text);
    doctor_check(trip->doctor, "start", true, starts,
                 "see that each host reaches the others and this one by its name", "%s", detail);
    return starts;
}

/* All that came while the probe ran, and has waited in the socket. */
static struct beats *hear_probe(struct trip *trip)
{
    struct beat beat;
    int budget = BEATS_MAX_MEMBERS;
    struct beats *beats = beats_create(&(struct beats_settings){.detect_s = 5, .host = ""});
    if (!beats)
        return NULL;
    beats_begin(beats, 1);
    while (listen_take(&trip->listener, &budget, &beat))
        beats_take(beats, &beat, clock_now_s());
    return beats;
}

static void check_heartbeats(struct trip *trip, uint32_t usable)
{
    char names[128];
    struct words words = words_start(names, sizeof names);
    const struct places *places = &trip->allotment.places;
    struct beats *beats = hear_probe(trip);
    uint32_t unheard = 0;
    for (uint32_t i = 0; beats && i < places->count; i++) {
        const struct place *place = &places->list[i];
        if (place->usable && !beats_heard(beats, place->host.name, 0) &&
            !beats_heard(beats, place->own_name, 0))
            words_add(&words, "%s%.63s", unheard++ == 0 ? ", but not from " : ", ",
                      place->host.name);
    }
    doctor_check(
        trip->doctor, "heartbeats", false, beats && unheard == 0,
        "let UDP through from the hosts to this one; a member that stops there is not found",
        "come from %u of %u hosts%s", usable - unheard, usable, names);
    beats_destroy(beats);
}

void doctor_check_hosts(struct doctor *doctor)
{
    struct trip *trip = calloc(1, sizeof *trip);
    struct error error;
    if (!trip) {
        doctor_check(doctor, "hosts", true, false, "", "out of memory");
        return;
    }
    trip->doctor = doctor;
    trip->listener.fd = -1;
    if (open_trip(trip, &error) != ONWARD_OK) {
        doctor_check(doctor, "hosts", true, false, "", "%.240s", error.text);
    } else {
        uint32_t usable = ask_hosts(trip);
        bool listens = listen_open(&trip->listener, &error) == ONWARD_OK;
        if (usable > 0 && doctor->probe[0] && check_start(trip, usable) && listens)
            check_heartbeats(trip, usable);
    }
    close_trip(trip);
    free(trip);
}
