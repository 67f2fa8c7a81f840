/* beat.c - the heartbeat in bytes and its target in text. Bytes come from a socket that anybody can
 * write to: every field is checked before any of it counts. */
#include "beat.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 0x4f574254, VERSION = 2, FLAG_ENDS = 1, TOKEN_DIGITS = 16 };

static unsigned char *put(unsigned char *at, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        at[i] = (unsigned char)(value >> 8 * (size - 1 - i));
    return at + size;
}

static uint64_t take(const unsigned char **at, int size)
{
    uint64_t value = 0;
    for (int i = 0; i < size; i++)
        value = value << 8 | (*at)[i];
    *at += size;
    return value;
}

void beat_encode(const struct beat *beat, unsigned char bytes[BEAT_BYTES])
{
    unsigned char *at = put(bytes, MAGIC, 4);
    at = put(at, VERSION, 2);
    at = put(at, beat->place, 1);
    at = put(at, beat->ends ? FLAG_ENDS : 0, 1);
    at = put(at, beat->token, 8);
    at = put(at, (uint64_t)beat->incarnation, 8);
    at = put(at, beat->sequence, 8);
    at = put(at, (uint64_t)beat->epoch, 8);
    at = put(at, (uint64_t)beat->complete_step, 8);
    at = put(at, beat->moves, 8);
    at = put(at, beat->member, 4);
    at = put(at, (uint32_t)beat->pid, 4);
    at = put(at, (uint32_t)beat->rank, 4);
    at = put(at, beat->longest_ms, 4);
    at = put(at, beat->tellings, 4);
    at = put(at, (uint32_t)beat->disk_errno, 4);
    memset(at, 0, BEAT_HOST_BYTES);
    memcpy(at, beat->host, strnlen(beat->host, BEAT_HOST_BYTES - 1));
}

/* A name of graphic characters, and nothing but zeros behind it. */
static bool take_host(const unsigned char *at, char host[BEAT_HOST_BYTES])
{
    size_t length = 0;
    while (length < BEAT_HOST_BYTES && at[length] > ' ' && at[length] < 0x7f)
        length++;
    if (length == 0 || length == BEAT_HOST_BYTES)
        return false;
    for (size_t i = length; i < BEAT_HOST_BYTES; i++)
        if (at[i] != 0)
            return false;
    memcpy(host, at, BEAT_HOST_BYTES);
    return true;
}

bool beat_decode(const void *bytes, size_t size, struct beat *beat)
{
    const unsigned char *at = bytes;
    if (size != BEAT_BYTES || take(&at, 4) != MAGIC || take(&at, 2) != VERSION)
        return false;
    struct beat got = {.place = (uint8_t)take(&at, 1)};
    uint64_t flags = take(&at, 1);
    got.ends = flags & FLAG_ENDS;
    got.token = take(&at, 8);
    got.incarnation = (int64_t)take(&at, 8);
    got.sequence = take(&at, 8);
    got.epoch = (int64_t)take(&at, 8);
    got.complete_step = (int64_t)take(&at, 8);
    got.moves = take(&at, 8);
    got.member = (uint32_t)take(&at, 4);
    got.pid = (int32_t)take(&at, 4);
    got.rank = (int32_t)take(&at, 4);
    got.longest_ms = (uint32_t)take(&at, 4);
    got.tellings = (uint32_t)take(&at, 4);
    got.disk_errno = (int32_t)take(&at, 4);
    bool good = got.place <= BEAT_FINAL && flags <= FLAG_ENDS && got.incarnation >= 0 &&
                got.epoch >= 0 && got.complete_step >= -1 && got.pid > 0 && got.rank >= -1 &&
                got.disk_errno >= 0 && take_host(at, got.host);
    if (good)
        *beat = got;
    return good;
}

void beat_target_text(const struct beat_target *target, char text[BEAT_TARGET_BYTES])
{
    size_t used = 0;
    for (int i = 0; i < target->address_count; i++)
        used += (size_t)snprintf(text + used, BEAT_TARGET_BYTES - used, "%s%s", i > 0 ? "," : "",
                                 target->addresses[i]);
    snprintf(text + used, BEAT_TARGET_BYTES - used, ":%u:%016" PRIx64, target->port, target->token);
}

/* Cuts the text at its last colon; NULL where there is none. */
static char *cut_last(char *text)
{
    char *colon = strrchr(text, ':');
    if (!colon)
        return NULL;
    *colon = '\0';
    return colon + 1;
}

static bool parse_addresses(char *text, struct beat_target *target)
{
    char *rest = text;
    const char *address;
    while ((address = strsep(&rest, ",")) != NULL) {
        size_t length = strlen(address);
        if (length == 0 || length >= BEAT_ADDRESS_BYTES ||
            strspn(address, "0123456789abcdefABCDEF.:") != length ||
            target->address_count == BEAT_MAX_ADDRESSES)
            return false;
        memcpy(target->addresses[target->address_count++], address, length + 1);
    }
    return true;
}

bool beat_target_parse(const char *text, struct beat_target *target)
{
    char copy[BEAT_TARGET_BYTES];
    struct beat_target got = {.address_count = 0};
    if (strlen(text) >= sizeof copy)
        return false;
    strcpy(copy, text);
    const char *token = cut_last(copy), *port = token ? cut_last(copy) : NULL;
    if (!port || strlen(token) != TOKEN_DIGITS ||
        strspn(token, "0123456789abcdef") != TOKEN_DIGITS || strlen(port) > 5 ||
        strspn(port, "0123456789") != strlen(port))
        return false;
    long number = strtol(port, NULL, 10);
    if (number < 1 || number > UINT16_MAX || !parse_addresses(copy, &got))
        return false;
    got.port = (uint16_t)number;
    got.token = strtoull(token, NULL, 16);
    *target = got;
    return true;
}
