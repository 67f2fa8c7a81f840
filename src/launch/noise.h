/* noise.h - which lines of mpirun's output are the program's, and which are Open MPI talking about
 * itself. The latter stay in the log. */
#ifndef LAUNCH_NOISE_H
#define LAUNCH_NOISE_H

#include <stdbool.h>
#include <stddef.h>

enum { NOISE_BLOCK_BYTES = 8192 };

/* One for each stream. A block between two dashed lines is held until it is closed. */
struct noise {
    char block[NOISE_BLOCK_BYTES];
    size_t block_bytes; /* 0: outside of a block */
    bool empty_follows; /* an empty line that belongs to what was dropped */
};

/* Takes one line (without its newline). Calls show(context, text, bytes) with what is to be shown:
 * nothing, the line, or a held block that turned out not to be Open MPI's. */
void noise_line(struct noise *noise, const char *line, size_t bytes,
                void (*show)(void *context, const char *text, size_t bytes), void *context);

/* The host in a line of mpirun that names the daemon it lost, copied into host; false: no such
 * line. */
bool noise_lost_host(const char *line, char *host, size_t host_bytes);

/* At the end of the stream: shows a block that was never closed. */
void noise_end(struct noise *noise, void (*show)(void *context, const char *text, size_t bytes),
               void *context);

#endif
