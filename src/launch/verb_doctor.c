/* verb_doctor.c - onward doctor: does training with recovery work here? Each check is one line: ok
 * or no, what was found, and for a no what to do about it. That ULFM works is not taken from a
 * version but tried: a short program loses a process under mpirun. All of it is bounded. */
#include <limits.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "command.h"
#include "find.h"
#include "quick.h"
#include "rundir.h"
#include "say.h"
#include "start.h"
#include "verb.h"

enum { MAX_CHECKS = 24, PROBE_RANKS = 3 };

static const double version_limit_s = 4, probe_limit_s = 20;

struct check {
    const char *name;
    bool ok;
    bool needed; /* without it training with recovery does not work here */
    char found[256];
    const char *advice;
};

struct doctor {
    const char *directory;
    bool json;
    uint32_t count;
    struct check checks[MAX_CHECKS];
    char mpirun[PATH_MAX];
};

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
    {NULL, 0, NULL, 0, NULL, 0}};

static const struct argp doctor_argp = {
    .options = table,
    .parser = parse_doctor,
    .doc = "Checks whether training with recovery works here. Exit status 0 if it does, else 1.",
};

__attribute__((format(printf, 5, 6))) static struct check *add_check(struct doctor *doctor,
                                                                     const char *name, bool ok,
                                                                     const char *advice,
                                                                     const char *format, ...)
{
    if (doctor->count == MAX_CHECKS)
        return NULL;
    struct check *check = &doctor->checks[doctor->count++];
    *check = (struct check){.name = name, .ok = ok, .needed = true, .advice = advice};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(check->found, sizeof check->found, format, arguments);
    va_end(arguments);
    return check;
}

static void not_needed(struct check *check)
{
    if (check)
        check->needed = false;
}

/* The first line that a program prints about its version. */
static bool version_of(const char *program, char *line, size_t line_bytes)
{
    static struct quick_result result;
    char *const command[] = {(char *)program, (char *)"--version", NULL};
    if (quick_run(command, version_limit_s, &result, NULL) != ONWARD_OK ||
        result.exit_status != 0 || !result.output[0])
        return false;
    snprintf(line, line_bytes, "%.*s", (int)strcspn(result.output, "\n"), result.output);
    return true;
}

static bool check_mpirun(struct doctor *doctor)
{
    struct error error;
    char version[128];
    const char *advice = "install Open MPI 5 (openmpi-bin), or name its mpirun in $ONWARD_MPIRUN";
    if (find_mpirun(NULL, doctor->mpirun, sizeof doctor->mpirun, &error) != ONWARD_OK) {
        add_check(doctor, "mpirun", false, advice, "%.200s", error.text);
        return false;
    }
    bool works = version_of(doctor->mpirun, version, sizeof version);
    add_check(doctor, "mpirun", works, advice, "%.120s, %s", doctor->mpirun,
              works ? version : "which does not say its version");
    works = version_of("prterun", version, sizeof version);
    not_needed(add_check(doctor, "prrte", works, "put prterun in PATH to see its version", "%s",
                         works ? version : "prterun does not say its version"));
    return true;
}

/* "NAME yes DETAIL" in the probe's output. */
static bool probe_says(const char *output, const char *name, char *detail, size_t detail_bytes)
{
    size_t length = strlen(name);
    for (const char *line = output; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) != 0 || line[length] != ' ')
            continue;
        const char *answer = line + length + 1;
        const char *space = strchr(answer, ' ');
        size_t bytes = space ? strcspn(space + 1, "\n") : 0;
        snprintf(detail, detail_bytes, "%.*s", (int)bytes, space ? space + 1 : "");
        return !strncmp(answer, "yes", 3);
    }
    snprintf(detail, detail_bytes, "the probe did not get that far");
    return false;
}

/* Runs the probe; its output is "" when it did not end well. */
static void run_probe(const struct doctor *doctor, struct quick_result *result, struct error *error)
{
    char probe[PATH_MAX];
    char **command = NULL;
    const char *program[] = {probe, NULL};
    struct command_settings settings = {.mpirun = doctor->mpirun,
                                        .rank_count = PROBE_RANKS,
                                        .core_count = start_core_count(),
                                        .is_root = geteuid() == 0,
                                        .program = program,
                                        .program_count = 1};
    int code = find_own("onward-probe", "ONWARD_PROBE", probe, sizeof probe, error);
    if (code == ONWARD_OK)
        code = command_build(&settings, &command, error);
    if (code == ONWARD_OK)
        code = quick_run(command, probe_limit_s, result, error);
    free(command);
    if (code == ONWARD_OK && result->timed_out)
        error_set(error, ONWARD_ERR_TIMEOUT, "the probe did not end in %g s", probe_limit_s);
    else if (code == ONWARD_OK)
        error_set(error, ONWARD_OK, "%s", result->error_line);
}

static bool check_recovery(struct doctor *doctor)
{
    static struct quick_result result;
    struct error error = {0, ""};
    char detail[160];
    result.output[0] = '\0';
    run_probe(doctor, &result, &error);
    if (!result.output[0]) {
        add_check(doctor, "ulfm", false, "see that `mpirun --with-ft ulfm -n 3 true' works",
                  "the probe said nothing: %.200s", error.text);
        return false;
    }
    bool has_ulfm = probe_says(result.output, "ulfm", detail, sizeof detail);
    add_check(doctor, "ulfm", has_ulfm, "use an Open MPI 5 that is built with ULFM", "%s", detail);
    bool recovers = probe_says(result.output, "recovery", detail, sizeof detail);
    add_check(doctor, "recovery", recovers, "without it only relaunch and resume work",
              recovers ? "a killed process was survived in %s ms" : "%s", detail);
    return has_ulfm && recovers;
}

static void check_directory(struct doctor *doctor, const char *name, const char *path,
                            const char *advice)
{
    struct statvfs space;
    if (statvfs(path, &space) != 0 || access(path, W_OK | X_OK) != 0) {
        add_check(doctor, name, false, advice, "%.200s cannot be written to", path);
        return;
    }
    double free_gib = (double)space.f_bavail * (double)space.f_frsize / (1024.0 * 1024 * 1024);
    add_check(doctor, name, free_gib >= 0.1, "free some space there", "%.200s, %.1f GiB free", path,
              free_gib);
}

/* The run directory's place may not be there yet: its nearest ancestor counts. */
static void check_run_directory(struct doctor *doctor)
{
    char base[PATH_MAX];
    struct error error;
    if (rundir_base(doctor->directory, base, sizeof base, &error) != ONWARD_OK) {
        add_check(doctor, "runs", false, "name another directory by --dir", "%.200s", error.text);
        return;
    }
    char *slash;
    while (access(base, F_OK) != 0 && (slash = strrchr(base, '/')) != NULL && slash != base)
        *slash = '\0';
    check_directory(doctor, "runs", base, "name another directory by --dir or $ONWARD_DIR");
}

static void check_machine(struct doctor *doctor)
{
    char path[PATH_MAX];
    struct error error;
    add_check(doctor, "cores", true, "", "%u", start_core_count());
    bool has_loopback = if_nametoindex("lo") != 0;
    add_check(doctor, "interface", has_loopback, "bring up the loopback interface",
              has_loopback ? "lo, for tasks on this host" : "there is no lo");
    bool has_train =
        find_own("onward-train", "ONWARD_TRAIN", path, sizeof path, &error) == ONWARD_OK;
    not_needed(add_check(doctor, "train", has_train, "build with BLAS to have onward train",
                         "%.200s", has_train ? path : error.text));
    check_directory(doctor, "local", "/dev/shm", "mount a tmpfs on /dev/shm");
    check_run_directory(doctor);
}

static void check_rungs(struct doctor *doctor, bool has_mpirun, bool recovers)
{
    not_needed(add_check(doctor, "rung 1", recovers, "see ulfm and recovery above",
                         "go on with the workers that are left"));
    not_needed(add_check(doctor, "rung 2", recovers, "see ulfm and recovery above",
                         "a spare takes the place of a lost worker"));
    not_needed(add_check(doctor, "rung 3", has_mpirun, "see mpirun above",
                         "start mpirun again from the newest checkpoint"));
    not_needed(add_check(doctor, "rung 4", has_mpirun, "see mpirun above",
                         "resume later from the newest checkpoint"));
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
    static struct doctor doctor;
    options_parse(&doctor_argp, "onward doctor", argc, argv, &doctor);
    bool has_mpirun = check_mpirun(&doctor);
    bool recovers = has_mpirun && check_recovery(&doctor);
    check_machine(&doctor);
    check_rungs(&doctor, has_mpirun, recovers);
    return report(&doctor);
}
