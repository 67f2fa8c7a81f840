/* hosts.h - lists of hosts and their slots, as users write them: NAME[:SLOTS],... with ranges in
 * brackets as Slurm has them, or a file with one host a line. */
#ifndef LAUNCH_HOSTS_H
#define LAUNCH_HOSTS_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum { HOSTS_MAX = 4096, HOSTS_NAME_BYTES = 256, HOSTS_MAX_SLOTS = 4096 };

struct host {
    char name[HOSTS_NAME_BYTES];
    uint32_t slots; /* 0: not given */
};

/* Zeroed: none. The list is its owner's to clear. */
struct hosts {
    struct host *list;
    uint32_t count;
};

/* `text` is NAME[:SLOTS],...; each NAME may hold ranges: n[0-3,7], rack[1-2]n[01-04] (zeros in
 * front are kept). Letters, digits, dot, underscore and hyphen make a name, which starts with a
 * letter or digit. ONWARD_ERR_INPUT says what is wrong, `where` (such as --hosts), and what was
 * expected; then hosts are as they were. Else the old list is given up for the new. */
int hosts_parse_list(const char *text, const char *where, struct hosts *hosts, struct error *error);

/* One host a line: NAME, NAME:SLOTS or NAME slots=SLOTS, with the same ranges; # starts a comment.
 * `path` is for messages, which have the line behind it. Otherwise as hosts_parse_list. */
int hosts_parse_file(const char *text, size_t size, const char *path, struct hosts *hosts,
                     struct error *error);
int hosts_read_file(const char *path, struct hosts *hosts, struct error *error);

/* "n0:2,n1" (what hosts_parse_list reads), the caller's to free(). NULL: out of memory. */
char *hosts_text(const struct hosts *hosts);

/* Slots of all together. */
uint32_t hosts_slots(const struct hosts *hosts);

/* The same of a list as hosts_parse_list reads it; one without slots counts `otherwise`. */
int hosts_text_slots(const char *text, uint32_t otherwise, uint32_t *slots, struct error *error);

/* Hosts without slots get the rank_count ranks in equal parts, rounded up. */
void hosts_fill_slots(struct hosts *hosts, uint32_t rank_count);

void hosts_clear(struct hosts *hosts);

#endif
