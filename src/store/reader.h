/* reader.h - a training data set in HDF5, read by rows, also when it is larger than memory.
 *
 * A data file (made by `onward import`) holds for each split ("train", "test") a group with
 *     x  uint8 or float32 [rows, features]   features of one sample, row-major
 *     y  int32 [rows]                        class of each sample, 0 .. classes-1
 * and, on the group, the attributes classes (int64), scale (float64: value = x * scale, computed in
 * float32) and shape (uint64 list: extents of one sample). Datasets may have any layout. */
#ifndef STORE_READER_H
#define STORE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct reader;

/* Opens one split. cache_bytes: a split of at most this size is kept in memory whole (0: never).
 * Errors: NOT_FOUND, INPUT (file and dataset in the text), CORRUPT. */
int reader_open(const char *path, const char *split, size_t cache_bytes, struct reader **reader,
                struct error *error);
void reader_close(struct reader *reader);

uint64_t reader_rows(const struct reader *reader);
uint64_t reader_features(const struct reader *reader);
uint32_t reader_classes(const struct reader *reader);

/* Rows indices[0..count-1] (any order, repeats allowed) as float32 [count, features] into x,
 * scaled, and their classes into y. */
int reader_rows_at(struct reader *reader, const uint64_t *indices, uint64_t count, float *x,
                   int32_t *y, struct error *error);
/* Rows first .. first+count-1. */
int reader_rows_range(struct reader *reader, uint64_t first, uint64_t count, float *x, int32_t *y,
                      struct error *error);

#endif
