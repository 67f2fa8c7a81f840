/* doctor_mpi.c - what mpirun and MPI can do on this machine. None of it is taken from a version but
 * tried, by the program onward-probe under mpirun, within a bound. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "doctor.h"
#include "find.h"
#include "start.h"

enum { RECOVERY_RANKS = 3, SPAWN_RANKS = 1 };

static const double version_limit_s = 4, probe_limit_s = 20;

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

bool doctor_check_mpirun(struct doctor *doctor)
{
    struct error error;
    char version[128];
    const char *advice = "install Open MPI 5 (openmpi-bin), or name its mpirun in $ONWARD_MPIRUN";
    if (find_mpirun(NULL, doctor->mpirun, sizeof doctor->mpirun, &error) != ONWARD_OK) {
        doctor->mpirun[0] = '\0';
        doctor_check(doctor, "mpirun", true, false, advice, "%.200s", error.text);
        return false;
    }
    bool works = version_of(doctor->mpirun, version, sizeof version);
    doctor_check(doctor, "mpirun", true, works, advice, "%.120s, %s", doctor->mpirun,
                 works ? version : "which does not say its version");
    works = version_of("prterun", version, sizeof version);
    doctor_check(doctor, "prrte", false, works, "put prterun in PATH to see its version", "%s",
                 works ? version : "prterun does not say its version");
    return true;
}

bool doctor_probe_says(const char *output, const char *name, char *detail, size_t detail_bytes)
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

void doctor_run_probe(char *const *command, double limit_s, struct quick_result *result,
                      struct error *error)
{
    result->output[0] = '\0';
    if (quick_run(command, limit_s, result, error) != ONWARD_OK || result->output[0])
        return;
    if (result->timed_out)
        error_set(error, ONWARD_ERR_TIMEOUT, "the probe did not end in %g s", limit_s);
    else
        error_set(error, ONWARD_ERR_MPI, "the probe said nothing: %.200s", result->error_line);
}

/* The probe in one of its modes (NULL: the first) on this machine. */
static void run_here(const struct doctor *doctor, const char *mode, uint32_t ranks,
                     struct quick_result *result, struct error *error)
{
    char **command = NULL;
    const char *program[] = {doctor->probe, mode};
    struct command_settings settings = {.mpirun = doctor->mpirun,
                                        .rank_count = ranks,
                                        .core_count = start_core_count(),
                                        .is_root = geteuid() == 0,
                                        .program = program,
                                        .program_count = mode ? 2 : 1};
    if (command_build(&settings, &command, error) == ONWARD_OK)
        doctor_run_probe(command, probe_limit_s, result, error);
    free(command);
}

bool doctor_check_recovery(struct doctor *doctor)
{
    static struct quick_result result;
    struct error error = {.text = ""};
    char detail[160];
    result.output[0] = '\0';
    if (find_own("onward-probe", "ONWARD_PROBE", doctor->probe, sizeof doctor->probe, &error) ==
        ONWARD_OK)
        run_here(doctor, NULL, RECOVERY_RANKS, &result, &error);
    else
        doctor->probe[0] = '\0';
    if (!result.output[0]) {
        doctor_check(doctor, "ulfm", true, false,
                     "see that `mpirun --with-ft ulfm -n 3 true' works", "%.220s", error.text);
        return false;
    }
    bool has_ulfm = doctor_probe_says(result.output, "ulfm", detail, sizeof detail);
    doctor_check(doctor, "ulfm", true, has_ulfm, "use an Open MPI 5 that is built with ULFM", "%s",
                 detail);
    bool recovers = doctor_probe_says(result.output, "recovery", detail, sizeof detail);
    doctor_check(doctor, "recovery", true, recovers, "without it only relaunch and resume work",
                 recovers ? "a killed process was survived in %s ms" : "%s", detail);
    return has_ulfm && recovers;
}

bool doctor_check_spawn(struct doctor *doctor)
{
    static struct quick_result result;
    struct error error = {.text = ""};
    char detail[160];
    result.output[0] = '\0';
    run_here(doctor, "spawn", SPAWN_RANKS, &result, &error);
    bool spawns = doctor_probe_says(result.output, "spawn", detail, sizeof detail);
    const char *advice = "lost workers are replaced by spares (--spares), or at the next relaunch";
    if (!result.output[0])
        snprintf(detail, sizeof detail, "%.150s", error.text);
    doctor_check(doctor, "spawn", false, spawns, advice,
                 spawns ? "under fault tolerance a new process joined in %s ms" : "%s", detail);
    return spawns;
}
