/* control_names.c - names of hosts: a member calls its host as the kernel does, a person or the
 * list of hosts may call it otherwise. */
#include <string.h>

#include "control.h"
#include "place.h"

/* That very name goes before one that is similar. */
const char *control_seat_host(const struct onward *ow, const char *name)
{
    const char *similar = NULL;
    for (uint32_t i = 0; i < ow->seat_count; i++) {
        const char *host = ow->seats[i].host;
        if (strcmp(host, name) == 0)
            return host;
        if (!similar && place_same_host(host, name))
            similar = host;
    }
    return similar;
}
