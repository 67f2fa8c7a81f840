/* verb_import.c - onward import idx|csv: a data file for training from files as they are found. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "import.h"
#include "say.h"
#include "verb.h"

static const double line_interval_s = 3;

enum { KEY_TRAIN = 256, KEY_TEST, KEY_LABEL, MAX_COLUMN = 1 << 20 };

struct import_input {
    bool is_idx;
    struct import_split train, test;
    int label_column;
    bool quiet, json;
    const char *output;
};

static void set_features(struct import_split *split, const char *name, const char *features)
{
    if (split->features)
        options_refuse("import: --%s %s: was given before, as %s", name, features, split->features);
    *split = (struct import_split){.name = name, .features = features};
}

/* IDX: an argument that follows --train IMAGES or --test IMAGES holds their labels. */
static void take_file(struct import_input *input, const char *file)
{
    struct import_split *open = input->test.features && !input->test.labels     ? &input->test
                                : input->train.features && !input->train.labels ? &input->train
                                                                                : NULL;
    if (input->is_idx && open)
        open->labels = file;
    else if (!input->output)
        input->output = file;
    else
        options_refuse("import: %s: expected one output file, which is %s", file, input->output);
}

static void check_input(const struct import_input *input)
{
    if (!input->train.features)
        options_refuse("import: expected --train %s", input->is_idx ? "IMAGES LABELS" : "FILE");
    if (input->is_idx && (!input->train.labels || (input->test.features && !input->test.labels)))
        options_refuse("import: expected LABELS behind the IMAGES of --train and --test");
    if (!input->output)
        options_refuse("import: expected the file to write, such as data.h5, as last argument");
}

static error_t parse_import(int key, char *text, struct argp_state *state)
{
    struct import_input *input = state->input;
    switch (key) {
    case KEY_TRAIN:
        set_features(&input->train, "train", text);
        return 0;
    case KEY_TEST:
        set_features(&input->test, "test", text);
        return 0;
    case KEY_LABEL:
        if (input->is_idx)
            options_refuse("import: --label-column is for csv");
        input->label_column = (int)options_number("--label-column", text, -MAX_COLUMN, MAX_COLUMN);
        return 0;
    case 'q':
        input->quiet = true;
        return 0;
    case 'j':
        input->json = true;
        return 0;
    case ARGP_KEY_ARG:
        take_file(input, text);
        return 0;
    case ARGP_KEY_END:
        check_input(input);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option table[] = {
    {"train", KEY_TRAIN, "FILE", 0,
     "the training samples; for idx the images, with the file of labels behind", 0},
    {"test", KEY_TEST, "FILE", 0, "the test samples, in the same way", 0},
    {"label-column", KEY_LABEL, "K", 0,
     "csv: the column of the class, from 0; below 0 from the last (default -1)", 0},
    {"quiet", 'q', NULL, 0, "no progress", 0},
    {"json", 'j', NULL, 0, "print JSON", 0},
    {NULL, 0, NULL, 0, NULL, 0}};

static const struct argp import_argp = {
    .options = table,
    .parser = parse_import,
    .args_doc = "idx --train IMAGES LABELS [--test IMAGES LABELS] OUT.h5\n"
                "csv --train FILE [--test FILE] [--label-column K] OUT.h5",
    .doc = "Makes the HDF5 data file OUT.h5 from IDX files (plain or gzip) or CSV files.",
};

static void print_samples(const char *before, const char *split, uint64_t done, uint64_t total,
                          const char *after)
{
    char of_total[32] = "";
    if (total)
        snprintf(of_total, sizeof of_total, " of %llu", (unsigned long long)total);
    fprintf(stderr, "%s%s: %llu%s samples%s", before, split, (unsigned long long)done, of_total,
            after);
}

static void show_progress(void *context, const char *split, uint64_t done, uint64_t total)
{
    (void)context;
    print_samples("\r", split, done, total, "\033[K");
}

/* Off a terminal: a line every few seconds. */
static void show_line(void *context, const char *split, uint64_t done, uint64_t total)
{
    double *next_s = context;
    if (clock_now_s() < *next_s)
        return;
    *next_s = clock_now_s() + line_interval_s;
    print_samples("", split, done, total, "\n");
}

static int run_import(const struct import_input *input)
{
    struct import_options options;
    struct error error;
    struct import_split splits[] = {input->train, input->test};
    uint32_t count = input->test.features ? 2 : 1;
    bool live = !input->quiet && isatty(STDERR_FILENO);
    double next_s = clock_now_s() + line_interval_s;
    import_options_init(&options);
    options.label_column = input->label_column;
    options.progress = input->quiet ? NULL : live ? show_progress : show_line;
    options.context = &next_s;
    int code = input->is_idx ? import_idx(splits, count, input->output, &options, &error)
                             : import_csv(splits, count, input->output, &options, &error);
    if (live)
        fputs("\r\033[K", stderr);
    if (code != ONWARD_OK)
        return say_error(&error);
    if (input->json)
        return print_json(json_pack("{s:s}", "output", input->output));
    if (!input->quiet)
        printf("%s written\n", input->output);
    return finish_output(0);
}

int verb_import(int argc, char **argv)
{
    struct import_input input = {.label_column = -1};
    bool is_help = argc > 1 && !strcmp(argv[1], "--help");
    if (!is_help && (argc < 2 || (strcmp(argv[1], "idx") != 0 && strcmp(argv[1], "csv") != 0))) {
        say("import: expected idx or csv, as in `onward import idx --train IMAGES LABELS OUT.h5'");
        return EXIT_USAGE;
    }
    if (!is_help) {
        input.is_idx = !strcmp(argv[1], "idx");
        argc--;
        argv++;
    }
    options_parse(&import_argp, "onward import", argc, argv, &input);
    return run_import(&input);
}
