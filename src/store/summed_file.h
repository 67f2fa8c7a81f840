/* summed_file.h - files with a checksum for each block, so that who reads a part of one verifies
 * that part, as it is read, and nothing else.
 *
 *     the bytes that are protected       an HDF5 file, which ends where HDF5 believes it to end
 *     the table                          XXH3 128 of each SUMMED_BLOCK_BYTES of them, 16 bytes each
 *     the foot                           SUMMED_FOOT_BYTES of text: how many bytes are protected,
 *                                        and XXH3 128 of the table
 *
 * The checksum in the foot stands for the whole file: whoever knows it and the length knows every
 * byte. No HDF5 here; any thread may use what it opened. */
#ifndef STORE_SUMMED_FILE_H
#define STORE_SUMMED_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum { SUMMED_BLOCK_BYTES = 1 << 18, SUMMED_FOOT_BYTES = 128, SUMMED_SUM_BYTES = 33 };

typedef unsigned char block_sum[16];
void block_sum_make(const void *bytes, size_t size, block_sum sum);

/* What is behind the protected bytes, made while these are written in their order. */
struct block_sums;
struct block_sums *block_sums_begin(void);    /* NULL: out of memory */
void block_sums_end(struct block_sums *sums); /* NULL is allowed */
/* These bytes, borrowed until all is written, are what will be added next: a thread may help to sum
 * them. */
void block_sums_expect(struct block_sums *sums, const void *bytes, uint64_t size);
int block_sums_add(struct block_sums *sums, const void *bytes, uint64_t size, struct error *error);
/* Writes table and foot at the end of what was added. *bytes: length of the whole file; sum
 * (SUMMED_SUM_BYTES): that of the table. */
int block_sums_write(struct block_sums *sums, int fd, const char *path, uint64_t *bytes, char *sum,
                     struct error *error);

/* A file that is open for reading. */
struct summed_file {
    const char *path; /* borrowed */
    int fd;
    uint64_t bytes; /* that are protected */
    block_sum *table;
    unsigned char *window; /* one block that fits its checksum */
    uint64_t window_block; /* UINT64_MAX: none */
};

/* Reads the foot and the table. expected_bytes and expected_sum: of the whole file; NULL: whatever
 * the foot says. ONWARD_ERR_CORRUPT with the path in the text when they do not fit, NOT_FOUND,
 * IO, MEMORY. On failure there is nothing to close. */
int summed_file_open(struct summed_file *file, const char *path, const uint64_t *expected_bytes,
                     const char *expected_sum, struct error *error);
void summed_file_close(struct summed_file *file);
/* Protected bytes, each from a block that fits its checksum; ONWARD_ERR_CORRUPT where one does not:
 * data holds anything then. */
int summed_file_read(struct summed_file *file, void *data, uint64_t size, uint64_t offset,
                     struct error *error);
/* Do all blocks fit? */
int summed_file_check(struct summed_file *file, struct error *error);

#endif
