/* output.c - what mpirun writes, cut into lines. A line longer than the buffer is passed on in
 * pieces. */
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { READS_AT_ONCE = 64 };

void output_init(struct output *output, struct display *display, int target, int log)
{
    output->target = target;
    output->log = log;
    output->display = display;
    output->noise.block_bytes = 0;
    output->noise.empty_follows = false;
    output->line_bytes = 0;
    output->last[0] = '\0';
    output->lost_host[0] = '\0';
}

static void show(void *context, const char *text, size_t bytes)
{
    struct output *output = context;
    display_output(output->display, output->target, text, bytes);
}

static void end_line(struct output *output)
{
    output->line[output->line_bytes] = '\0';
    if (strspn(output->line, " -") < output->line_bytes)
        snprintf(output->last, sizeof output->last, "%.255s", output->line);
    noise_lost_host(output->line, output->lost_host, sizeof output->lost_host);
    noise_line(&output->noise, output->line, output->line_bytes, show, output);
    output->line_bytes = 0;
}

static void take_bytes(struct output *output, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != '\n')
            output->line[output->line_bytes++] = bytes[i];
        if (bytes[i] == '\n' || output->line_bytes == sizeof output->line - 1)
            end_line(output);
    }
}

void output_end(struct output *output)
{
    if (output->line_bytes)
        end_line(output);
    noise_end(&output->noise, show, output);
}

void output_pump(struct output *output, int *fd)
{
    char bytes[OUTPUT_LINE_BYTES];
    for (int i = 0; i < READS_AT_ONCE && *fd >= 0; i++) {
        ssize_t got = read(*fd, bytes, sizeof bytes);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            close(*fd);
            *fd = -1;
            output_end(output);
            return;
        }
        /* A log on a full disk must not stop the training. */
        ssize_t logged = output->log >= 0 ? write(output->log, bytes, (size_t)got) : 0;
        (void)logged;
        take_bytes(output, bytes, (size_t)got);
    }
}
