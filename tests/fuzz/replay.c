/* replay.c - runs a fuzzer's entry without libFuzzer, on the files named on the command line, or
 * else on all of tests/fuzz/inputs/NAME of the source tree: inputs of every kind that the fuzzer
 * knows, and what it found once. FUZZ_NAME is the fuzzer's name. */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES = 1 << 20 };

static bool replay(const char *path)
{
    static uint8_t data[INPUT_BYTES];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return false;
    }
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    return true;
}

/* How many inputs; -1: one could not be read. */
static int replay_directory(const char *directory)
{
    int count = 0;
    DIR *list = opendir(directory);
    if (!list) {
        perror(directory);
        return -1;
    }
    const struct dirent *entry;
    while (count >= 0 && (entry = readdir(list)) != NULL) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        count = replay(path) ? count + 1 : -1;
    }
    closedir(list);
    return count;
}

int main(int argc, char **argv)
{
    const char *source = getenv("ONWARD_SOURCE");
    char directory[2048];
    int count = 0;
    snprintf(directory, sizeof directory, "%s/tests/fuzz/inputs/%s", source ? source : ".",
             FUZZ_NAME);
    if (argc == 1)
        count = replay_directory(directory);
    for (int i = 1; i < argc && count >= 0; i++)
        count = replay(argv[i]) ? count + 1 : -1;
    printf("%d inputs without a finding\n", count);
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
