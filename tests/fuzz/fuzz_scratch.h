/* fuzz_scratch.h - for the fuzzers of store: files in memory that the code under test can open, and
 * what a fuzzer says when it found something. */
#ifndef TESTS_FUZZ_SCRATCH_H
#define TESTS_FUZZ_SCRATCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* nftw */
#endif
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char scratch_directory[64];

static int scratch_remove(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static void scratch_clean(void)
{
    nftw(scratch_directory, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static void fuzz_expect(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz: expected: %s\n", what);
    abort();
}

/* A directory in memory, made once for each process and removed at its end. */
static const char *scratch(void)
{
    if (!scratch_directory[0]) {
        snprintf(scratch_directory, sizeof scratch_directory, "/dev/shm/fuzz-store-XXXXXX");
        fuzz_expect(mkdtemp(scratch_directory) != NULL, "a scratch directory in /dev/shm");
        atexit(scratch_clean);
    }
    return scratch_directory;
}

static __attribute__((unused)) void scratch_write(const char *path, const uint8_t *data,
                                                  size_t size)
{
    FILE *file = fopen(path, "wb");
    fuzz_expect(file != NULL, "a scratch file");
    fuzz_expect(fwrite(data, 1, size, file) == size, "room for a scratch file");
    fclose(file);
}

#endif
