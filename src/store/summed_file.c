/* summed_file.c - files with a checksum for each block; see summed_file.h. */
#include "summed_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "hash.h"
#include "sum_helper.h"

struct block_sums {
    XXH3_state_t *hash; /* of the block that is not full */
    uint64_t bytes;     /* that were added */
    block_sum *table;   /* of the blocks that are */
    uint64_t count, room;
    struct sum_helper *helper; /* writes into the table as well; NULL: none */
    uint64_t helped;           /* the first block of those that it may take */
    uint64_t helped_count;
    bool is_left; /* the block that is not full: to the helper */
};

static uint64_t block_count(uint64_t bytes)
{
    return bytes / SUMMED_BLOCK_BYTES + (bytes % SUMMED_BLOCK_BYTES > 0);
}

static void sum_text(const void *bytes, size_t size, char *sum)
{
    XXH128_hash_t hash = XXH3_128bits(bytes, size);
    snprintf(sum, SUMMED_SUM_BYTES, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
             (uint64_t)hash.low64);
}

static void store_sum(block_sum sum, XXH128_hash_t hash)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(sum, canonical.digest, sizeof canonical.digest);
}

void block_sum_make(const void *bytes, size_t size, block_sum sum)
{
    store_sum(sum, XXH3_128bits(bytes, size));
}

/* Text, then NULs. */
static void make_foot(char foot[SUMMED_FOOT_BYTES], uint64_t bytes, const char *sum)
{
    memset(foot, 0, SUMMED_FOOT_BYTES);
    snprintf(foot, SUMMED_FOOT_BYTES,
             "onward checksums of blocks\nbytes %" PRIu64 "\nblock_bytes %d\nxxh3_128 %s\n", bytes,
             SUMMED_BLOCK_BYTES, sum);
}

struct block_sums *block_sums_begin(void)
{
    struct block_sums *sums = calloc(1, sizeof *sums);
    if (sums && (sums->hash = XXH3_createState()) && XXH3_128bits_reset(sums->hash) == XXH_OK)
        return sums;
    block_sums_end(sums);
    return NULL;
}

static void end_helper(struct block_sums *sums)
{
    sum_helper_end(sums->helper);
    sums->helper = NULL;
}

void block_sums_end(struct block_sums *sums)
{
    if (!sums)
        return;
    end_helper(sums);
    XXH3_freeState(sums->hash);
    free(sums->table);
    free(sums);
}

/* Room for so many more. A helper is done by then: it was begun with room for all that it takes. */
static bool make_room(struct block_sums *sums, uint64_t more)
{
    if (sums->room - sums->count >= more)
        return true;
    uint64_t room = sums->room + (more > sums->room ? more : sums->room) + 64;
    end_helper(sums);
    block_sum *grown = realloc(sums->table, room * sizeof *grown);
    if (!grown)
        return false;
    sums->table = grown;
    sums->room = room;
    return true;
}

void block_sums_expect(struct block_sums *sums, const void *bytes, uint64_t size)
{
    uint64_t skipped = sums->bytes % SUMMED_BLOCK_BYTES;
    skipped = skipped > 0 ? SUMMED_BLOCK_BYTES - skipped : 0; /* to the end of a block */
    end_helper(sums);
    if (size <= skipped || !make_room(sums, (size - skipped) / SUMMED_BLOCK_BYTES + 1))
        return; /* who adds them sees whether there is room */
    sums->helped = sums->count + (skipped > 0);
    sums->helped_count = (size - skipped) / SUMMED_BLOCK_BYTES;
    sums->helper = sum_helper_begin((const unsigned char *)bytes + skipped, sums->helped_count,
                                    sums->table + sums->helped);
}

/* The block that is not full becomes the last one of the table. */
static int end_block(struct block_sums *sums, struct error *error)
{
    if (!sums->is_left) {
        if (!make_room(sums, 1))
            return error_set(error, ONWARD_ERR_MEMORY, "out of memory for checksums");
        store_sum(sums->table[sums->count], XXH3_128bits_digest(sums->hash));
        XXH3_128bits_reset(sums->hash);
    }
    sums->count++;
    return ONWARD_OK;
}

/* Is the block that begins now the helper's? */
static bool is_for_helper(struct block_sums *sums)
{
    uint64_t block = sums->count - sums->helped;
    return sums->helper && sums->count >= sums->helped && block < sums->helped_count &&
           !sum_helper_leaves(sums->helper, block);
}

int block_sums_add(struct block_sums *sums, const void *bytes, uint64_t size, struct error *error)
{
    const unsigned char *next = bytes;
    int code = ONWARD_OK;
    while (size > 0 && code == ONWARD_OK) {
        uint64_t room = SUMMED_BLOCK_BYTES - sums->bytes % SUMMED_BLOCK_BYTES;
        uint64_t piece = size < room ? size : room;
        if (room == SUMMED_BLOCK_BYTES)
            sums->is_left = is_for_helper(sums);
        if (!sums->is_left)
            XXH3_128bits_update(sums->hash, next, piece);
        sums->bytes += piece;
        next += piece;
        size -= piece;
        if (piece == room)
            code = end_block(sums, error);
    }
    return code;
}

int block_sums_write(struct block_sums *sums, int fd, const char *path, uint64_t *bytes, char *sum,
                     struct error *error)
{
    char foot[SUMMED_FOOT_BYTES];
    int code = sums->bytes % SUMMED_BLOCK_BYTES > 0 ? end_block(sums, error) : ONWARD_OK;
    end_helper(sums);
    uint64_t table_bytes = sums->count * sizeof(block_sum);
    if (code == ONWARD_OK)
        code = file_write_at(fd, sums->table, table_bytes, sums->bytes, path, error);
    if (code != ONWARD_OK)
        return code;
    sum_text(sums->table, table_bytes, sum);
    make_foot(foot, sums->bytes, sum);
    *bytes = sums->bytes + table_bytes + sizeof foot;
    return file_write_at(fd, foot, sizeof foot, sums->bytes + table_bytes, path, error);
}

static int open_file(struct summed_file *file, const char *path, uint64_t *size,
                     struct error *error)
{
    *file = (struct summed_file){.path = path, .window_block = UINT64_MAX};
    return file_open_plain(path, &file->fd, size, error);
}

/* How many bytes are protected, as the foot says; whatever it says else is looked at later. */
static int read_foot(struct summed_file *file, uint64_t size, char foot[SUMMED_FOOT_BYTES],
                     struct error *error)
{
    char text[SUMMED_FOOT_BYTES + 1] = "";
    int code = ONWARD_OK;
    if (size > SUMMED_FOOT_BYTES)
        code = file_read_at(file->fd, foot, SUMMED_FOOT_BYTES, size - SUMMED_FOOT_BYTES, file->path,
                            error);
    if (code != ONWARD_OK)
        return code;
    if (size > SUMMED_FOOT_BYTES)
        memcpy(text, foot, SUMMED_FOOT_BYTES);
    if (sscanf(text, "onward checksums of blocks\nbytes %" SCNu64, &file->bytes) != 1 ||
        file->bytes >= size ||
        size - file->bytes != block_count(file->bytes) * sizeof(block_sum) + SUMMED_FOOT_BYTES)
        return error_set(error, ONWARD_ERR_CORRUPT,
                         "%s: is damaged: does not end in a table of checksums of its length",
                         file->path);
    return ONWARD_OK;
}

/* The foot has to be the one that belongs to the table, every byte of it. */
static int read_table(struct summed_file *file, const char foot[SUMMED_FOOT_BYTES],
                      const char *expected_sum, struct error *error)
{
    char expected[SUMMED_FOOT_BYTES], sum[SUMMED_SUM_BYTES];
    uint64_t bytes = block_count(file->bytes) * sizeof(block_sum);
    file->table = malloc(bytes + 1);
    file->window = malloc(SUMMED_BLOCK_BYTES);
    if (!file->table || !file->window)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it", file->path);
    int code = file_read_at(file->fd, file->table, bytes, file->bytes, file->path, error);
    if (code != ONWARD_OK)
        return code;
    sum_text(file->table, bytes, sum);
    make_foot(expected, file->bytes, sum);
    if (memcmp(foot, expected, sizeof expected) != 0)
        return error_set(error, ONWARD_ERR_CORRUPT,
                         "%s: is damaged: its table of checksums does not fit", file->path);
    if (expected_sum && strcmp(sum, expected_sum) != 0)
        return error_set(error, ONWARD_ERR_CORRUPT, "%s: is damaged: checksum %s, expected %s",
                         file->path, sum, expected_sum);
    return ONWARD_OK;
}

int summed_file_open(struct summed_file *file, const char *path, const uint64_t *expected_bytes,
                     const char *expected_sum, struct error *error)
{
    char foot[SUMMED_FOOT_BYTES];
    uint64_t size = 0;
    int code = open_file(file, path, &size, error);
    if (code != ONWARD_OK)
        return code;
    if (expected_bytes && size != *expected_bytes)
        code = error_set(error, ONWARD_ERR_CORRUPT, "%s: has %" PRIu64 " bytes, expected %" PRIu64,
                         path, size, *expected_bytes);
    if (code == ONWARD_OK)
        code = read_foot(file, size, foot, error);
    if (code == ONWARD_OK)
        code = read_table(file, foot, expected_sum, error);
    if (code != ONWARD_OK)
        summed_file_close(file);
    return code;
}

void summed_file_close(struct summed_file *file)
{
    close(file->fd);
    free(file->table);
    free(file->window);
    file->table = NULL;
    file->window = NULL;
}

/* A whole block to where it belongs; hashed while it is in the cache. */
static int read_block(const struct summed_file *file, uint64_t block, void *data, uint64_t size,
                      struct error *error)
{
    block_sum sum;
    uint64_t begin = block * SUMMED_BLOCK_BYTES;
    int code = file_read_at(file->fd, data, size, begin, file->path, error);
    if (code != ONWARD_OK)
        return code;
    block_sum_make(data, size, sum);
    if (memcmp(sum, file->table[block], sizeof sum) == 0)
        return ONWARD_OK;
    return error_set(error, ONWARD_ERR_CORRUPT,
                     "%s: is damaged: bytes %" PRIu64 " to %" PRIu64 " do not fit their checksum",
                     file->path, begin, begin + size - 1);
}

static int fill_window(struct summed_file *file, uint64_t block, uint64_t size, struct error *error)
{
    if (file->window_block == block)
        return ONWARD_OK;
    file->window_block = UINT64_MAX;
    int code = read_block(file, block, file->window, size, error);
    if (code == ONWARD_OK)
        file->window_block = block;
    return code;
}

int summed_file_read(struct summed_file *file, void *data, uint64_t size, uint64_t offset,
                     struct error *error)
{
    unsigned char *next = data;
    if (offset > file->bytes || size > file->bytes - offset)
        return error_set(error, ONWARD_ERR_CORRUPT, "%s: is shorter than expected", file->path);
    while (size > 0) {
        uint64_t block = offset / SUMMED_BLOCK_BYTES, skipped = offset % SUMMED_BLOCK_BYTES;
        uint64_t rest = file->bytes - block * SUMMED_BLOCK_BYTES;
        uint64_t block_bytes = rest < SUMMED_BLOCK_BYTES ? rest : SUMMED_BLOCK_BYTES;
        uint64_t piece = size < block_bytes - skipped ? size : block_bytes - skipped;
        bool is_direct = piece == block_bytes && file->window_block != block;
        int code = is_direct ? read_block(file, block, next, block_bytes, error)
                             : fill_window(file, block, block_bytes, error);
        if (code != ONWARD_OK)
            return code;
        if (!is_direct)
            memcpy(next, file->window + skipped, piece);
        next += piece;
        offset += piece;
        size -= piece;
    }
    return ONWARD_OK;
}

int summed_file_check(struct summed_file *file, struct error *error)
{
    int code = ONWARD_OK;
    for (uint64_t begin = 0; begin < file->bytes && code == ONWARD_OK;
         begin += SUMMED_BLOCK_BYTES) {
        uint64_t rest = file->bytes - begin;
        code = fill_window(file, begin / SUMMED_BLOCK_BYTES,
                           rest < SUMMED_BLOCK_BYTES ? rest : SUMMED_BLOCK_BYTES, error);
    }
    return code;
}
