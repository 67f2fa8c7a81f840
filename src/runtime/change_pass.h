/* change_pass.h - one pass of an epoch change, for the files that make it up. */
#ifndef RUNTIME_CHANGE_PASS_H
#define RUNTIME_CHANGE_PASS_H

#include "control.h"

/* What a member says in the agreement: the pass went well, the state could be had, what the program
 * gave fits, and its layouts can do so many workers. And of the local copy that the state came
 * from: none that this member has is another one, and none is the same. */
enum {
    FLAG_PASS = 1,
    FLAG_STATE = 2,
    FLAG_INPUT = 4,
    FLAG_UNDISPUTED = 8,
    FLAG_UNCONFIRMED = 16,
    FLAG_LAYOUT = 32,
    FLAGS_ALL = 63
};

struct pass {
    int rank, size;
    struct opening opening;
    struct seat *seats;
    void *core_bytes, *host_bytes;
    int32_t *holders; /* of the shards of opening.copy */
    int32_t lineup_rank;
    int flags; /* what this member says in the agreement */
};

/* For how long others wait for a member that takes so much state in: as for any change, and as long
 * as that may take on the slowest file system or network that is put up with. */
double change_limit_s(const struct onward *ow, uint64_t state_bytes);

/* change_state.c */
/* Asks the program's layouts for the new lineup. */
int change_lay_out(struct onward *ow, struct pass *pass);
/* Each has a role, or none: now the state of opening.step comes to all who need it. */
int change_bring_state(struct onward *ow, struct pass *pass);
/* The state could not be had from where the opening said: the next pass goes without it. */
void change_rule_out_source(struct onward *ow, const struct pass *pass);
/* By what all agreed on, another local copy of the step differs from the one that came in, and none
 * is the same: the next pass goes without it, and takes another only if somebody has the same. What
 * two have is right. */
bool change_rule_out_held(struct onward *ow, const struct pass *pass, int agreed);
/* All agreed that the program cannot be laid out for so many workers: the next pass has fewer. */
void change_rule_out_size(struct onward *ow, const struct pass *pass);
/* All agreed that what the program gave does not fit. Who knows why, the first of them, tells the
 * controller: ow->error there. */
void change_gather_reason(struct onward *ow, const struct pass *pass);

#endif
