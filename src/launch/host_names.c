/* host_names.c - looks through the names that members.json has. */
#include "host_names.h"

#include "place.h"

/* That very name goes before one that means the same host. */
static const char *own_name(const json_t *names, const char *name)
{
    const char *listed, *own = json_string_value(json_object_get(names, name));
    json_t *each;
    json_object_foreach((json_t *)names, listed, each)
    {
        if (!own && place_same_host(listed, name))
            own = json_string_value(each);
    }
    return own ? own : name;
}

bool host_names_same(const json_t *names, const char *a, const char *b)
{
    return place_same_host(own_name(names, a), own_name(names, b));
}

const char *host_names_listed(const json_t *names, const char *host)
{
    const char *listed;
    json_t *each;
    json_object_foreach((json_t *)names, listed, each)
    {
        const char *own = json_string_value(each);
        if (own && place_same_host(own, host) && !place_is_loopback(listed))
            return listed;
    }
    return host;
}
