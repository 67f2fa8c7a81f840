/* drill.h - whom a fault of a drill hits, and which hosts are to come back. Members in, a choice
 * out.
 *
 * The members of the run directory are those of the newest epoch that opened; who was hit since
 * then is remembered here, so that the minimum of workers is kept even while a change is under way.
 */
#ifndef LAUNCH_DRILL_H
#define LAUNCH_DRILL_H

#include <stdbool.h>

#include "rundir.h"

enum drill_kind { DRILL_PROCESS, DRILL_HOST, DRILL_STOP, DRILL_CUT, DRILL_KINDS };

enum { DRILL_MAX_HIT = 16384, DRILL_MAX_DOWN = 64, DRILL_TRIES = 5 };

/* A host that was taken down, as far as anyone knows: until its remedy has succeeded. */
struct drill_down {
    char host[RUNDIR_HOST_BYTES]; /* as its members call it */
    char name[RUNDIR_HOST_BYTES]; /* as the list of hosts does, for the command */
    const char *remedy;           /* "boot" or "heal" */
    double due_s;
    int tries_left;
};

struct drill {
    uint32_t min_workers;
    struct run_members members;
    uint32_t hit_count;
    uint32_t hit[DRILL_MAX_HIT]; /* member IDs of this incarnation */
    uint32_t down_count;
    struct drill_down down[DRILL_MAX_DOWN]; /* hosts that are to be brought back */
    char owner_host[RUNDIR_HOST_BYTES];     /* the launcher runs there; empty: not known */
    char own_host[RUNDIR_HOST_BYTES];       /* and the drill here */
};

const char *drill_kind_name(enum drill_kind kind);
/* How long what a fault costs may take to be known: for a task that takes who is silent for so long
 * for lost (0: not known). */
double drill_answer_limit_s(double detect_s);

/* From now on these are the members (taken over; what was there is freed). Another incarnation
 * forgets who was hit. */
void drill_take_members(struct drill *drill, struct run_members *members);
void drill_note_hit(struct drill *drill, uint32_t member);
bool drill_is_hit(const struct drill *drill, uint32_t member);

/* The victim of a process or a stop by the number of a draw; NULL: whoever is left is needed. */
const struct run_member *drill_choose_member(const struct drill *drill, double number);
/* The same for a whole host: a member there. Never the launcher's host, nor the drill's own. */
const struct run_member *drill_choose_host(const struct drill *drill, double number);

/* From now on the host is down, and to be brought back by the remedy then; name: as the list of
 * hosts calls it. The caller sees to it
 * that there is room (down_count below DRILL_MAX_DOWN). */
struct drill_down *drill_expect_back(struct drill *drill, const char *host, const char *name,
                                     const char *remedy, double due_s);
/* A host whose time has come and that has a try left; NULL: none. */
struct drill_down *drill_due(struct drill *drill, double now_s);
/* What its remedy came to: the host is forgotten, or has its next try after a pause. */
void drill_is_back(struct drill *drill, struct drill_down *down);
void drill_is_not_back(struct drill_down *down, double now_s);
/* At the end of the drill: nobody is waited for any more, and all have all their tries. */
void drill_hurry(struct drill *drill, double now_s);
bool drill_has_tries(const struct drill *drill);

void drill_clear(struct drill *drill);

#endif
