/* drill.h - whom a fault of a drill hits. Members in, a choice out.
 *
 * The members of the run directory are those of the newest epoch that opened; who was hit since
 * then is remembered here, so that the minimum of workers is kept even while a change is under way.
 */
#ifndef LAUNCH_DRILL_H
#define LAUNCH_DRILL_H

#include <stdbool.h>

#include "rundir.h"

enum drill_kind { DRILL_PROCESS, DRILL_HOST, DRILL_STOP, DRILL_CUT, DRILL_KINDS };

enum { DRILL_MAX_HIT = 16384, DRILL_MAX_DOWN = 64 };

struct drill_down {
    char host[RUNDIR_HOST_BYTES];
    const char *remedy; /* "boot" or "heal" */
    double due_s;
};

struct drill {
    uint32_t min_workers;
    struct run_members members;
    uint32_t hit_count;
    uint32_t hit[DRILL_MAX_HIT]; /* member IDs of this incarnation */
    uint32_t down_count;
    struct drill_down down[DRILL_MAX_DOWN]; /* hosts that are to be brought back */
};

const char *drill_kind_name(enum drill_kind kind);

/* From now on these are the members (taken over; what was there is freed). Another incarnation
 * forgets who was hit. */
void drill_take_members(struct drill *drill, struct run_members *members);
void drill_note_hit(struct drill *drill, uint32_t member);
bool drill_is_hit(const struct drill *drill, uint32_t member);

/* The victim of a process or a stop by the number of a draw; NULL: whoever is left is needed. */
const struct run_member *drill_choose_member(const struct drill *drill, double number);
/* The same for a whole host: a member there. */
const struct run_member *drill_choose_host(const struct drill *drill, double number);

void drill_clear(struct drill *drill);

#endif
