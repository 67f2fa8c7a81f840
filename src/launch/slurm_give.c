/* slurm_give.c - gives a host of the job back to Slurm: the job shrinks. It is asked for in a
 * process of its own, onward-host, since mpirun runs below the launcher meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "place.h"
#include "quick.h"
#include "say.h"
#include "slurm.h"
#include "verb.h"

static const double query_limit_s = 15, give_limit_s = 30;

/* What Slurm says that the job has now: it may have taken lost hosts out by itself. */
static int ask_hosts(struct hosts *hosts, struct error *error)
{
    static struct quick_result result;
    char *const command[] = {(char *)"squeue", (char *)"-h", (char *)"-j", (char *)slurm_job(),
                             (char *)"-o",     (char *)"%N", NULL};
    int code = quick_run(command, query_limit_s, &result, error);
    if (code != ONWARD_OK)
        return code;
    result.output[strcspn(result.output, "\n")] = '\0';
    if (result.exit_status != 0)
        return error_set(error, ONWARD_ERR_IO, "squeue: %s",
                         result.timed_out ? "no answer in time" : result.error_line);
    return hosts_parse_list(result.output, "hosts of the job", hosts, error);
}

static bool drop_host(struct hosts *hosts, const char *host)
{
    for (uint32_t i = 0; i < hosts->count; i++)
        if (place_same_host(hosts->list[i].name, host)) {
            hosts->list[i] = hosts->list[--hosts->count];
            return true;
        }
    return false;
}

/* scontrol leaves scripts in the working directory that set the variables of a shell anew. */
static int shrink(const char *left, struct error *error)
{
    static const char script[] = "d=$(mktemp -d) && cd \"$d\" || exit 1\n"
                                 "scontrol update JobId=\"$1\" NodeList=\"$2\"; code=$?\n"
                                 "cd / && rm -rf \"$d\"; exit $code";
    static struct quick_result result;
    char *const command[] = {(char *)"sh", (char *)"-c",        (char *)script,
                             (char *)"sh", (char *)slurm_job(), (char *)left,
                             NULL};
    int code = quick_run(command, query_limit_s, &result, error);
    if (code != ONWARD_OK || result.exit_status == 0)
        return code;
    return error_set(error, ONWARD_ERR_IO, "scontrol update NodeList=%.100s: %.300s", left,
                     result.timed_out ? "no answer in time" : result.error_line);
}

int slurm_give_back(const char *host)
{
    struct hosts hosts = {.list = NULL};
    struct error error;
    char *left = NULL;
    if (!slurm_job()) {
        say("onward-host give-back: expected to run in a job of Slurm (SLURM_JOB_ID)");
        return EXIT_USAGE;
    }
    int code = ask_hosts(&hosts, &error);
    if (code == ONWARD_OK && (!drop_host(&hosts, host) || hosts.count == 0))
        code = error_set(&error, ONWARD_ERR_INPUT, "host %.80s: expected one of several of job %s",
                         host, slurm_job());
    if (code == ONWARD_OK && !(left = hosts_text(&hosts)))
        code = error_set(&error, ONWARD_ERR_MEMORY, "hosts of the job: out of memory");
    if (code == ONWARD_OK)
        code = shrink(left, &error);
    if (code == ONWARD_OK)
        puts(left);
    free(left);
    hosts_clear(&hosts);
    return code == ONWARD_OK ? finish_output(0) : say_error(&error);
}

/* What is left is what counts from now on; how many tasks on each does not fit it any more. */
static int describe(const char *left, struct error *error)
{
    if (setenv("SLURM_JOB_NODELIST", left, 1) == 0 && unsetenv("SLURM_TASKS_PER_NODE") == 0 &&
        unsetenv("SLURM_JOB_CPUS_PER_NODE") == 0)
        return ONWARD_OK;
    return error_set(error, ONWARD_ERR_MEMORY, "hosts of the job: out of memory");
}

int slurm_give_host(const struct places *places, const char *host, struct error *error)
{
    char *const command[] = {(char *)places->program, (char *)"give-back", (char *)host, NULL};
    struct agent_call *call = calloc(1, sizeof *call);
    char line[AGENT_OUTPUT_BYTES];
    if (!call)
        return error_set(error, ONWARD_ERR_MEMORY, "host %.80s: out of memory", host);
    *call = (struct agent_call){.host = "localhost", .is_local = true};
    int code = agent_run(places->agent, command, call, 1, give_limit_s, AGENT_PATIENT, error);
    agent_last_line(call, line, sizeof line);
    if (code == ONWARD_OK && call->timed_out)
        code = error_set(error, ONWARD_ERR_TIMEOUT, "no answer in %g s", give_limit_s);
    else if (code == ONWARD_OK && call->status != 0)
        code = error_set(error, ONWARD_ERR_IO, "%.300s", line);
    free(call);
    return code == ONWARD_OK ? describe(line, error) : code;
}
