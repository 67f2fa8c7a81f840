/* output.h - what mpirun writes: all of it into the log, what is the program's to the terminal. */
#ifndef LAUNCH_OUTPUT_H
#define LAUNCH_OUTPUT_H

#include "display.h"
#include "noise.h"

enum { OUTPUT_LINE_BYTES = 4096 };

struct output {
    int target; /* STDOUT_FILENO or STDERR_FILENO */
    int log;    /* -1: none */
    struct display *display;
    struct noise noise;
    char line[OUTPUT_LINE_BYTES];
    size_t line_bytes;
    char last[256];      /* the newest line that is not empty, for messages */
    char lost_host[256]; /* that mpirun named, or "" */
};

void output_init(struct output *output, struct display *display, int target, int log);

/* Reads what is there from *fd; at its end closes it, sets it to -1 and shows what was held. */
void output_pump(struct output *output, int *fd);

/* Shows what is held: the end of a line or of a block. */
void output_end(struct output *output);

#endif
