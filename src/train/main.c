/* main.c - onward-train CONFIG: trains the model a config describes, as one member of a task.
 *
 * Config and data are read and checked before MPI starts, on every member, so that bad input ends
 * in one line and exit status 2. The launcher calls it with --check first. One line on standard
 * error says what went wrong, from one member alone where all of them know. */
#include <argp.h>
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mlp.h"
#include "ridge.h"
#include "told.h"
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

struct arguments {
    const char *config;
    bool check;
};

enum { KEY_CHECK = 256 };

static const char description[] =
    "Train the model that CONFIG (YAML) describes on HDF5 data, as one member of an onward task. "
    "Started by onward train, or by mpirun.";

static const struct argp_option option_table[] = {
    {"check", KEY_CHECK, NULL, 0, "Check the config and the data, then exit with 0 or 2", 0},
    {NULL, 0, NULL, 0, NULL, 0}};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case KEY_CHECK:
        arguments->check = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->config)
            argp_error(state, "one CONFIG expected, found also %s", value);
        arguments->config = value;
        return 0;
    case ARGP_KEY_END:
        if (!arguments->config)
            argp_error(state, "CONFIG is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "onward-train %s\n", onward_version());
}

/* Says what every member knows for itself: the first member of each host speaks, as the data may be
 * missing on one host alone. The others give it time, since mpirun ends the whole job once one
 * member exits. */
static void say_once(const char *text)
{
    static const struct timespec time_to_speak = {.tv_nsec = 300000000};
    const char *local_rank = getenv("OMPI_COMM_WORLD_LOCAL_RANK");
    if (!local_rank || strcmp(local_rank, "0") == 0)
        fprintf(stderr, "onward-train: %s\n", text);
    else
        nanosleep(&time_to_speak, NULL);
}

#ifdef HAVE_SCALAPACK
static const bool has_ridge = true;
static int train_ridge(struct onward *ow, const struct config *config,
                       const struct dataset *dataset, struct error *error)
{
    return ridge_run(ow, config, dataset, error);
}
#else
static const bool has_ridge = false;
static int train_ridge(struct onward *ow, const struct config *config,
                       const struct dataset *dataset, struct error *error)
{
    (void)ow, (void)dataset;
    return error_set(error, ONWARD_ERR_INPUT, "%s: trainer: no ridge", config->path);
}
#endif

static int read_input(const char *path, struct config *config, struct dataset *dataset,
                      struct error *error)
{
    int code = config_load(path, config, error);
    if (code != ONWARD_OK)
        return code;
    if (config->trainer == TRAINER_RIDGE && !has_ridge)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: trainer: \"ridge\" needs ScaLAPACK, which this onward was built "
                         "without, expected mlp",
                         path);
    code = dataset_open(config, dataset, error);
    if (code != ONWARD_OK)
        return code;
    code = config_set_steps(config, dataset->train_rows, error);
    if (code != ONWARD_OK)
        dataset_close(dataset);
    return code;
}

/* A worker uses one thread, and another machine's count must not change the bits, unless the user
 * asks for more. */
static void limit_threads(void)
{
    if (!getenv("OPENBLAS_NUM_THREADS") && !getenv("OMP_NUM_THREADS"))
        openblas_set_num_threads(1);
}

static void set_options(const struct config *config, struct onward_options *options)
{
    onward_options_init(options);
    options->subtask_count = (uint32_t)config->subtasks;
    options->step_count = config->steps;
    options->wants_finish = true;
    options->program = "train";
}

/* Under a launcher the launcher reports; under plain mpirun the controller does. */
static void print_end(const struct onward *ow, int code)
{
    const char *incarnation = getenv("ONWARD_INCARNATION");
    if (incarnation && *incarnation)
        return;
    if (code == ONWARD_OK)
        printf("complete: %s/result.h5\n", onward_run_directory(ow));
    else
        printf("not complete: %s\n", onward_error_message(code));
}

static int serve(struct onward *ow, const struct config *config, const struct dataset *dataset)
{
    struct error error = {.code = ONWARD_OK};
    int code;
    if (onward_is_controller(ow)) {
        code = onward_control(ow);
        print_end(ow, code);
        if (code != ONWARD_OK && !end_is_told(code))
            fprintf(stderr, "onward-train: %s\n", onward_text(ow));
    } else {
        code = config->trainer == TRAINER_RIDGE ? train_ridge(ow, config, dataset, &error)
                                                : mlp_run(ow, config, dataset, &error);
        if (code != ONWARD_OK)
            fprintf(stderr, "onward-train: %s\n", error.text);
    }
    int came_to = onward_close(ow);
    return code != ONWARD_OK ? code : came_to;
}

static int train(const struct config *config, const struct dataset *dataset)
{
    struct onward_options options;
    struct onward *ow;
    set_options(config, &options);
    limit_threads();
    int code = onward_open(MPI_COMM_NULL, &options, &ow);
    if (code != ONWARD_OK) {
        say_once(onward_text(NULL));
        return code;
    }
    return serve(ow, config, dataset);
}

int main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_table, .parser = parse_option, .args_doc = "CONFIG", .doc = description};
    static struct config config;
    struct arguments arguments = {.config = NULL};
    struct dataset dataset;
    struct error error;
    argp_program_version_hook = print_version;
    argp_err_exit_status = 2;
    argp_parse(&parser, argc, argv, 0, NULL, &arguments);
    int code = read_input(arguments.config, &config, &dataset, &error);
    if (code != ONWARD_OK) {
        say_once(error.text);
        return onward_exit_code(code);
    }
    if (!arguments.check)
        code = train(&config, &dataset);
    dataset_close(&dataset);
    return onward_exit_code(code);
}
