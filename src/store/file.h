/* file.h - what all of store needs of the file system: paths, whole writes, atomic replacement.
 *
 * A file that must never be seen half-written is written under a temporary name in the same
 * directory, synced, renamed, and its directory synced: file_temporary, write, file_publish. ENOSPC
 * and EDQUOT come back as ONWARD_ERR_NO_SPACE, anything else as ONWARD_ERR_IO. */
#ifndef STORE_FILE_H
#define STORE_FILE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "fence.h"

/* path = directory/name. ONWARD_ERR_ARGUMENT when it does not fit. */
int file_join(char *path, size_t path_bytes, const char *directory, const char *name,
              struct error *error);

/* Replaces (or makes) a whole file atomically, with sync of file and directory. */
int file_replace(const char *path, const void *bytes, size_t size, struct error *error);
/* The same, as file_publish_fenced. */
int file_replace_fenced(const char *path, const void *bytes, size_t size, const struct fence *fence,
                        struct error *error);

/* The same without a sync: readers never see half of it, and a crash of the machine may lose it. */
int file_replace_unsynced(const char *path, const void *bytes, size_t size,
                          const struct fence *fence, struct error *error);

/* Makes a rename or removal in this directory last. */
int file_sync_directory(const char *path, struct error *error);

/* mkdir -p, with sync of each parent in which one was made. */
int file_make_directories(const char *path, struct error *error);
/* A directory with all that is in it; what cannot be removed stays. */
void file_remove_tree(const char *path);

/* readdir, with errno: NULL and 0 where no entry is left, else NULL is a failure. */
const struct dirent *file_next_entry(DIR *directory);

/* Opens a new file beside `path` for writing, under a name that no other process uses:
 * PATH.tmp-PID-RANDOM, which goes into `temporary`. The caller closes fd, then calls file_publish
 * or unlinks it. */
int file_temporary(const char *path, char *temporary, size_t temporary_bytes, int *fd,
                   struct error *error);

/* Whether what is written there goes to memory (tmpfs, ramfs), not to a disk. */
bool file_is_in_memory(int fd);

/* Takes the room of a file of so many bytes before they are written, where the file system can and
 * it helps: a full disk shows early, and blocks that are there need not be reserved one by one at
 * each write. ONWARD_ERR_NO_SPACE where there is none. */
int file_reserve(int fd, uint64_t size, const char *path, struct error *error);
/* Waits until all that was written to a file is on its disk, whoever wrote it. ONWARD_ERR_IO where
 * the disk did not take some of it, which the kernel says once. Where files are memory that is as
 * good as any. */
int file_settle(int fd, const char *path, struct error *error);

/* All of bytes at offset. path is for the text of a failure. */
int file_write_at(int fd, const void *bytes, size_t size, uint64_t offset, const char *path,
                  struct error *error);

/* Exactly size bytes at offset; a file that ends before is ONWARD_ERR_CORRUPT. */
int file_read_at(int fd, void *bytes, size_t size, uint64_t offset, const char *path,
                 struct error *error);

/* Opens for reading; ONWARD_ERR_NOT_FOUND when there is none. */
int file_open(const char *path, int *fd, struct error *error);

/* The same for what has to be a plain file, else ONWARD_ERR_CORRUPT. *size: bytes that it has. */
int file_open_plain(const char *path, int *fd, uint64_t *size, struct error *error);

/* Syncs and closes fd (always), renames temporary to path, syncs the directory. When it fails
 * before the rename, temporary is removed and path is as it was. */
int file_publish(int fd, const char *temporary, const char *path, struct error *error);
/* The same, if the fence (NULL: none) allows it: between that and the rename nothing else is done.
 */
int file_publish_fenced(int fd, const char *temporary, const char *path, const struct fence *fence,
                        struct error *error);

/* The directory part of path, "." when it has none. */
int file_parent(char *directory, size_t directory_bytes, const char *path, struct error *error);

/* RFC 3339 UTC with microseconds of the present time, into text (at least 40 bytes). */
void time_text(char *text, size_t text_bytes);

#endif
