/* inject.h - the grammar of rehearsed faults (--inject).
 *
 *     FAULTS = FAULT {"," FAULT}
 *     FAULT  = ("kill" | "stop") ":" TARGET "@" TRIGGER
 *     TARGET = "worker=" RANK | "controller" | "spare" | "newcomer" | "host=" NAME
 *     TRIGGER = "step=" STEP | "phase=" PHASE
 *
 * RANK is the worker's place in the lineup at that moment. A spare is any member that has no role
 * yet, a newcomer a spawned process that is no member yet; both have phases alone. */
#ifndef BASE_INJECT_H
#define BASE_INJECT_H

#include <stdint.h>

#include "error.h"

enum inject_kind { INJECT_KILL = 1, INJECT_STOP };
enum inject_target {
    INJECT_WORKER = 1,
    INJECT_CONTROLLER,
    INJECT_SPARE,
    INJECT_NEWCOMER,
    INJECT_HOST
};
enum inject_trigger { INJECT_AT_STEP = 1, INJECT_AT_PHASE };
enum inject_phase {
    INJECT_PHASE_SUM = 1,
    INJECT_PHASE_CHECKPOINT,
    INJECT_PHASE_FINISH,
    /* of a change of the lineup, in this order */
    INJECT_PHASE_SHRINK, /* the survivors have found each other */
    INJECT_PHASE_JOIN,   /* newcomers and members are about to merge */
    INJECT_PHASE_REFORM, /* all have reported */
    INJECT_PHASE_OPEN,   /* all know the lineup */
    INJECT_PHASE_SPLIT,  /* the team is there */
    INJECT_PHASE_STATE,  /* the state is about to come */
    INJECT_PHASE_AGREE,  /* it is there, and all are about to agree */
    INJECT_PHASE_COMMIT, /* all have agreed */
    INJECT_PHASE_SPAWN,  /* the controller is inside of a spawn */
    INJECT_PHASE_LAST = INJECT_PHASE_SPAWN
};

struct inject_fault {
    enum inject_kind kind;
    enum inject_target target;
    enum inject_trigger trigger;
    enum inject_phase phase; /* INJECT_AT_PHASE */
    int32_t index;           /* INJECT_WORKER: rank */
    int64_t step;            /* INJECT_AT_STEP */
    char host[64];           /* INJECT_HOST */
};

/* Parses text into faults (room for max) and sets *count. ONWARD_ERR_INPUT with the faulty part and
 * what was expected; then *count is 0. */
int inject_parse(const char *text, struct inject_fault *faults, int max, int *count,
                 struct error *error);

#endif
