/* fuzz_idx.c - IDX import of any bytes. Byte 0: bit 0 gzips the features, bits 1 to 3 cut so many
 * bytes off that. Byte 1: size of the labels file, which comes next; the rest is the features. */
#include "fuzz_data.h"

#include <zlib.h>

static void write_gzip(const char *path, const uint8_t *data, size_t size, long cut)
{
    gzFile file = gzopen(path, "wb1");
    fuzz_expect(file != NULL, "a scratch file");
    if (size > 0)
        gzwrite(file, data, (unsigned)size);
    gzclose(file);
    FILE *written = fopen(path, "rb+");
    fuzz_expect(written != NULL, "a scratch file");
    fseek(written, 0, SEEK_END);
    long length = ftell(written) - cut;
    fclose(written);
    fuzz_expect(truncate(path, length) == 0, "a shorter scratch file");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char features[96], labels[96], output[96];
    struct import_options options;
    struct error error = {0};
    if (size < 2 || size - 2 < data[1])
        return 0;
    snprintf(features, sizeof features, "%s/features", scratch());
    snprintf(labels, sizeof labels, "%s/labels", scratch());
    snprintf(output, sizeof output, "%s/out.h5", scratch());
    const uint8_t *rest = data + 2 + data[1];
    size_t rest_size = size - 2 - data[1];
    scratch_write(labels, data + 2, data[1]);
    if (data[0] & 1)
        write_gzip(features, rest, rest_size, data[0] >> 1 & 7);
    else
        scratch_write(features, rest, rest_size);
    import_options_init(&options);
    struct import_split split = {"train", features, labels};
    check_import(import_idx(&split, 1, output, &options, &error), output, &error);
    return 0;
}
