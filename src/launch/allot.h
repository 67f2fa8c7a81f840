/* allot.h - what the next incarnation runs on: the hosts that can be used, as many ranks as were
 * asked for or fit there, and the command line of mpirun that comes of it. */
#ifndef LAUNCH_ALLOT_H
#define LAUNCH_ALLOT_H

#include "command.h"
#include "places.h"
#include "session.h"

struct allotment {
    struct places places;            /* none: this machine alone */
    struct command_settings command; /* but for rank_count, core_count and over */
    uint32_t member_count;           /* workers and spares that were asked for */
    uint32_t spare_count;            /* of these */
    uint32_t most_members;           /* more never come, whatever hosts come */
    uint32_t min_workers;
    uint32_t core_count; /* of this machine */
    uint32_t rank_count; /* of mpirun, after allot_command() */
    double detect_s;
    char keepalive[COMMAND_PREFIX_BYTES];
    char session[SESSION_PATH_BYTES]; /* of the mpirun that argv starts */
    char **argv;                      /* of mpirun, after allot_command() */
    struct hosts hosts;               /* that it names */
};

/* Asks the hosts (places_probe). Returns how many workers and spares fit; without hosts, all. */
uint32_t allot_probe(struct allotment *allotment, int64_t incarnation, bool patient);

/* Makes argv for the hosts that can be used now, and puts them into ONWARD_HOSTS, what they call
 * themselves into ONWARD_HOST_NAMES, and those that are drained into ONWARD_DRAINED_HOSTS. */
int allot_command(struct allotment *allotment, int64_t incarnation, struct error *error);

/* Does the command name that host? */
bool allot_uses(const struct allotment *allotment, const char *host);

/* Does the command name the hosts that can be used, and no others? */
bool allot_fits(const struct allotment *allotment);

/* Which of these hosts the newest probe found unusable, as a JSON array of names (NULL: out of
 * memory), and the reasons of all, "; " between them, into text. */
struct json_t *allot_lost(const struct allotment *allotment, const struct hosts *hosts, char *text,
                          size_t text_bytes);

void allot_clear(struct allotment *allotment);

#endif
