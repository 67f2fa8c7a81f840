/* settings.c - see settings.h. A variable that is not ours to set is taken away: it would be
 * another task's. */
#include "settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void export_number(const char *name, int64_t number, bool is_set)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, number);
    if (is_set)
        setenv(name, text, 1);
    else
        unsetenv(name);
}

static void export_text(const char *name, const char *text)
{
    if (text && *text)
        setenv(name, text, 1);
    else
        unsetenv(name);
}

static void export_real(const char *name, double number)
{
    char text[32];
    snprintf(text, sizeof text, "%.6g", number);
    setenv(name, text, 1);
}

void settings_export(const struct launch_options *options, const char *base,
                     const struct task_record *record)
{
    export_text("ONWARD_TASK", record->task);
    export_text("ONWARD_DIR", base);
    export_number("ONWARD_MIN_WORKERS", record->min_workers, true);
    export_number("ONWARD_MAX_WORKERS", record->max_workers, record->max_workers > 0);
    export_text("ONWARD_CHECKPOINT", record->checkpoint);
    export_number("ONWARD_CHECKPOINT_KEEP", record->checkpoint_keep, true);
    export_number("ONWARD_CHECKPOINT_KEEP_EVERY", record->checkpoint_keep_every,
                  record->checkpoint_keep_every > 0);
    export_text("ONWARD_CHECKPOINT_KEEP_BEST", record->checkpoint_keep_best);
    export_number("ONWARD_END_TIME", (int64_t)options->end_time_s, options->end_time_s > 0);
    export_number("ONWARD_STEPS", record->step_count, record->step_count >= 0);
    export_text("ONWARD_INJECT", options->inject);
    export_text("ONWARD_INJECTED", NULL);
    export_text("ONWARD_REPLACE", record->replace);
    export_text("ONWARD_LOCAL_DIR", record->local_dir);
    export_real("ONWARD_DETECT_S", options->detect_s);
    export_text("ONWARD_HOSTS", NULL);
    export_text("ONWARD_HOST_NAMES", NULL);
    export_text("ONWARD_DRAINED_HOSTS", NULL);
    export_text("ONWARD_JOINED", NULL);
}
