/* checkpoint_verb.h - what the subverbs of onward ckpt are given, and those that change something.
 */
#ifndef LAUNCH_CHECKPOINT_VERB_H
#define LAUNCH_CHECKPOINT_VERB_H

#include "rundir.h"
#include "verb.h"

struct ckpt_input {
    struct task_options task;
    const char *subverb;
    int64_t *steps; /* in the order given, each once */
    size_t step_count;
    const char *output; /* NULL: not given */
    bool force;
};

/* The step that is meant: the one given, else the newest whole one; what is passed over is warned
 * of. */
int ckpt_choose_step(const struct ckpt_input *input, const char *run, int64_t *step,
                     struct error *error);

/* checkpoint_change.c; they return the exit status. */
int ckpt_remove(const struct ckpt_input *input, const struct rundir *rundir);
int ckpt_export(const struct ckpt_input *input, const struct rundir *rundir);

#endif
