/* unheard.c - see unheard.h. */
#include "unheard.h"

#include "words.h"

enum { MAX_NAMED = 3 };

uint32_t unheard_hosts(const struct run_members *members, const struct beats *beats, json_t *told,
                       char *text, size_t text_bytes)
{
    const char *names[MAX_NAMED];
    uint32_t count = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        const char *host = members->list[i].host;
        if (json_object_get(told, host) || beats_heard(beats, host, 0) ||
            json_object_set_new(told, host, json_true()) != 0)
            continue;
        if (count < MAX_NAMED)
            names[count] = host;
        count++;
    }
    struct words words = words_start(text, text_bytes);
    words_add(&words, "host%s", count == 1 ? "" : "s");
    for (uint32_t i = 0; i < count && i < MAX_NAMED; i++)
        words_add(&words, "%s %.63s", i == 0 ? "" : ",", names[i]);
    if (count > MAX_NAMED)
        words_add(&words, " and %u more", count - MAX_NAMED);
    return count;
}
