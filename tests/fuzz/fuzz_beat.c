/* fuzz_beat.c - heartbeats of any bytes, and any text as their target: what is taken for one is
 * written as it was read. */
#include <stdlib.h>
#include <string.h>

#include "beat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct beat beat;
    struct beat_target target, again;
    unsigned char bytes[BEAT_BYTES];
    char text[512], written[BEAT_TARGET_BYTES];
    if (beat_decode(data, size, &beat)) {
        beat_encode(&beat, bytes);
        if (memcmp(bytes, data, size) != 0)
            abort();
    }
    size_t length = size < sizeof text ? size : sizeof text - 1;
    if (length > 0)
        memcpy(text, data, length);
    text[length] = '\0';
    if (!beat_target_parse(text, &target))
        return 0;
    beat_target_text(&target, written);
    if (!beat_target_parse(written, &again) || again.token != target.token ||
        again.port != target.port || again.address_count != target.address_count ||
        memcmp(again.addresses, target.addresses, sizeof again.addresses) != 0)
        abort();
    return 0;
}
