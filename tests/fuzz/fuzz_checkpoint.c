/* fuzz_checkpoint.c - a checkpoint with damaged bytes. Byte 0 says which file and how: bit 0 the
 * master or a shard, bit 1 replaces the file by the rest of the input, else the rest is a list of
 * edits, 4 bytes each: offset (2), what (set, flip, cut here), value; bit 2 seals an edited master
 * anew, so that HDF5 gets to see it. Whatever is read without an error must be what was written,
 * but for a master that was sealed anew. */
#include "fuzz_scratch.h"

#include <inttypes.h>
#include <xxhash.h>

#include "checkpoint.h"

enum { ARRAYS = 2, SIZE = 2, FILE_BYTES = 1 << 16, SEAL_BYTES = 512, SEALED_ANEW = 4 };

static float weights[6][5];
static int64_t count[3] = {7, 8, 9};
static uint8_t files[2][FILE_BYTES]; /* master, shard, as they should be */
static size_t sizes[2];
static char paths[2][160];

static const struct checkpoint_array written[ARRAYS] = {
    {.name = "layer0/weights", .type = ONWARD_FLOAT, .ndims = 2, .dims = {6, 5}, .data = weights},
    {.name = "count", .type = ONWARD_INT64, .ndims = 1, .dims = {3}, .data = count}};

static void load(int which)
{
    FILE *file = fopen(paths[which], "rb");
    fuzz_expect(file != NULL, "a file of the checkpoint");
    sizes[which] = fread(files[which], 1, FILE_BYTES, file);
    fuzz_expect(sizes[which] > 0 && sizes[which] < FILE_BYTES, "a small file");
    fclose(file);
}

static void make_checkpoint(void)
{
    struct checkpoint_id id = {"fuzz", 1, 2, 3};
    struct checkpoint_shard shards[SIZE];
    struct error error = {0};
    for (int i = 0; i < 30; i++)
        weights[i / 5][i % 5] = (float)i + 1;
    for (uint32_t rank = 0; rank < SIZE; rank++)
        fuzz_expect(checkpoint_write_shard(scratch(), &id, written, ARRAYS, rank, SIZE,
                                           &shards[rank], &error) == ONWARD_OK,
                    error.text);
    fuzz_expect(checkpoint_commit(scratch(), &id, written, ARRAYS, shards, SIZE, &error) ==
                    ONWARD_OK,
                error.text);
    snprintf(paths[0], sizeof paths[0], "%s/ckpt/step-00000003.h5", scratch());
    snprintf(paths[1], sizeof paths[1], "%s/ckpt/step-00000003.shards/%s", scratch(),
             shards[0].file);
    load(0);
    load(1);
}

static size_t edit(uint8_t *bytes, size_t size, const uint8_t *edits, size_t edits_size)
{
    for (size_t i = 0; i + 4 <= edits_size && size > 0; i += 4) {
        size_t offset = (size_t)(edits[i] | edits[i + 1] << 8) % size;
        if (edits[i + 2] % 3 == 2)
            size = offset;
        else
            bytes[offset] = edits[i + 2] % 3 ? edits[i + 3] : bytes[offset] ^ edits[i + 3];
    }
    return size;
}

/* As image.c seals a file. */
static void seal(uint8_t *bytes, size_t size)
{
    if (size < SEAL_BYTES)
        return;
    XXH128_hash_t hash = XXH3_128bits(bytes + SEAL_BYTES, size - SEAL_BYTES);
    memset(bytes, 0, SEAL_BYTES);
    snprintf((char *)bytes, SEAL_BYTES,
             "onward sealed HDF5 file\nThe first %d bytes are a user block; of what follows:\n"
             "bytes %zu\nxxh3_128 %016" PRIx64 "%016" PRIx64 "\n",
             SEAL_BYTES, size - SEAL_BYTES, (uint64_t)hash.high64, (uint64_t)hash.low64);
}

static void ignore_sum(void *context, const char *sum, const char *name)
{
    (void)context, (void)sum, (void)name;
}

/* What shows a checkpoint without reading its arrays. */
static void look_at_checkpoint(void)
{
    struct checkpoint_array *described = NULL;
    struct checkpoint_entry *entries = NULL;
    struct error error = {0};
    size_t entry_count = 0;
    uint32_t array_count = 0;
    fuzz_expect(checkpoint_list(scratch(), NULL, &entries, &entry_count, &error) == ONWARD_OK,
                "a list of checkpoints");
    free(entries);
    if (checkpoint_describe(scratch(), 3, &described, &array_count, &error) == ONWARD_OK)
        free(described);
    checkpoint_sum(scratch(), 3, ignore_sum, NULL, &error);
}

static void read_checkpoint(int is_forged)
{
    float found_weights[6][5] = {{0}};
    int64_t found_count[3] = {0}, newest = -1;
    struct checkpoint_array found[ARRAYS] = {written[0], written[1]};
    struct error error = {0};
    found[0].data = found_weights;
    found[1].data = found_count;
    fuzz_expect(checkpoint_newest(scratch(), "fuzz", &newest, NULL, NULL, &error) == ONWARD_OK,
                "a search for the newest");
    int code = checkpoint_read(scratch(), 3, found, ARRAYS, &error);
    fuzz_expect(code != ONWARD_OK || is_forged ||
                    (memcmp(found_weights, weights, sizeof weights) == 0 &&
                     memcmp(found_count, count, sizeof count) == 0),
                "the bytes that were written");
    fuzz_expect(is_forged || (code == ONWARD_OK) == (newest == 3), "one opinion of a checkpoint");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[FILE_BYTES];
    if (sizes[0] == 0)
        make_checkpoint();
    if (size < 1)
        return 0;
    int which = data[0] & 1;
    int is_forged = which == 0 && (data[0] & SEALED_ANEW);
    size_t length = sizes[which];
    memcpy(bytes, files[which], length);
    if (data[0] & 2) {
        length = size - 1 < FILE_BYTES ? size - 1 : FILE_BYTES;
        memcpy(bytes, data + 1, length);
    } else {
        length = edit(bytes, length, data + 1, size - 1);
    }
    if (is_forged)
        seal(bytes, length);
    scratch_write(paths[which], bytes, length);
    if (is_forged)
        look_at_checkpoint();
    read_checkpoint(is_forged);
    scratch_write(paths[which], files[which], sizes[which]);
    return 0;
}
