/* slurm.c - the allocation of Slurm.
 *
 * Which hosts there are is in the environment that Slurm gives a job. Each is reached by a job step
 * of its own: when a host is lost the steps on the others do not notice, and the next incarnation
 * starts new ones without waiting until Slurm has noticed. */
#include "slurm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quick.h"
#include "say.h"
#include "slurm_joined.h"

extern char **environ;

enum { MAX_COUNT = 1000000, MAX_REACH_WORDS = 1024, NOT_EXECUTED = 127 };

static const double query_limit_s = 15;

static const char *variable(const char *name)
{
    const char *text = getenv(name);
    return text && *text ? text : NULL;
}

const char *slurm_job(void)
{
    return variable("SLURM_JOB_ID");
}

bool slurm_is_inside(void)
{
    return slurm_job() != NULL;
}

double slurm_end_time_s(void)
{
    const char *text = variable("SLURM_JOB_END_TIME");
    char *end;
    if (!slurm_is_inside() || !text)
        return 0;
    double end_s = strtod(text, &end);
    return *end == '\0' && end_s > 0 && end_s < 1e11 ? end_s : 0;
}

/* A number from 1 up at *text, which moves behind it; 0: there is none. */
static uint32_t take_count(const char **text)
{
    uint32_t count = 0;
    while (**text >= '0' && **text <= '9' && count <= MAX_COUNT)
        count = count * 10 + (uint32_t)(*(*text)++ - '0');
    return count <= MAX_COUNT ? count : 0;
}

/* N or N(xM); M is 1 where it is not given. */
static bool take_item(const char **text, uint32_t *count, uint32_t *times)
{
    *times = 1;
    *count = take_count(text);
    if (*count == 0)
        return false;
    if (strncmp(*text, "(x", 2) == 0) {
        *text += 2;
        *times = take_count(text);
        if (*times == 0 || *(*text)++ != ')')
            return false;
    }
    if (**text == ',')
        return *++*text != '\0';
    return **text == '\0';
}

/* Into `slots`, which has room for `count`. False: the text does not parse, or there are more. */
static bool read_counts(const char *text, uint32_t *slots, uint32_t count, uint32_t *known)
{
    uint32_t slots_each, times;
    for (*known = 0; *text;) {
        if (!take_item(&text, &slots_each, &times) || times > count - *known)
            return false;
        for (uint32_t i = 0; i < times; i++)
            slots[(*known)++] = slots_each < HOSTS_MAX_SLOTS ? slots_each : HOSTS_MAX_SLOTS;
    }
    return true;
}

int slurm_take_counts(const char *text, const char *where, struct hosts *hosts, struct error *error)
{
    uint32_t known, *slots = malloc((hosts->count + 1) * sizeof *slots);
    if (!slots)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory", where);
    bool fits = read_counts(text, slots, hosts->count, &known) && known == hosts->count;
    for (uint32_t i = 0; fits && i < known; i++)
        hosts->list[i].slots = slots[i];
    free(slots);
    if (fits)
        return ONWARD_OK;
    return error_set(error, ONWARD_ERR_INPUT,
                     "%s: \"%.80s\": expected a number of tasks, as in 2(x3),1, for each of the %u "
                     "hosts of SLURM_JOB_NODELIST",
                     where, text, hosts->count);
}

int slurm_hosts(bool by_cpus, struct hosts *hosts, struct error *error)
{
    static const char *const counts[] = {"SLURM_TASKS_PER_NODE", "SLURM_JOB_CPUS_PER_NODE"};
    const char *list = variable("SLURM_JOB_NODELIST");
    *hosts = (struct hosts){.list = NULL};
    if (!list)
        return error_set(error, ONWARD_ERR_INPUT,
                         "SLURM_JOB_NODELIST is not set: expected the hosts of job %s of Slurm",
                         slurm_job());
    int code = hosts_parse_list(list, "SLURM_JOB_NODELIST", hosts, error);
    const char *name = variable(counts[0]) && !by_cpus ? counts[0] : counts[1];
    if (code == ONWARD_OK && variable(name))
        code = slurm_take_counts(variable(name), name, hosts, error);
    if (code != ONWARD_OK)
        hosts_clear(hosts);
    return code;
}

/* The state of the job in Slurm's words into result->output; "": Slurm does not know it any more.
 * False: Slurm did not answer. */
static bool ask_state(struct quick_result *result)
{
    char *const command[] = {(char *)"squeue", (char *)"-h",        (char *)"-o",
                             (char *)"%T",     (char *)"-t",        (char *)"all",
                             (char *)"-j",     (char *)slurm_job(), NULL};
    if (quick_run(command, query_limit_s, result, NULL) != ONWARD_OK || result->timed_out)
        return false;
    result->output[strcspn(result->output, "\n")] = '\0';
    return result->exit_status == 0 || strstr(result->error_line, "Invalid job id");
}

int slurm_check_job(struct error *error)
{
    static struct quick_result result;
    if (!ask_state(&result) || !strcmp(result.output, "RUNNING"))
        return ONWARD_OK;
    return error_set(error, ONWARD_ERR_INPUT,
                     "SLURM_JOB_ID: job %s of Slurm is %s: expected one that runs", slurm_job(),
                     *result.output ? result.output : "over");
}

/* One that is being cancelled must not come back. */
void slurm_requeue(void)
{
    static struct quick_result result;
    struct error error = {.text = ""};
    char *const command[] = {(char *)"scontrol", (char *)"requeue", (char *)slurm_job(), NULL};
    if (!slurm_job()) {
        say("--requeue: this is no job of Slurm (SLURM_JOB_ID)");
        return;
    }
    if (ask_state(&result) && strcmp(result.output, "RUNNING") != 0) {
        say("job %s is %s: it does not go back into the queue", slurm_job(), result.output);
        return;
    }
    say("job %s goes back into the queue", slurm_job());
    int code = quick_run(command, query_limit_s, &result, &error);
    if (code != ONWARD_OK || result.exit_status != 0)
        say("scontrol requeue %s: %s", slurm_job(),
            code != ONWARD_OK ? error.text : result.error_line);
}

int slurm_place(const char *helper, bool by_cpus, char **hosts, char **agent, struct error *error)
{
    struct hosts list;
    int code = slurm_hosts(by_cpus, &list, error);
    if (code != ONWARD_OK)
        return code;
    code = slurm_check_job(error);
    char *text = code == ONWARD_OK ? hosts_text(&list) : NULL, *reach = NULL;
    hosts_clear(&list);
    if (code == ONWARD_OK && (!text || (agent && asprintf(&reach, "%s reach", helper) < 0)))
        code = error_set(error, ONWARD_ERR_MEMORY, "hosts: out of memory");
    if (code != ONWARD_OK) {
        free(text);
        return code;
    }
    *hosts = text;
    if (agent)
        *agent = reach;
    return ONWARD_OK;
}

/* srun takes options from the environment too: those were meant for the job script's own steps. */
static void forget_options(void)
{
    static const char *const kept[] = {
        "SLURM_JOB_ID=", "SLURM_CONF=", "SLURM_CLUSTERS=", "SLURM_CLUSTER_NAME=", "SLURM_JWT="};
    char name[128];
    for (char **each = environ; *each;) {
        size_t length = strcspn(*each, "=");
        bool is_option = !strncmp(*each, "SLURM_", 6) || !strncmp(*each, "SRUN_", 5);
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
            is_option = is_option && strncmp(*each, kept[i], strlen(kept[i])) != 0;
        if (is_option && length < sizeof name) {
            snprintf(name, sizeof name, "%.*s", (int)length, *each);
            unsetenv(name); /* which moves the next one here */
        } else {
            each++;
        }
    }
}

/* Blanks between the words, as ssh does. NULL: out of memory. */
static char *join(int count, char **words)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return NULL;
    for (int i = 0; i < count; i++)
        fprintf(stream, "%s%s", i ? " " : "", words[i]);
    if (fclose(stream) == 0)
        return text;
    free(text);
    return NULL;
}

int slurm_reach(int argc, char **argv)
{
    if (argc < 2 || argc > MAX_REACH_WORDS || !slurm_job()) {
        say("onward-host reach: expected HOST COMMAND, in a job of Slurm (SLURM_JOB_ID)");
        return 2;
    }
    char *command = join(argc - 1, argv + 1);
    char *const words[] = {(char *)"srun",
                           (char *)"--overlap",
                           (char *)"--no-kill",
                           (char *)"--nodes=1",
                           (char *)"--ntasks=1",
                           (char *)"--mpi=none",
                           (char *)"--mem=0",
                           (char *)"--cpu-bind=none",
                           (char *)"--export=ALL",
                           (char *)"--input=none",
                           (char *)"--unbuffered",
                           (char *)"--kill-on-bad-exit=0",
                           (char *)"--nodelist",
                           argv[0],
                           (char *)"sh",
                           (char *)"-c",
                           command,
                           NULL};
    char job[SLURM_JOINED_JOB_BYTES];
    bool joined = slurm_joined_find(argv[0], job);
    if (!command) {
        say("onward-host reach: out of memory");
        return 1;
    }
    forget_options();
    if (joined)
        setenv("SLURM_JOB_ID", job, 1);
    execvp(words[0], words);
    say("srun: %m: expected Slurm's srun in PATH");
    free(command);
    return NOT_EXECUTED;
}
