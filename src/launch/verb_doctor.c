/* verb_doctor.c - onward doctor: does training with recovery work here? Each check is one line: ok
 * or no, what was found, and for a no what to do about it. What MPI can do is tried (doctor_mpi.c),
 * and so are hosts where some are named (doctor_hosts.c). All of it is bounded. */
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "doctor.h"
#include "find.h"
#include "hosts.h"
#include "launch_options.h"
#include "rundir.h"
#include "say.h"
#include "start.h"
#include "verb.h"

enum { KEY_HOSTS = 256, KEY_AGENT };

static void check_hosts_given(const struct doctor *doctor)
{
    struct hosts hosts = {.list = NULL};
    struct error error;
    if (doctor->host_list &&
        hosts_parse_list(doctor->host_list, "--hosts", &hosts, &error) != ONWARD_OK)
        options_refuse("doctor: %s", error.text);
    hosts_clear(&hosts);
}

static error_t parse_doctor(int key, char *text, struct argp_state *state)
{
    struct doctor *doctor = state->input;
    switch (key) {
    case 'd':
        doctor->directory = text;
        return 0;
    case 'j':
        doctor->json = true;
        return 0;
    case KEY_HOSTS:
        doctor->host_list = text;
        check_hosts_given(doctor);
        return 0;
    case KEY_AGENT:
        doctor->agent = launch_check_agent(text);
        return 0;
    case ARGP_KEY_ARG:
        options_refuse("doctor: %s: expected no argument", text);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option table[] = {
    {"dir", 'd', "DIR", 0, "where run directories will be (default $ONWARD_DIR or ./onward-runs)",
     0},
    {"json", 'j', NULL, 0, "print JSON", 0},
    {"hosts", KEY_HOSTS, "LIST", 0, "try these hosts too: NAME,... as onward run has them", 0},
    {"agent", KEY_AGENT, "CMD", 0, "what reaches another host (default ssh)", 0},
    {NULL, 0, NULL, 0, NULL, 0}};

static const struct argp doctor_argp = {
    .options = table,
    .parser = parse_doctor,
    .doc = "Checks whether training with recovery works here, by short trials. Exit status 0 if it "
           "does, else 1.",
};

void doctor_check(struct doctor *doctor, const char *name, bool needed, bool ok, const char *advice,
                  const char *format, ...)
{
    if (doctor->count == DOCTOR_MAX_CHECKS)
        return;
    struct check *check = &doctor->checks[doctor->count++];
    *check = (struct check){.name = name, .ok = ok, .needed = needed, .advice = advice};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(check->found, sizeof check->found, format, arguments);
    va_end(arguments);
}

static void check_directory(struct doctor *doctor, const char *name, const char *path,
                            const char *advice)
{
    struct statvfs space;
    if (statvfs(path, &space) != 0 || access(path, W_OK | X_OK) != 0) {
        doctor_check(doctor, name, true, false, advice, "%.200s cannot be written to", path);
        return;
    }
    double free_gib = (double)space.f_bavail * (double)space.f_frsize / (1024.0 * 1024 * 1024);
    doctor_check(doctor, name, true, free_gib >= 0.1, "free some space there",
                 "%.200s, %.1f GiB free", path, free_gib);
}

/* The run directory's place may not be there yet: its nearest ancestor counts. */
static void check_run_directory(struct doctor *doctor)
{
    char *base = doctor->base, *slash;
    struct error error;
    if (rundir_base(doctor->directory, base, sizeof doctor->base, &error) != ONWARD_OK) {
        base[0] = '\0';
        doctor_check(doctor, "runs", true, false, "name another directory by --dir", "%.200s",
                     error.text);
        return;
    }
    while (access(base, F_OK) != 0 && (slash = strrchr(base, '/')) != NULL && slash != base)
        *slash = '\0';
    check_directory(doctor, "runs", base, "name another directory by --dir or $ONWARD_DIR");
}

static void check_machine(struct doctor *doctor)
{
    char path[PATH_MAX];
    struct error error;
    doctor_check(doctor, "cores", true, true, "", "%u", start_core_count());
    bool has_loopback = if_nametoindex("lo") != 0;
    doctor_check(doctor, "interface", true, has_loopback, "bring up the loopback interface",
                 has_loopback ? "lo, for tasks on this host" : "there is no lo");
    bool has_train =
        find_own("onward-train", "ONWARD_TRAIN", path, sizeof path, &error) == ONWARD_OK;
    doctor_check(doctor, "train", false, has_train, "build with BLAS to have onward train",
                 "%.200s", has_train ? path : error.text);
    check_directory(doctor, "local", "/dev/shm", "mount a tmpfs on /dev/shm");
    check_run_directory(doctor);
}

static void check_rungs(struct doctor *doctor, bool has_mpirun, bool recovers, bool spawns)
{
    doctor_check(doctor, "rung 1", false, recovers, "see ulfm and recovery above",
                 "go on with the workers that are left");
    doctor_check(doctor, "rung 2", false, recovers, "see ulfm and recovery above",
                 recovers && spawns ? "a spare or a new process takes the place of a lost worker"
                                    : "a spare takes the place of a lost worker");
    doctor_check(doctor, "rung 3", false, has_mpirun, "see mpirun above",
                 "start mpirun again from the newest local copy or checkpoint");
    doctor_check(doctor, "rung 4", false, has_mpirun, "see mpirun above",
                 "resume later from the newest checkpoint");
}

static int report(const struct doctor *doctor)
{
    bool all = true;
    json_t *list = json_array();
    for (uint32_t i = 0; i < doctor->count; i++) {
        const struct check *check = &doctor->checks[i];
        const char *advice = check->ok ? "" : check->advice;
        all = all && (check->ok || !check->needed);
        if (doctor->json)
            json_array_append_new(list, json_pack("{s:s, s:b, s:b, s:s, s:s}", "name", check->name,
                                                  "ok", check->ok, "needed", check->needed, "found",
                                                  check->found, "advice", advice));
        else
            printf("%-3s %-10s %s%s%s\n", check->ok ? "ok" : "no", check->name, check->found,
                   *advice ? ": " : "", advice);
    }
    if (doctor->json) {
        int printed = print_json(json_pack("{s:b, s:o}", "ok", all, "checks", list));
        return all ? printed : 1;
    }
    json_decref(list);
    puts(all ? "training with recovery works here" : "training with recovery does not work here");
    return finish_output(all ? 0 : 1);
}

int verb_doctor(int argc, char **argv)
{
    static struct doctor doctor = {.agent = "ssh"};
    options_parse(&doctor_argp, "onward doctor", argc, argv, &doctor);
    bool has_mpirun = doctor_check_mpirun(&doctor);
    bool recovers = has_mpirun && doctor_check_recovery(&doctor);
    bool spawns = recovers && doctor_check_spawn(&doctor);
    check_machine(&doctor);
    if (doctor.host_list && has_mpirun)
        doctor_check_hosts(&doctor);
    check_rungs(&doctor, has_mpirun, recovers, spawns);
    return report(&doctor);
}
