/* fuzz_config.c - any bytes as the YAML of a config: it is read, or refused with one line. */
#include <stdlib.h>
#include <string.h>

#include "train_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config config;
    struct error error = {.text = ""};
    if (size > CONFIG_MAX_BYTES)
        return 0;
    int code = config_parse((const char *)data, size, "c", &config, &error);
    if (code == ONWARD_OK)
        code = config_set_steps(&config, 60000, &error);
    if (code != ONWARD_OK && (error.text[0] == '\0' || strchr(error.text, '\n')))
        abort();
    return 0;
}
