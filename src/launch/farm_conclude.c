/* farm_conclude.c - reads summary.json of a farm that is complete, says what failed, and with
 * keep-order copies the outputs to where the user looks for them. */
#include "farm_conclude.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "farm_stream.h"
#include "say.h"
#include "start.h"

enum { COPY_BYTES = 1 << 16 };

static int run_path(const struct launch_options *options, const struct task_record *record,
                    char *path, size_t path_bytes, struct error *error)
{
    char base[PATH_MAX];
    int code = rundir_base(options->directory, base, sizeof base, error);
    return code == ONWARD_OK ? file_join(path, path_bytes, base, record->task, error) : code;
}

/* All but the first bytes, which are printed already. */
static bool copy_out(const char *run, const char *name, uint64_t printed, FILE *to)
{
    char path[PATH_MAX + 16], bytes[COPY_BYTES];
    size_t got;
    snprintf(path, sizeof path, "%s/%s", run, name);
    FILE *from = fopen(path, "re");
    bool good = from && fseeko(from, (off_t)printed, SEEK_SET) == 0;
    while (good && (got = fread(bytes, 1, sizeof bytes, from)) > 0)
        fwrite(bytes, 1, got, to);
    good = good && !ferror(from) && fflush(to) == 0;
    if (from)
        fclose(from);
    return good;
}

static long long count_in(const json_t *summary, const char *name)
{
    return (long long)json_integer_value(json_object_get(summary, name));
}

/* What conclude() is given. */
struct farm {
    const struct launch_options *options;
    const struct task_record *record;
    struct farm_stream stream;
};

static int conclude(void *context, int exit_code)
{
    const struct farm *farm = context;
    const struct farm_stream *stream = &farm->stream;
    char run[PATH_MAX], path[PATH_MAX + 16];
    struct error error;
    if (exit_code != 0)
        return exit_code;
    if (run_path(farm->options, farm->record, run, sizeof run, &error) != ONWARD_OK)
        return say_error(&error);
    snprintf(path, sizeof path, "%s/summary.json", run);
    json_t *summary = json_load_file(path, 0, NULL);
    if (!summary) {
        say("%s: expected what the farm came to; its event log says why it is missing", path);
        return 1;
    }
    if (farm_keeps_order(farm->record) && !farm->options->json &&
        (!copy_out(run, "stdout", stream->printed[0], stdout) ||
         !copy_out(run, "stderr", stream->printed[1], stderr))) {
        say("%s: the outputs could not be copied from there", run);
        exit_code = 1;
    }
    long long failed = count_in(summary, "failed"), aside = count_in(summary, "set_aside");
    if (failed + aside > 0) {
        say("%lld of %lld subtasks failed, %lld were set aside: see %s/results.tsv", failed,
            count_in(summary, "subtasks"), aside, run);
        exit_code = 1;
    }
    json_decref(summary);
    return exit_code;
}

int farm_start(struct launch_options *options, struct task_record *record, bool again)
{
    struct launch_options concluding = *options; /* the caller's is as it was */
    struct farm farm = {.options = options, .record = record};
    farm_stream_open(&farm.stream, options, record);
    concluding.look = farm_stream_look;
    concluding.look_context = &farm.stream;
    concluding.conclude = conclude;
    concluding.conclude_context = &farm;
    int exit_code = start_task(&concluding, record, again);
    farm_stream_close(&farm.stream);
    return exit_code;
}
