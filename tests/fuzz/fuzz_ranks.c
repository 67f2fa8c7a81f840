/* fuzz_ranks.c - any bytes as what the ranks of a program report. Byte 0 says how many ranks there
 * are. What comes of it is in range and adds up. */
#include "fuzz_scratch.h"
#include "ranks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[96], text[256];
    struct ranks ranks;
    if (size < 1)
        return 0;
    snprintf(path, sizeof path, "%s/host", scratch());
    scratch_write(path, data + 1, size - 1);
    fuzz_expect(ranks_init(&ranks, data[0], NULL) == ONWARD_OK, "memory");
    fuzz_expect(ranks_read(&ranks, scratch(), NULL) == ONWARD_OK, "read");
    fuzz_expect(ranks.begun <= ranks.count && ranks.ended <= ranks.begun, "begun, then ended");
    fuzz_expect(ranks.succeeded <= ranks.ended, "ended, then succeeded");
    fuzz_expect((ranks.first_bad >= 0) == (ranks.succeeded < ranks.ended), "one that did not");
    fuzz_expect(ranks.first_bad < (int64_t)ranks.count, "a rank");
    ranks_describe(&ranks, text, sizeof text);
    fuzz_expect((*text != '\0') == (ranks.first_bad >= 0), "a description");
    ranks_clear(&ranks);
    return 0;
}
