/* fuzz_csv.c - CSV import of any bytes. Byte 0 is the label column, signed; the rest is the file.
 */
#include "fuzz_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char input[96], output[96];
    struct import_options options;
    struct error error = {0};
    if (size < 1)
        return 0;
    snprintf(input, sizeof input, "%s/in.csv", scratch());
    snprintf(output, sizeof output, "%s/out.h5", scratch());
    scratch_write(input, data + 1, size - 1);
    import_options_init(&options);
    options.label_column = (int8_t)data[0];
    struct import_split split = {"train", input, NULL};
    check_import(import_csv(&split, 1, output, &options, &error), output, &error);
    return 0;
}
