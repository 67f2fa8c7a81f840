/* beat.h - the heartbeat: what a member tells the launcher a few times a second, in one datagram of
 * fixed layout, and the text by which the launcher says where heartbeats go.
 *
 * Pure bytes and text; the sockets are those of src/runtime/beat.c and src/launch/listen.c. */
#ifndef BASE_BEAT_H
#define BASE_BEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BEAT_BYTES = 144,
    BEAT_HOST_BYTES = 64,
    BEAT_MAX_ADDRESSES = 8,
    BEAT_ADDRESS_BYTES = 46, /* INET6_ADDRSTRLEN */
    BEAT_TARGET_BYTES = BEAT_MAX_ADDRESSES * BEAT_ADDRESS_BYTES + 32
};

/* Where the main thread is. */
enum beat_place {
    BEAT_INSIDE, /* of the library: it waits for others, writes, or has nothing to do */
    BEAT_STEP,   /* in the program, between the beginning of a step and its end */
    BEAT_FINAL   /* in the program, at its final work */
};

struct beat {
    uint64_t token;        /* of the launcher that this is meant for */
    int64_t incarnation;   /* 0 and up */
    uint64_t sequence;     /* grows by one with each beat of a process */
    int64_t epoch;         /* 0: none yet */
    int64_t complete_step; /* -1: none */
    uint64_t moves;        /* grows whenever the main thread enters or leaves the library */
    uint32_t member;       /* 0: not registered */
    int32_t pid;
    int32_t rank;        /* in the lineup; -1: none */
    uint32_t longest_ms; /* that the main thread stayed in the program at once */
    uint32_t tellings;   /* grows whenever it told, as the controller, how the task stands */
    int32_t disk_errno;  /* why that could not be written into the run directory; 0: it was */
    uint8_t place;       /* enum beat_place */
    bool ends;           /* the last beat: this process leaves */
    char host[BEAT_HOST_BYTES];
};

/* Where beats go, and the token that they bear. */
struct beat_target {
    char addresses[BEAT_MAX_ADDRESSES][BEAT_ADDRESS_BYTES];
    int address_count;
    uint16_t port;
    uint64_t token;
};

/* Network byte order. beat->host is a name of 1 to 63 graphic characters. */
void beat_encode(const struct beat *beat, unsigned char bytes[BEAT_BYTES]);

/* True when the bytes are a beat; else *beat is unchanged. One beat has one encoding. */
bool beat_decode(const void *bytes, size_t size, struct beat *beat);

/* "ADDRESS[,ADDRESS...]:PORT:TOKEN", the token in 16 hexadecimal digits. */
void beat_target_text(const struct beat_target *target, char text[BEAT_TARGET_BYTES]);

/* False when text is none; then *target is unchanged. */
bool beat_target_parse(const char *text, struct beat_target *target);

#endif
