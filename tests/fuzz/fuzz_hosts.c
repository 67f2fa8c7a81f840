/* fuzz_hosts.c - any bytes as a list of hosts (first byte l) or a file of hosts (any other): it is
 * read, or refused with one line; what was read is read again from its own text. */
#include <stdlib.h>
#include <string.h>

#include "hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const struct hosts *hosts)
{
    struct hosts again = {.list = NULL};
    char *text = hosts_text(hosts);
    if (!text || hosts_parse_list(text, "text", &again, NULL) != ONWARD_OK ||
        again.count != hosts->count || hosts_slots(&again) != hosts_slots(hosts))
        abort();
    free(text);
    hosts_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hosts hosts = {.list = NULL};
    struct error error = {.text = ""};
    if (size < 1 || size > 1 << 16)
        return 0;
    char *text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    int code = data[0] == 'l' ? hosts_parse_list(text, "--hosts", &hosts, &error)
                              : hosts_parse_file(text, size - 1, "f", &hosts, &error);
    if (code == ONWARD_OK)
        check_text(&hosts);
    else if (error.text[0] == '\0' || strchr(error.text, '\n') || hosts.count)
        abort();
    hosts_clear(&hosts);
    free(text);
    return 0;
}
