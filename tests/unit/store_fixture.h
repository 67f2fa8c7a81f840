/* store_fixture.h - for the tests of store: a scratch directory, whole files, random numbers from a
 * seed, and arrays filled from it. Included by one program a time. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* nftw, unshare */
#endif
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "checkpoint.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define HAS_ADDRESS_SANITIZER 1
#else
#define HAS_ADDRESS_SANITIZER 0
#endif

static char scratch[] = "/tmp/test-store-XXXXXX";

#define ck_ok(call)                                                                                \
    do {                                                                                           \
        int code_ = (call);                                                                        \
        ck_assert_msg(code_ == ONWARD_OK, "%s: %d: %s", #call, code_, failure.text);               \
    } while (0)

static struct error failure;

static __attribute__((unused)) void make_scratch(void)
{
    snprintf(scratch, sizeof scratch, "/tmp/test-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
}

/* For tests that write very often. */
static __attribute__((unused)) void make_scratch_in_memory(void)
{
    snprintf(scratch, sizeof scratch, "/dev/shm/store-XXXXXX");
    if (!mkdtemp(scratch))
        make_scratch();
}

static __attribute__((unused)) int remove_one(const char *path, const struct stat *status, int type,
                                              struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static __attribute__((unused)) void remove_scratch(void)
{
    nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Path in the scratch directory; four live at a time. */
static __attribute__((unused)) const char *in_scratch(const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

static __attribute__((unused)) void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static __attribute__((unused)) unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*size + 1);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

/* How many entries a directory has; 0 when there is none. */
static __attribute__((unused)) int count_entries(const char *path)
{
    int count = 0;
    DIR *directory = opendir(path);
    for (const struct dirent *entry; directory && (entry = readdir(directory));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (directory)
        closedir(directory);
    return count;
}

/* A file system of so many KiB on PATH, for this process only; false where that needs rights that
 * it has not. */
static __attribute__((unused)) bool mount_small(const char *path, int size_kib)
{
    char options[32];
    snprintf(options, sizeof options, "size=%dk", size_kib);
    if (mkdir(path, 0777) != 0 || unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", path, "tmpfs", 0, options) != 0) {
        printf("skipped: a small file system could not be mounted: %s\n", strerror(errno));
        return false;
    }
    return true;
}

/* Of the file system of a path. */
static __attribute__((unused)) uint64_t free_blocks(const char *path)
{
    struct statvfs status;
    ck_assert_int_eq(statvfs(path, &status), 0);
    return status.f_bfree;
}

/* splitmix64 */
static __attribute__((unused)) uint64_t random_next(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static __attribute__((unused)) size_t type_bytes(int type)
{
    return type == ONWARD_BYTE ? 1 : type == ONWARD_FLOAT || type == ONWARD_INT32 ? 4 : 8;
}

static __attribute__((unused)) size_t array_bytes(const struct checkpoint_array *array)
{
    size_t bytes = type_bytes(array->type);
    for (int i = 0; i < array->ndims; i++)
        bytes *= array->dims[i];
    return bytes;
}

/* Memory of its own, random bytes. */
static __attribute__((unused)) void fill_array(struct checkpoint_array *array, uint64_t *seed)
{
    size_t bytes = array_bytes(array);
    unsigned char *data = malloc(bytes + 1);
    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)random_next(seed);
    array->data = data;
}

/* The same descriptions with memory of their own, all of one byte. */
static __attribute__((unused)) void like_arrays(struct checkpoint_array *copy,
                                                const struct checkpoint_array *arrays,
                                                uint32_t count, int byte)
{
    for (uint32_t i = 0; i < count; i++) {
        copy[i] = arrays[i];
        copy[i].data = malloc(array_bytes(&arrays[i]) + 1);
        ck_assert_ptr_nonnull(copy[i].data);
        memset(copy[i].data, byte, array_bytes(&arrays[i]) + 1);
    }
}

static __attribute__((unused)) bool same_arrays(const struct checkpoint_array *a,
                                                const struct checkpoint_array *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (memcmp(a[i].data, b[i].data, array_bytes(&a[i])) != 0)
            return false;
    return true;
}

static __attribute__((unused)) void free_arrays(struct checkpoint_array *arrays, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(arrays[i].data);
}

/* Writes and commits a checkpoint as `size` workers would. */
static __attribute__((unused)) void save_checkpoint(const char *run, int64_t step,
                                                    const struct checkpoint_array *arrays,
                                                    uint32_t count, uint32_t size)
{
    struct checkpoint_id id = {"task-1", 2, 7, step};
    struct checkpoint_shard *shards = calloc(size, sizeof *shards);
    ck_assert_ptr_nonnull(shards);
    for (uint32_t rank = 0; rank < size; rank++)
        ck_ok(checkpoint_write_shard(run, &id, arrays, count, rank, size, &shards[rank], &failure));
    ck_ok(checkpoint_commit(run, &id, arrays, count, shards, size, &failure));
    free(shards);
}

/* The checkpoints of steps 10 and 20 of one array, with bits of its own, in two shards each. */
static __attribute__((unused)) void make_two_of(struct checkpoint_array *array)
{
    uint64_t seed = 1;
    make_scratch();
    fill_array(array, &seed);
    save_checkpoint(scratch, 10, array, 1, 2);
    save_checkpoint(scratch, 20, array, 1, 2);
}

/* As after the commit of `step` of task-1. */
static __attribute__((unused)) int retain(int64_t step, uint32_t newest, struct error *error)
{
    struct checkpoint_id committed = {"task-1", 9, 7, step};
    return checkpoint_retain(scratch, &committed, &(struct checkpoint_keep){.newest = newest},
                             error);
}

#endif
