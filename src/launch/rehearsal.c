/* rehearsal.c - see rehearsal.h. The list stays as it was given, so that a number always means the
 * same fault. */
#include "rehearsal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool rehearsal_has_happened(const struct rundir *rundir, int64_t first, int64_t last,
                            uint32_t fault)
{
    char path[PATH_MAX + 64];
    bool happened = false;
    for (int64_t incarnation = first; incarnation <= last && !happened; incarnation++) {
        snprintf(path, sizeof path, "%s/logs/fault.%lld.%u", rundir_path(rundir),
                 (long long)incarnation, fault);
        happened = access(path, F_OK) == 0;
    }
    return happened;
}

void rehearsal_hand_on(const struct rundir *rundir, int64_t first, int64_t last, bool is_known)
{
    const char *inject = getenv("ONWARD_INJECT");
    unsigned long long happened = 0;
    uint32_t count = 0, left = 0;
    char text[32];
    for (const char *next = inject; next; next = strchr(next + 1, ',')) {
        if (rehearsal_has_happened(rundir, first, last, count))
            happened |= 1ull << count;
        else
            left++;
        count++;
    }
    snprintf(text, sizeof text, "%llx", happened);
    if (is_known && left > 0 && setenv("ONWARD_INJECTED", text, 1) == 0)
        return;
    unsetenv("ONWARD_INJECT");
    unsetenv("ONWARD_INJECTED");
}
