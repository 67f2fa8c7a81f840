/* plain.h - a program that does not use libonward, under the supervisor: rungs 3 and 4, from its
 * own restart files.
 *
 * Nobody in such a job writes how the task stands, so the launcher does, from what the ranks report
 * (ranks.h): it plays the controller, and the rest of the supervisor sees the files that it sees
 * otherwise. The steps of such a task are the seconds that it has run. */
#ifndef LAUNCH_PLAIN_H
#define LAUNCH_PLAIN_H

#include <limits.h>
#include <stdbool.h>

#include "ranks.h"

struct supervisor;

struct plain_settings {
    const char
        *restart_command;     /* run in place of the program after the first incarnation, or "" */
    const char *restart_file; /* pattern of what has to be there for that, or "" */
    const char *done_file;    /* the task is complete when this is there, or "": by exit status */
    double end_time_s;        /* seconds since 1970; 0: not known */
};

struct plain {
    const struct plain_settings *settings; /* NULL: the program uses libonward */
    struct ranks ranks;
    char directory[PATH_MAX]; /* of what they report */
    char pattern[PATH_MAX];   /* of restart files */
    char runs[PATH_MAX];      /* what is run, in words */
    int disk_errno;           /* why the newest status could not be written; 0: it was */
    bool opened;              /* all ranks have begun */
    bool stops;               /* it was asked to */
    bool members_unwritten;   /* members.json is of an older incarnation */
    bool no_room;             /* it is complete, and that cannot be written yet */
    double look_s, opened_s, stop_deadline_s;
    double ended_s;    /* when all ranks had ended, or mpirun had; 0: not yet */
    int64_t newest_ns; /* of the restart files when it began */
    int64_t gained_s;  /* seconds that led to a new one, of all incarnations */
    uint32_t stale;    /* failed starts from the newest restart file in a row */
};

/* Before the first start: the variables that the ranks get. */
int plain_open(struct supervisor *s, struct error *error);
void plain_close(struct plain *plain);

/* Before mpirun is started under that incarnation: where ranks report, and what they run. */
int plain_prepare(struct supervisor *s, int64_t incarnation, struct error *error);

/* Looks, and writes how the task stands. is_gone: mpirun has ended. True: it is to be taken down,
 * or what it left is all that comes; s->cut_off says why. */
bool plain_turn(struct supervisor *s, bool is_gone);

/* mpirun has ended, and what the ranks reported may still be on its way, or there is no room to
 * record that the task is complete. */
bool plain_waits(const struct supervisor *s);

/* After an incarnation: seconds that led to new restart files so far. */
int64_t plain_account(struct supervisor *s);

#endif
