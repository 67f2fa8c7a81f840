/* beats.h - who of the task is silent, and who hangs, by the heartbeats of its members.
 *
 * Four things can be found:
 *     silent       a member said nothing for detect_s, although it had not said that it leaves
 *     silent host  all members of another host did
 *     hang         a member's heartbeats come, but its main thread has been in the program's step
 *                  for hang_s, in which no worker of the lineup moved and some waited for it
 *     stuck        every worker has been in the program for hang_s, which was given: nobody knows
 *                  who hangs
 * Whoever calls deals with it and says so (beats_forget, beats_defer, beats_killed). Time is passed
 * in. */
#ifndef LAUNCH_BEATS_H
#define LAUNCH_BEATS_H

#include "beat.h"

enum { BEATS_MAX_MEMBERS = 12288 };

struct beats;

struct beats_settings {
    double detect_s;
    double hang_s;    /* 0: never; below 0: at least a minute and 20 of the longest steps seen */
    const char *host; /* of the launcher; copied */
};

enum beats_kind { BEATS_NOTHING, BEATS_SILENT, BEATS_SILENT_HOST, BEATS_HANG, BEATS_STUCK };

struct beats_finding {
    enum beats_kind kind;
    uint32_t index; /* for beats_forget and the like */
    uint32_t member;
    int32_t pid;
    double limit_s; /* that was exceeded */
    bool is_local;  /* on the launcher's host */
    bool again;     /* it was killed before, and did not go */
    char host[BEAT_HOST_BYTES];
};

struct beats *beats_create(const struct beats_settings *settings); /* NULL: out of memory */
void beats_destroy(struct beats *beats);

/* A new incarnation: forgets all members, and takes no others' beats. */
void beats_begin(struct beats *beats, int64_t incarnation);

/* One beat, its token checked. Of another incarnation, older than the newest of its process, or of
 * one too many: ignored. */
void beats_take(struct beats *beats, const struct beat *beat, double now_s);

/* A member is there, on a host that is heard, and may never have said anything: it ended before its
 * first beat, say. It has detect_s for that from now on. */
void beats_expect(struct beats *beats, const char *host, int32_t pid, int64_t epoch, double now_s);

/* The launcher did not listen for so long: of that no more than a quarter of detect_s counts as
 * silence. What came meanwhile is to be taken after this, and before the next finding. */
void beats_excuse(struct beats *beats, double pause_s, double now_s);

/* MPI noticed itself that the member is lost. Its process may have stopped before it could say in a
 * beat which member it is: host and pid tell it as well (pid 0: not known). */
void beats_lost(struct beats *beats, uint32_t member, const char *host, int64_t pid);

/* The next finding; BEATS_NOTHING when all is well. The same one comes back until it is dealt with.
 */
struct beats_finding beats_find(const struct beats *beats, double now_s);

/* The newest of what controllers told, in beats, of how the task stands. */
struct beats_telling {
    double when_s;  /* 0: none did yet */
    int disk_errno; /* why it is not in the run directory; 0: it is */
};
struct beats_telling beats_telling(const struct beats *beats);

/* The newest step that a member has the state of; -1: none. */
int64_t beats_newest_step(const struct beats *beats);

/* Did any member on that host say anything at that time or later? */
bool beats_heard(const struct beats *beats, const char *host, double since_s);
/* Its process is gone. */
void beats_forget(struct beats *beats, uint32_t index);
/* It has a reason to be silent, and detect_s more. */
void beats_defer(struct beats *beats, uint32_t index, double now_s);
/* It was killed, and has detect_s to be gone: from beats_lost or its next finding. */
void beats_killed(struct beats *beats, uint32_t index, double now_s);
/* Its process was gone when it was to be killed: it has detect_s to be missed. */
void beats_missing(struct beats *beats, uint32_t index, double now_s);
/* Have all others been speaking for detect_s? A loss is noticed late where one of them holds the
 * others up. */
bool beats_are_settled(const struct beats *beats, double now_s);
/* Has its process been missing for so long that whatever holds others up is no reason? */
bool beats_is_overdue(const struct beats *beats, uint32_t index, double now_s);

#endif
