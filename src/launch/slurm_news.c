/* slurm_news.c - listens to Slurm by children that say a line when there is something to say.
 *
 * `onward-host hear' is a job step: what Slurm sends to the steps of the job reaches it as it
 * reaches mpirun's daemons, which die of it; so the launcher learns that it was no accident.
 * `onward-host watch' asks the controller of Slurm, one query an interval, and more seldom when it
 * answers late; a query that hangs holds up that child and not the launcher. */
#include "slurm_news.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "quick.h"
#include "say.h"
#include "slurm.h"
#include "slurm_joined.h"

enum { NOT_EXECUTED = 127 };

static const double interval_s = 3, longest_interval_s = 60, slow_factor = 20, query_limit_s = 20;

/* In the child: never returns. A program of several words is cut at blanks, as an agent is. */
static void become(const char *program, const char *first, const char *second, int output,
                   pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int nothing = open("/dev/null", O_RDWR);
    if (getppid() == parent && nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 &&
        dup2(output, STDOUT_FILENO) >= 0 && dup2(nothing, STDERR_FILENO) >= 0)
        execlp("sh", "sh", "-c", "set -f; exec $0 ${1:+\"$1\"} \"$2\"", program, first, second,
               (char *)NULL);
    _exit(NOT_EXECUTED);
}

static void start(struct slurm_news_source *source, const char *program, const char *first,
                  const char *second)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return;
    pid_t parent = getpid();
    source->used = 0;
    source->pid = fork();
    if (source->pid == 0)
        become(program, first, second, fds[1], parent);
    close(fds[1]);
    source->fd = fds[0];
    fcntl(source->fd, F_SETFL, O_NONBLOCK);
    if (source->pid < 0) {
        close(source->fd);
        source->fd = 0;
    }
}

/* The host of that number among those of the task's own job that can be used, or NULL. */
static const char *usable_host(const struct places *places, uint32_t number)
{
    for (uint32_t i = 0; i < places->count; i++)
        if (places->list[i].usable && !places->list[i].job[0] && number-- == 0)
            return places->list[i].host.name;
    return NULL;
}

/* A job step, by the agent, that does `what` of onward-host. */
static void start_step(struct slurm_news_source *source, const struct places *places,
                       const char *host, const char *what)
{
    char command[4200];
    snprintf(command, sizeof command, "exec '%.4000s' %s", places->program, what);
    start(source, places->agent, host, command);
}

void slurm_news_start(struct slurm_news *news, const struct places *places)
{
    *news = (struct slurm_news){.sources = {{.fd = 0}}};
    const char *first = usable_host(places, 0), *second = usable_host(places, 1);
    if (!first || !slurm_is_inside())
        return;
    size_t length = strlen(places->agent);
    bool by_step = length > 6 && !strcmp(places->agent + length - 6, " reach");
    if (by_step)
        start_step(&news->sources[0], places, first, "hear");
    start(&news->sources[1], places->program, "", "watch");
    if (by_step && second && places_is_local(first))
        start_step(&news->sources[2], places, second, "deputize");
}

/* The first whole line of the source, into text. */
static bool take_line(struct slurm_news_source *source, char *text)
{
    if (source->fd > 0 && source->used < sizeof source->line) {
        ssize_t got =
            read(source->fd, source->line + source->used, sizeof source->line - source->used);
        source->used += got > 0 ? (size_t)got : 0;
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            close(source->fd);
            source->fd = 0;
        }
    }
    char *end = memchr(source->line, '\n', source->used);
    if (!end) {
        if (source->used == sizeof source->line) /* no line of ours is so long */
            source->used = 0;
        return false;
    }
    size_t length = (size_t)(end - source->line) + 1;
    memcpy(text, source->line, length - 1);
    text[length - 1] = '\0';
    source->used -= length;
    memmove(source->line, source->line + length, source->used);
    return true;
}

static bool read_item(const char *line, struct slurm_news_item *item)
{
    char verb[16];
    *item = (struct slurm_news_item){.signal = 0};
    if (sscanf(line, "signal %d", &item->signal) == 1)
        return item->signal > 0;
    if (sscanf(line, "%15s %255s", verb, item->host) != 2)
        return false;
    item->drains = !strcmp(verb, "drain");
    return item->drains || !strcmp(verb, "undrain");
}

bool slurm_news_take(struct slurm_news *news, struct slurm_news_item *item)
{
    char line[SLURM_NEWS_LINE_BYTES];
    for (int i = 0; i < SLURM_NEWS_SOURCES; i++)
        while (take_line(&news->sources[i], line))
            if (read_item(line, item))
                return true;
    return false;
}

bool slurm_news_may_come(const struct slurm_news *news)
{
    return news->sources[0].fd > 0;
}

void slurm_news_stop(struct slurm_news *news)
{
    for (int i = 0; i < SLURM_NEWS_SOURCES; i++)
        if (news->sources[i].fd > 0)
            close(news->sources[i].fd);
    *news = (struct slurm_news){.sources = {{.fd = 0}}};
}

int slurm_hear(void)
{
    static const int heard[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    sigset_t set;
    int number;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof heard / sizeof *heard; i++)
        sigaddset(&set, heard[i]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (sigwait(&set, &number) != 0)
        return 1;
    printf("signal %d\n", number);
    return finish_output(0);
}

/* Is the name a line of the output? */
static bool has_line(const char *output, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = output; line; line = strchr(line, '\n')) {
        line += *line == '\n' ? 1 : 0;
        if (!strncmp(line, name, length) && strchr(" \n", line[length]))
            return true;
    }
    return false;
}

/* Says what changed since the last query, and remembers it. */
static void compare(const char *output, const struct hosts *hosts, bool *drains)
{
    for (uint32_t i = 0; i < hosts->count; i++) {
        if (has_line(output, hosts->list[i].name) == drains[i])
            continue;
        drains[i] = !drains[i];
        printf("%s %s\n", drains[i] ? "drain" : "undrain", hosts->list[i].name);
    }
}

/* Asks; *pause_s until it is time to ask again: the later the answer, the longer. */
static bool ask(char *const *command, struct quick_result *result, double *pause_s)
{
    double begin_s = clock_now_s();
    bool answered = quick_run(command, query_limit_s, result, NULL) == ONWARD_OK &&
                    !result->timed_out && result->exit_status == 0;
    *pause_s = slow_factor * (clock_now_s() - begin_s);
    *pause_s = *pause_s < interval_s ? interval_s : *pause_s;
    *pause_s = *pause_s < longest_interval_s ? *pause_s : longest_interval_s;
    return answered;
}

/* The hosts of the job and of those that joined, as Slurm reads them; the caller's to free(). NULL:
 * there are none, or no memory. */
static char *list_nodes(struct hosts *hosts)
{
    const char *own = getenv("SLURM_JOB_NODELIST");
    char *joined = slurm_joined_names(), *list = NULL;
    if (!own || !joined || asprintf(&list, "%s%s", own, joined) < 0)
        list = NULL;
    free(joined);
    if (list && hosts_parse_list(list, "SLURM_JOB_NODELIST", hosts, NULL) == ONWARD_OK)
        return list;
    free(list);
    return NULL;
}

int slurm_watch(void)
{
    static struct quick_result result;
    struct hosts hosts = {.list = NULL};
    char *list = slurm_is_inside() ? list_nodes(&hosts) : NULL;
    if (!list)
        return EXIT_USAGE;
    bool *drains = calloc(hosts.count, sizeof *drains);
    char *const command[] = {(char *)"sinfo", (char *)"-hN", (char *)"-t",
                             (char *)"drain", (char *)"-n",  list,
                             (char *)"-o",    (char *)"%N",  NULL};
    int code = drains ? 0 : 1;
    while (code == 0) {
        double pause_s;
        if (ask(command, &result, &pause_s))
            compare(result.output, &hosts, drains);
        code = finish_output(0);
        sleep_s(pause_s);
    }
    free(drains);
    free(list);
    hosts_clear(&hosts);
    return code;
}

/* "RUNNING n0 n[1-3]": is the node of the script, the second, none of the job's, the third? */
static bool has_lost_script(char *line)
{
    char state[32], node[HOSTS_NAME_BYTES];
    struct hosts hosts = {.list = NULL};
    int list = 0;
    line[strcspn(line, "\n")] = '\0';
    if (sscanf(line, "%31s %255s %n", state, node, &list) != 2 || list == 0 ||
        strcmp(state, "RUNNING") != 0 ||
        hosts_parse_list(line + list, "nodes", &hosts, NULL) != ONWARD_OK)
        return false;
    bool lost = true;
    for (uint32_t i = 0; i < hosts.count; i++)
        lost = lost && strcmp(hosts.list[i].name, node) != 0;
    hosts_clear(&hosts);
    return lost;
}

int slurm_deputize(void)
{
    static struct quick_result result;
    char *const command[] = {
        (char *)"squeue", (char *)"-h",       (char *)"-j", (char *)slurm_job(),
        (char *)"-o",     (char *)"%T %B %N", NULL};
    if (!slurm_job())
        return EXIT_USAGE;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        double pause_s;
        if (ask(command, &result, &pause_s) && has_lost_script(result.output)) {
            slurm_requeue();
            return 0;
        }
        sleep_s(pause_s);
    }
}
