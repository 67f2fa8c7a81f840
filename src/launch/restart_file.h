/* restart_file.h - the files that a program which does not use libonward starts again from: which
 * is the newest, and whether new ones have come. */
#ifndef LAUNCH_RESTART_FILE_H
#define LAUNCH_RESTART_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of what matches pattern (glob(7), relative to the working directory) the newest that is not
 * empty, but for `skip` newer ones; the oldest where there are not so many. False: there is none.
 */
bool restart_file_pick(const char *pattern, uint32_t skip, char *path, size_t path_bytes);

/* When the newest of them was written, in nanoseconds since 1970; 0: there is none. */
int64_t restart_file_newest_ns(const char *pattern);

/* DIRECTORY/STAR as such a pattern, whatever signs stand in the directory's name. */
void restart_file_all_in(const char *directory, char *pattern, size_t pattern_bytes);

#endif
