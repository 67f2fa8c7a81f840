/* doctor.h - the checks of onward doctor, and the list that they go into. */
#ifndef LAUNCH_DOCTOR_H
#define LAUNCH_DOCTOR_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "quick.h"

enum { DOCTOR_MAX_CHECKS = 40, DOCTOR_MAX_HOSTS_TOLD = 8 };

struct check {
    const char *name;
    bool ok;
    bool needed; /* without it training with recovery does not work here */
    char found[256];
    const char *advice;
};

struct doctor {
    const char *directory, *host_list, *agent; /* as given, or NULL */
    bool json;
    uint32_t count;
    struct check checks[DOCTOR_MAX_CHECKS];
    char mpirun[PATH_MAX], probe[PATH_MAX]; /* programs; "": not found */
    char base[PATH_MAX]; /* where run directories will be, or its nearest ancestor; "": bad */
};

/* One more in the list; advice says what to do about a no. */
void doctor_check(struct doctor *doctor, const char *name, bool needed, bool ok, const char *advice,
                  const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Whether the probe's output has "NAME yes DETAIL". Else the detail is why not. */
bool doctor_probe_says(const char *output, const char *name, char *detail, size_t detail_bytes);
/* Runs a command that ends in the probe, at most limit_s; the output is "" when it could not be
 * started, or said nothing, and then the error has a text. */
void doctor_run_probe(char *const *command, double limit_s, struct quick_result *result,
                      struct error *error);

/* doctor_mpi.c: each on this machine alone. */
bool doctor_check_mpirun(struct doctor *doctor);
bool doctor_check_recovery(struct doctor *doctor);
bool doctor_check_spawn(struct doctor *doctor);

/* doctor_hosts.c: the hosts of --hosts, if any. */
void doctor_check_hosts(struct doctor *doctor);

#endif
