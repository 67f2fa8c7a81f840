/* drill_options.h - what onward drill is asked to do. */
#ifndef LAUNCH_DRILL_OPTIONS_H
#define LAUNCH_DRILL_OPTIONS_H

#include "drill.h"
#include "strike.h"
#include "verb.h"

struct drill_input {
    struct task_options task;
    struct strike strike;
    enum drill_kind kinds[DRILL_KINDS];
    uint32_t kind_count;
    double mtbf_s, for_s; /* for_s 0: as long as the task runs */
    int64_t count;        /* faults at most */
    uint64_t seed;
    bool yes;
};

/* Defaults, then the command line; ends the process with status 2 when that is bad. */
void drill_options_parse(int argc, char **argv, struct drill_input *input);
bool drill_wants(const struct drill_input *input, enum drill_kind kind);

#endif
