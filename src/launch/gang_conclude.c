/* gang_conclude.c - reads gang.json of a gang that failed, and hands on how its rank ended. */
#include "gang_conclude.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>

#include "say.h"

int gang_conclude(const struct launch_options *options, const struct task_record *record,
                  int exit_code)
{
    char base[PATH_MAX], path[2 * PATH_MAX];
    if (exit_code != 1 || rundir_base(options->directory, base, sizeof base, NULL) != ONWARD_OK)
        return exit_code;
    snprintf(path, sizeof path, "%s/%s/gang.json", base, record->task);
    json_t *gang = json_load_file(path, 0, NULL);
    if (json_object_get(gang, "rank")) {
        long long rank = (long long)json_integer_value(json_object_get(gang, "rank"));
        int status = (int)json_integer_value(json_object_get(gang, "exit_status"));
        int signal = (int)json_integer_value(json_object_get(gang, "signal"));
        say("see %s/%s/logs/rank-%lld.err", base, record->task, rank);
        exit_code = signal ? 128 + signal : status;
    }
    json_decref(gang);
    return exit_code;
}
