/* event.c - see event.h. */
#include "event.h"

const char *event_text(const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    return text ? text : "";
}

long long event_number(const json_t *event, const char *key)
{
    return (long long)json_integer_value(json_object_get(event, key));
}
