/* farm_stream.h - the outputs of a farm with --keep-order, printed while it runs: those of a
 * command as soon as it and all before it are settled. What has not been printed when the farm ends
 * is printed from the joined files (farm_conclude.h), of which this is the beginning. */
#ifndef LAUNCH_FARM_STREAM_H
#define LAUNCH_FARM_STREAM_H

#include <limits.h>
#include <stdio.h>

#include "display.h"
#include "launch_options.h"
#include "rundir.h"

enum { FARM_STREAM_KINDS = 2 }; /* standard output, error output */

struct farm_stream {
    char run[PATH_MAX];
    uint32_t count, next;
    unsigned char *marks; /* of each subtask; NULL: nothing is printed */
    uint64_t offset;      /* in the journal */
    FILE *piece;          /* of the subtask that is next */
    int kind;
    uint64_t printed[FARM_STREAM_KINDS];
    double look_s; /* when next */
};

/* For a farm that keeps the order; else nothing will be printed. */
void farm_stream_open(struct farm_stream *stream, const struct launch_options *options,
                      const struct task_record *record);
void farm_stream_close(struct farm_stream *stream);

/* Prints what has come, bounded in bytes: the rest comes with the next call. */
void farm_stream_look(void *farm_stream, struct display *display);

/* Does that farm keep the order? */
bool farm_keeps_order(const struct task_record *record);

#endif
