/* places_text.c - what is said of the places: to members and verbs in their environment, to people
 * in a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "places.h"
#include "words.h"

enum { NUMBER_BYTES = 24, REASONS_SHOWN = 3 };

char *places_drained(const struct places *places, uint32_t most_slots)
{
    size_t bytes = 1, used = 0;
    for (uint32_t i = 0; i < places->count; i++)
        bytes += strlen(places->list[i].host.name) + NUMBER_BYTES;
    char *text = calloc(1, bytes);
    for (uint32_t i = 0; text && i < places->count; i++) {
        const struct place *place = &places->list[i];
        uint32_t slots = place->host.slots < most_slots ? place->host.slots : most_slots;
        if (place->drained && !place->retired && !place->leaves)
            used += (size_t)snprintf(text + used, bytes - used, "%s%s:%u", used ? "," : "",
                                     place->host.name, slots);
    }
    return text;
}

char *places_names(const struct places *places)
{
    size_t bytes = 1, used = 0;
    for (uint32_t i = 0; i < places->count; i++)
        bytes += strlen(places->list[i].host.name) + strlen(places->list[i].own_name) + 2;
    char *text = calloc(1, bytes);
    for (uint32_t i = 0; text && i < places->count; i++)
        if (places->list[i].own_name[0])
            used += (size_t)snprintf(text + used, bytes - used, "%s%s=%s", used ? "," : "",
                                     places->list[i].host.name, places->list[i].own_name);
    return text;
}

void places_reasons(const struct places *places, char *text, size_t text_bytes)
{
    struct words words = words_start(text, text_bytes);
    uint32_t count = 0;
    for (uint32_t i = 0; i < places->count; i++) {
        const struct place *place = &places->list[i];
        if (!place->usable && place->reason[0] && count++ < REASONS_SHOWN)
            words_add(&words, "%s%s", count > 1 ? "; " : "", place->reason);
    }
    if (count > REASONS_SHOWN)
        words_add(&words, "; and %u more", count - REASONS_SHOWN);
}
