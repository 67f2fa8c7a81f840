/* beats.c - the members as their heartbeats tell of them: a bounded array, found by host and
 * process through a hash table of twice its size. Nothing is taken out before the next incarnation;
 * who is gone is marked, so that a beat that comes late does not bring it back. */
#include "beats.h"

#include <stdlib.h>
#include <string.h>

#include "place.h"

enum { SLOTS = 32768, MIN_HANG_S = 60, HANG_STEPS = 20, OVERDUE_DETECTIONS = 10 };

/* Of one pause of the launcher that counts as silence: this part of detect_s. */
static const double counted_share = 0.25;

struct entry {
    struct beat beat; /* the newest */
    double beat_s;    /* when it came */
    double moved_s;   /* when its main thread was first seen where it is */
    double missing_s; /* when its process was first found gone; 0: it was not */
    bool gone, killed;
};

struct beats {
    struct beats_settings settings;
    char host[BEAT_HOST_BYTES];
    int64_t incarnation;
    struct beats_telling telling;
    int64_t telling_epoch; /* of the member that told */
    double unsettled_s;    /* when one last spoke again after a silence, or was killed for it */
    uint32_t count;
    struct entry entries[BEATS_MAX_MEMBERS];
    uint32_t slots[SLOTS]; /* index + 1; 0: empty */
};

struct beats *beats_create(const struct beats_settings *settings)
{
    struct beats *beats = calloc(1, sizeof *beats);
    if (!beats)
        return NULL;
    beats->settings = *settings;
    strncpy(beats->host, settings->host, sizeof beats->host - 1);
    beats->settings.host = beats->host;
    return beats;
}

void beats_destroy(struct beats *beats)
{
    free(beats);
}

void beats_begin(struct beats *beats, int64_t incarnation)
{
    beats->incarnation = incarnation;
    beats->count = 0;
    beats->telling = (struct beats_telling){.when_s = 0};
    beats->telling_epoch = 0;
    beats->unsettled_s = 0;
    memset(beats->slots, 0, sizeof beats->slots);
}

/* FNV-1a. */
static uint32_t hash(const char *host, int32_t pid)
{
    uint32_t number = (2166136261u ^ (uint32_t)pid) * 16777619u;
    for (const char *c = host; *c; c++)
        number = (number ^ (unsigned char)*c) * 16777619u;
    return number ^ number >> 15;
}

/* The entry of the beat's process, a new one where there is none; NULL: one too many. */
static struct entry *find(struct beats *beats, const struct beat *beat, bool *is_new)
{
    uint32_t slot = hash(beat->host, beat->pid) % SLOTS;
    *is_new = false;
    for (; beats->slots[slot] != 0; slot = (slot + 1) % SLOTS) {
        struct entry *entry = &beats->entries[beats->slots[slot] - 1];
        if (entry->beat.pid == beat->pid && strcmp(entry->beat.host, beat->host) == 0)
            return entry;
    }
    if (beats->count == BEATS_MAX_MEMBERS)
        return NULL;
    *is_new = true;
    beats->slots[slot] = ++beats->count;
    return &beats->entries[beats->count - 1];
}

void beats_take(struct beats *beats, const struct beat *beat, double now_s)
{
    bool is_new;
    if (beat->incarnation != beats->incarnation)
        return;
    struct entry *entry = find(beats, beat, &is_new);
    if (!entry || (!is_new && beat->sequence <= entry->beat.sequence))
        return;
    if (is_new)
        *entry = (struct entry){.moved_s = now_s};
    if (beat->tellings != entry->beat.tellings) {
        beats->telling = (struct beats_telling){now_s, beat->disk_errno};
        beats->telling_epoch = beat->epoch;
    }
    if (!is_new && beat->moves != entry->beat.moves)
        entry->moved_s = now_s;
    if (!is_new && now_s - entry->beat_s > beats->settings.detect_s / 2)
        beats->unsettled_s = now_s;
    entry->beat = *beat;
    entry->beat_s = now_s;
    entry->gone |= beat->ends;
}

void beats_expect(struct beats *beats, const char *host, int32_t pid, int64_t epoch, double now_s)
{
    bool is_new;
    struct beat beat = {.incarnation = beats->incarnation, .epoch = epoch, .pid = pid, .rank = -1};
    strncpy(beat.host, host, sizeof beat.host - 1);
    struct entry *entry = find(beats, &beat, &is_new);
    if (is_new)
        *entry = (struct entry){.beat = beat, .beat_s = now_s, .moved_s = now_s};
}

struct beats_telling beats_telling(const struct beats *beats)
{
    return beats->telling;
}

int64_t beats_newest_step(const struct beats *beats)
{
    int64_t step = -1;
    for (uint32_t i = 0; i < beats->count; i++)
        if (beats->entries[i].beat.complete_step > step)
            step = beats->entries[i].beat.complete_step;
    return step;
}

static double earlier(double a, double b)
{
    return a < b ? a : b;
}

/* What came meanwhile waits in the socket and is taken next. Only where members were held up as
 * well, or the socket was full, is a member that lives not heard, and such pauses are long. If
 * short ones were excused too, a launcher whose every turn is slow would find nobody. */
void beats_excuse(struct beats *beats, double pause_s, double now_s)
{
    double excused_s = pause_s - counted_share * beats->settings.detect_s;
    if (excused_s <= 0)
        return;
    if (beats->telling.when_s > 0)
        beats->telling.when_s = earlier(beats->telling.when_s + excused_s, now_s);
    for (uint32_t i = 0; i < beats->count; i++) {
        struct entry *entry = &beats->entries[i];
        entry->beat_s = earlier(entry->beat_s + excused_s, now_s);
        entry->moved_s = earlier(entry->moved_s + excused_s, now_s);
    }
}

void beats_lost(struct beats *beats, uint32_t member, const char *host, int64_t pid)
{
    for (uint32_t i = 0; i < beats->count; i++) {
        const struct beat *beat = &beats->entries[i].beat;
        if ((member != 0 && beat->member == member) ||
            (pid != 0 && beat->pid == pid && place_same_host(beat->host, host)))
            beats->entries[i].gone = true;
    }
}

bool beats_heard(const struct beats *beats, const char *host, double since_s)
{
    for (uint32_t i = 0; i < beats->count; i++)
        if (beats->entries[i].beat_s >= since_s &&
            place_same_host(beats->entries[i].beat.host, host))
            return true;
    return false;
}

void beats_forget(struct beats *beats, uint32_t index)
{
    beats->entries[index].gone = true;
}

void beats_defer(struct beats *beats, uint32_t index, double now_s)
{
    beats->entries[index].beat_s = beats->entries[index].moved_s = now_s;
}

void beats_missing(struct beats *beats, uint32_t index, double now_s)
{
    struct entry *entry = &beats->entries[index];
    beats_defer(beats, index, now_s);
    entry->missing_s = entry->missing_s > 0 ? entry->missing_s : now_s;
    entry->killed = true;
}

void beats_killed(struct beats *beats, uint32_t index, double now_s)
{
    beats_missing(beats, index, now_s);
    beats->unsettled_s = now_s;
}

bool beats_are_settled(const struct beats *beats, double now_s)
{
    double detect_s = beats->settings.detect_s;
    for (uint32_t i = 0; i < beats->count; i++) {
        const struct entry *entry = &beats->entries[i];
        if (!entry->gone && !entry->killed && now_s - entry->beat_s > detect_s / 2)
            return false;
    }
    return now_s - beats->unsettled_s > detect_s;
}

bool beats_is_overdue(const struct beats *beats, uint32_t index, double now_s)
{
    double missing_s = beats->entries[index].missing_s;
    return missing_s > 0 && now_s - missing_s > OVERDUE_DETECTIONS * beats->settings.detect_s;
}

static struct beats_finding make_finding(const struct beats *beats, enum beats_kind kind,
                                         uint32_t index, double limit_s)
{
    const struct entry *entry = &beats->entries[index];
    struct beats_finding finding = {.kind = kind,
                                    .index = index,
                                    .member = entry->beat.member,
                                    .pid = entry->beat.pid,
                                    .limit_s = limit_s,
                                    .is_local = strcmp(entry->beat.host, beats->host) == 0,
                                    .again = entry->killed};
    memcpy(finding.host, entry->beat.host, sizeof finding.host);
    return finding;
}

/* When the host of the silent entry last said anything. The members of a host that dies fall silent
 * within one pause between two beats; detect_s / 2 is four of them. */
static enum beats_kind judge_host(const struct beats *beats, const struct entry *silent,
                                  double now_s)
{
    double newest_s = silent->beat_s;
    for (uint32_t i = 0; i < beats->count; i++) {
        const struct entry *entry = &beats->entries[i];
        if (!entry->gone && entry->beat_s > newest_s &&
            strcmp(entry->beat.host, silent->beat.host) == 0)
            newest_s = entry->beat_s;
    }
    double silent_s = now_s - newest_s, detect_s = beats->settings.detect_s;
    return silent_s > detect_s       ? BEATS_SILENT_HOST
           : silent_s > detect_s / 2 ? BEATS_NOTHING /* soon to be seen */
                                     : BEATS_SILENT;
}

/* While the disk is full nobody can read which members were lost; an epoch that it is not in tells
 * it too. */
static bool is_left_out(const struct beats *beats, const struct entry *silent)
{
    return beats->telling.disk_errno != 0 && silent->beat.epoch > 0 &&
           silent->beat.epoch < beats->telling_epoch;
}

static struct beats_finding find_silent(const struct beats *beats, double now_s)
{
    double detect_s = beats->settings.detect_s;
    for (uint32_t i = 0; i < beats->count; i++) {
        const struct entry *entry = &beats->entries[i];
        if (entry->gone || now_s - entry->beat_s <= detect_s || is_left_out(beats, entry))
            continue;
        enum beats_kind kind = strcmp(entry->beat.host, beats->host) == 0
                                   ? BEATS_SILENT
                                   : judge_host(beats, entry, now_s);
        if (kind != BEATS_NOTHING)
            return make_finding(beats, kind, i, detect_s);
    }
    return (struct beats_finding){.kind = BEATS_NOTHING};
}

/* The workers of the newest lineup, taken together. */
struct lineup_view {
    bool settled;   /* all members are in one epoch, and speak, but for those that were killed */
    bool killed;    /* one was, and is not gone yet */
    uint32_t count; /* workers */
    uint32_t inside;
    uint32_t longest_ms;
    double moved_s; /* when one of them last moved */
};

static struct lineup_view view_lineup(const struct beats *beats, double now_s)
{
    struct lineup_view view = {.settled = true};
    int64_t epoch = 0;
    for (uint32_t i = 0; i < beats->count; i++) {
        const struct entry *entry = &beats->entries[i];
        if (entry->beat.longest_ms > view.longest_ms)
            view.longest_ms = entry->beat.longest_ms;
        view.killed |= entry->killed && !entry->gone;
        if (entry->gone || entry->killed)
            continue;
        if (epoch == 0)
            epoch = entry->beat.epoch;
        view.settled &= epoch > 0 && entry->beat.epoch == epoch &&
                        now_s - entry->beat_s <= beats->settings.detect_s;
        if (entry->beat.rank < 0)
            continue;
        view.count++;
        view.inside += entry->beat.place == BEAT_INSIDE;
        if (entry->moved_s > view.moved_s)
            view.moved_s = entry->moved_s;
    }
    return view;
}

static double automatic_hang_s(const struct lineup_view *view)
{
    double steps_s = HANG_STEPS * (double)view->longest_ms / 1e3;
    return steps_s > MIN_HANG_S ? steps_s : MIN_HANG_S;
}

/* The first worker that is in its step, or, where a limit was given, in its final work. */
static struct beats_finding find_in_step(const struct beats *beats, enum beats_kind kind,
                                         double hang_s, bool is_given)
{
    for (uint32_t i = 0; i < beats->count; i++) {
        const struct entry *entry = &beats->entries[i];
        if (!entry->gone && !entry->killed && entry->beat.rank >= 0 &&
            (entry->beat.place == BEAT_STEP || (is_given && entry->beat.place == BEAT_FINAL)))
            return make_finding(beats, kind, i, hang_s);
    }
    return (struct beats_finding){.kind = BEATS_NOTHING};
}

/* Where all workers are in the program, they may wait there for one another by MPI calls of their
 * own: nobody can say who hangs, only that they are all late where a limit was given. Not while one
 * that was killed is still to go, which changes the lineup. A lone worker, and the final work,
 * which one worker does while the others wait, may take as long as they like unless a limit was
 * given. */
static struct beats_finding find_hang(const struct beats *beats, double now_s)
{
    struct beats_finding nothing = {.kind = BEATS_NOTHING};
    double hang_s = beats->settings.hang_s;
    bool is_given = hang_s > 0;
    if (hang_s == 0)
        return nothing;
    struct lineup_view view = view_lineup(beats, now_s);
    if (!is_given)
        hang_s = automatic_hang_s(&view);
    if (!view.settled || now_s - view.moved_s <= hang_s)
        return nothing;
    if (view.inside > 0 || (is_given && view.count == 1))
        return find_in_step(beats, BEATS_HANG, hang_s, is_given);
    return is_given && !view.killed ? find_in_step(beats, BEATS_STUCK, hang_s, is_given) : nothing;
}

struct beats_finding beats_find(const struct beats *beats, double now_s)
{
    struct beats_finding finding = find_silent(beats, now_s);
    return finding.kind != BEATS_NOTHING ? finding : find_hang(beats, now_s);
}
