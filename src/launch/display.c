/* display.c - where progress is shown. The live line is one line without a newline, cut to the
 * width of the terminal; whatever else is printed takes it away first and it comes back with the
 * next status. */
#include "display.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "say.h"

enum { DEFAULT_COLUMNS = 80 };

static const double live_interval_s = 0.2, line_interval_s = 5;

void display_init(struct display *display, bool quiet)
{
    *display = (struct display){.quiet = quiet, .terminal = isatty(STDERR_FILENO) == 1};
}

/* What cannot be written (a closed pipe) is dropped: the task matters more. */
static void write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        bytes += written;
        size -= (size_t)written;
    }
}

static size_t terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20)
        return DEFAULT_COLUMNS;
    return size.ws_col;
}

void display_clear(struct display *display)
{
    if (display->live)
        write_all(STDERR_FILENO, "\r\033[K", 4);
    display->live = false;
}

static void show_live(struct display *display, const char *text)
{
    size_t columns = terminal_columns(), bytes = strlen(text);
    display_clear(display);
    write_all(STDERR_FILENO, text, bytes < columns ? bytes : columns - 1);
    display->live = true;
}

void display_status(struct display *display, const char *text)
{
    double now_s = clock_now_s();
    bool same = !strcmp(text, display->shown) && (display->live || !display->terminal);
    if (display->quiet || now_s < display->next_s || same)
        return;
    display->next_s = now_s + (display->terminal ? live_interval_s : line_interval_s);
    snprintf(display->shown, sizeof display->shown, "%s", text);
    if (display->terminal)
        show_live(display, text);
    else
        display_line(display, text);
}

void display_line(struct display *display, const char *text)
{
    if (!display->quiet)
        display_output(display, STDERR_FILENO, text, strlen(text));
}

void display_output(struct display *display, int fd, const char *text, size_t bytes)
{
    display_clear(display);
    write_all(fd, text, bytes);
    write_all(fd, "\n", 1);
}
