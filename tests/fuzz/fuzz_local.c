/* fuzz_local.c - a file of the local level with damaged bytes. The input is a list of edits, 4
 * bytes each: offset (2), what (set, flip, cut here), value; offsets go round in header and
 * records, since the slots have no checksum. Bit 0 of the first byte seals an edited header and
 * records anew. What is found must be a step that was committed, with the bits of that step. */
#include "fuzz_scratch.h"

#include <xxhash.h>

#include "local_internal.h"

enum { ARRAYS = 2, STEPS = 3, FILE_BYTES = 1 << 16, EDITED_BYTES = 2 * LOCAL_PAGE_BYTES };

static const uint64_t sizes[ARRAYS] = {64, 5000};
static uint8_t file[FILE_BYTES]; /* as it should be */
static size_t file_size;
static char path[160];

static struct local_id id_of(int64_t incarnation)
{
    return (struct local_id){scratch(), "fuzz", 1, 2, incarnation, ARRAYS, sizes};
}

static void remember_path(void)
{
    char command[256];
    snprintf(command, sizeof command, "ls %s/onward-*/fuzz.*/*.state", scratch());
    FILE *list = popen(command, "r");
    fuzz_expect(list && fgets(path, sizeof path, list), "a file of the local level");
    pclose(list);
    path[strcspn(path, "\n")] = '\0';
}

static void make_file(void)
{
    struct local_id id = id_of(3);
    struct local *local;
    struct error error;
    fuzz_expect(local_create(&id, &local, &error) == ONWARD_OK, error.text);
    for (int64_t step = 0; step <= STEPS; step++) {
        for (uint32_t i = 0; i < ARRAYS; i++)
            memset(local_next(local, i), (int)step + 1, sizes[i]);
        local_commit(local, 1, step);
    }
    local_close(local);
    remember_path();
    FILE *stream = fopen(path, "rb");
    fuzz_expect(stream != NULL, "the file");
    file_size = fread(file, 1, FILE_BYTES, stream);
    fuzz_expect(file_size > EDITED_BYTES && file_size < FILE_BYTES, "a small file");
    fclose(stream);
}

static size_t edit(uint8_t *bytes, size_t size, const uint8_t *edits, size_t edits_size)
{
    for (size_t i = 0; i + 4 <= edits_size && size > 0; i += 4) {
        size_t offset = (size_t)(edits[i] | edits[i + 1] << 8) % EDITED_BYTES;
        if (edits[i + 2] % 3 == 2 && offset < size)
            size = offset;
        else if (offset < size)
            bytes[offset] = edits[i + 2] % 3 ? edits[i + 3] : bytes[offset] ^ edits[i + 3];
    }
    return size;
}

static void seal(uint8_t *bytes)
{
    struct local_header *header = (struct local_header *)bytes;
    struct local_control *control = (struct local_control *)(bytes + LOCAL_PAGE_BYTES);
    header->sum = XXH64(header, offsetof(struct local_header, sum), 0);
    for (int i = 0; i < 2; i++)
        control->records[i].sum = local_record_sum(&control->records[i]);
    control->not_begun = ~control->begun;
}

static void look(bool is_forged)
{
    static uint8_t small[64], large[5000];
    void *const data[ARRAYS] = {small, large};
    struct local_id id = id_of(4);
    struct local_copy *copy;
    unsigned verdict;
    struct error error;
    fuzz_expect(local_find(&id, NULL, NULL, &copy, &error) == ONWARD_OK, "a search");
    if (!copy)
        return;
    int64_t step = local_copy_step(copy);
    fuzz_expect(local_copy_incarnation(copy) < 4, "an earlier incarnation");
    fuzz_expect(local_load(copy, data, &verdict, &error) == ONWARD_OK, error.text);
    fuzz_expect(is_forged || ((step == STEPS || step == STEPS - 1) && small[63] == step + 1 &&
                              large[4999] == step + 1),
                "the bits of a step that was committed");
    local_forget(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static _Alignas(64) uint8_t bytes[FILE_BYTES];
    if (file_size == 0)
        make_file();
    if (size < 1)
        return 0;
    memcpy(bytes, file, file_size);
    size_t length = edit(bytes, file_size, data + 1, size - 1);
    if (data[0] & 1)
        seal(bytes);
    scratch_write(path, bytes, length);
    look(data[0] & 1);
    scratch_write(path, file, file_size);
    return 0;
}
