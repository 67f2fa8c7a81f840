/* places.h - the hosts of a task as the launcher knows them: which can be used now, why others
 * cannot, and that nothing of the task is left on any of them. */
#ifndef LAUNCH_PLACES_H
#define LAUNCH_PLACES_H

#include <stdbool.h>

#include "hosts.h"

enum {
    PLACES_REASON_BYTES = 256,
    PLACES_SUBNETS_BYTES = 512,
    PLACES_ADDRESSES = 8,
    PLACES_JOB_BYTES = 64
};

/* An IPv4 address of a host and its network, in the byte order of this machine. */
struct place_address {
    uint32_t address, mask;
};

struct place {
    struct host host;
    uint32_t listed_slots;           /* as the list says, whoever asked for more since */
    char own_name[HOSTS_NAME_BYTES]; /* as it calls itself, where that is another; "": not known */
    bool is_local;
    bool usable;                /* at the last probe */
    bool is_unknown;            /* it did not answer, and the agent does not know its name */
    bool is_blind;              /* it answered, and does not see the run directory */
    bool is_expected;           /* to answer the next one */
    bool retired;               /* it was taken out of the list: never usable, but swept */
    bool unlisted;              /* the same, but it is used where too few fit without it */
    bool drained;               /* by the operator: as well, until it is asked for again */
    bool returned;              /* it was not usable, and could be by now */
    bool is_asked_for;          /* an operator named it, and is to hear if it cannot be used */
    bool has_copies;            /* of the state, from a start that used it */
    bool leaves;                /* the next start is to be without it; then it is let go */
    char job[PLACES_JOB_BYTES]; /* of Slurm that it came with; "": with the task's own, if any */
    char reason[PLACES_REASON_BYTES]; /* why not: "h1 does not answer ..." */
    struct place_address addresses[PLACES_ADDRESSES];
    uint32_t address_count;
    uint32_t cores;
};

struct places {
    const char *agent, *program; /* onward-host */
    const char *task, *base, *local_directory;
    struct place *list;
    uint32_t count;
    double limit_s; /* of a probe or sweep */
};

/* Takes over the hosts, all usable so far; the other fields are the caller's to set. Without hosts
 * there are no places, and probe and sweep do nothing. */
int places_open(struct places *places, const struct hosts *hosts, struct error *error);
/* Whether some place has a name that is none of a host, as the last probe found. */
bool places_has_unknown(const struct places *places);
/* Whether the agent is there, where some place is to be reached by it. */
int places_find_agent(const struct places *places, struct error *error);
void places_close(struct places *places);

/* One place more, or that place anew where there is one of its name. */
int places_add(struct places *places, const struct place *place, struct error *error);
/* The place that is meant by a name, that of the list or one that a person or a member gives the
 * host: the one of that very name, else one that it may mean; NULL: none. */
struct place *places_find(const struct places *places, const char *host);
/* Whether a name means that place. */
bool places_is(const struct place *place, const char *name);
/* Whether it is in the list, used or not. */
bool place_is_listed(const struct place *place);
/* Somebody names it, with that many slots; one that is in the list keeps as many as it had. It is
 * in the list again, and is to be asked where it was not usable. */
void places_ask_for(struct places *places, const struct host *host);
/* That host is not to be used any more. */
void places_retire(struct places *places, const char *host);
/* Of those that can be used, such as are not in the list any more are used where the others have
 * fewer slots than that alone. Returns how many slots can be used. */
uint32_t places_spare_unlisted(struct places *places, uint32_t least_slots);
/* A start goes on without those that it spared. */
void places_retire_unlisted(struct places *places);
/* Forgets it: it is not even swept. */
void places_remove(struct places *places, const char *host);
/* An operator drained that host, or asks for it again; by the name that it or the list gives it. */
void places_drain(struct places *places, const char *host, bool drained);

/* Asks every host, at most limit_s, and kills what incarnations before `incarnation` left there.
 * Without patience, hosts that take much longer than half of the others count as dead, unless they
 * are expected to answer. Returns how many slots can be used. */
uint32_t places_probe(struct places *places, int64_t incarnation, bool patient);

/* The hosts that can be used, in order; the caller's to clear. */
int places_usable(const struct places *places, struct hosts *hosts, struct error *error);

/* Kills every process of the task on every host and here, at most limit_s; `clean`: and removes its
 * copies of the state there. `before` above 0: those of older incarnations alone, and no copies.
 * Returns how many hosts did not answer, with the names of the first of them in text. */
uint32_t places_sweep(struct places *places, int64_t before, bool clean, char *text,
                      size_t text_bytes);

/* Kills what incarnations before `incarnation` left on a host that this one does not use, and
 * removes the task's copies of its state there, at most limit_s. mpirun itself may run there. False
 * when the host is not known or did not say so. */
bool places_clear(const struct places *places, const char *host, int64_t incarnation);

/* Kills one process of the task on a host, at most limit_s. False when the host is not known or did
 * not say that the process is gone. */
bool places_kill(const struct places *places, const char *host, int32_t pid);

/* Puts "ADDRESS/BITS ADDRESS/BITS ..." into the addresses of the place; what is no such pair, or
 * too much, is passed over. */
void places_take_addresses(struct place *place, const char *text);

/* NAME:SLOTS,... of those that an operator drained and may ask for again, with no more slots than
 * that; the caller's to free. NULL: out of memory. */
char *places_drained(const struct places *places, uint32_t most_slots);

/* NAME=OWN,... of those whose own name is another one; the caller's to free. NULL: out of memory.
 */
char *places_names(const struct places *places);

/* Why hosts cannot be used, of the first of them that cannot; "": all can. */
void places_reasons(const struct places *places, char *text, size_t text_bytes);

/* The networks that all usable hosts share, as ADDRESS/BITS,...; "" where that is not known. */
void places_subnets(const struct places *places, char *text, size_t text_bytes);

/* Is it this machine? */
bool places_is_local(const char *host);

#endif
