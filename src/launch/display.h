/* display.h - where progress is shown: one live line at the bottom of a terminal, or a line every
 * few seconds where there is none; the program's output goes between. */
#ifndef LAUNCH_DISPLAY_H
#define LAUNCH_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "progress.h"

struct display {
    bool quiet;    /* no progress and no events */
    bool terminal; /* standard error is one */
    bool live;     /* a live line stands there now */
    double next_s; /* no status before this */
    char shown[PROGRESS_LINE_BYTES];
};

void display_init(struct display *display, bool quiet);

/* The status line; shown when it is due and differs from the one before. */
void display_status(struct display *display, const char *text);
/* A line that stays. */
void display_line(struct display *display, const char *text);
/* A line of the program's, to its own stream. */
void display_output(struct display *display, int fd, const char *text, size_t bytes);
/* Takes the live line away. */
void display_clear(struct display *display);

#endif
