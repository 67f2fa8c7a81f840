/* keeper_internal.h - what the files of the keeper share. */
#ifndef FARM_KEEPER_INTERNAL_H
#define FARM_KEEPER_INTERNAL_H

#include <sys/types.h>

#include "keeper.h"

enum keeper_message { KEEPER_SETUP = 1, KEEPER_ORDERS, KEEPER_DROP, KEEPER_END_ALL, KEEPER_STOP };

/* Before the bytes of each message to the keeper. */
struct keeper_head {
    uint32_t kind, count;
};

enum {
    KEEPER_MESSAGE_BYTES =
        sizeof(struct keeper_head) + KEEPER_ORDERS_AT_ONCE * KEEPER_MAX_ORDER_BYTES
};

/* The keeper's side of the fork: never returns. */
void keeper_serve(const struct keeper_settings *settings, int fd) __attribute__((noreturn));

/* keeper_output.c: where the outputs of the command that runs go. A file in which nothing was
 * written serves the next command too. */
struct keeper_output {
    int fd;
    bool appends;
    char path[KEEPER_PATH_BYTES]; /* the file's name until it is put at its place */
};
/* path: of the place. Returns 0 or an errno. */
int keeper_output_open(struct keeper_output *output, const char *path, bool appends);
/* The command has ended: its bytes, if any, at their place. *size: how many. False: they are lost.
 */
bool keeper_output_keep(struct keeper_output *output, const char *path, bool replaces,
                        uint64_t *size);
void keeper_output_close(struct keeper_output *output);

/* keeper_spawn.c: in a process group of its own. Returns its process, or -1 with *problem. */
pid_t keeper_spawn(const struct keeper_launch *launch, int input, int output, int error_output,
                   int *problem);
/* Kills all children of this process and theirs, and waits until none is left, at most limit_s. */
bool keeper_kill_below(double limit_s);

#endif
