/* verb_submit.c - onward submit: writes a job script for Slurm and submits it.
 *
 * What stands before `--' is sbatch's, and goes into the script as it is; what stands behind it is
 * a launching verb with its arguments. The script has what a task needs that outlives its nodes:
 * --no-kill, a signal to the script itself in time for a checkpoint, a log that is appended to, and
 * --requeue, by which onward puts the job back into the queue when it was stopped. With --join the
 * script lends the job's nodes to a task that runs in another job. */
#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "find.h"
#include "join_check.h"
#include "quick.h"
#include "rundir.h"
#include "say.h"
#include "slurm_task.h"
#include "verb.h"

/* The time limit is looked at by onward itself, which knows what a checkpoint costs; the signal is
 * for a preemption, and for who sets another limit meanwhile. */
enum { SIGNAL_S = 10 };

static const double submit_limit_s = 60;
static const char *const launching[] = {"train", "run", "farm", "gang", "resume"};

struct submit_input {
    bool prints;
    struct task_options join;      /* the task to be joined, if any */
    char base[PATH_MAX];           /* where its run directory is */
    char used[RUNDIR_HOSTS_BYTES]; /* the hosts that it has already; "": not known */
    char **options;                /* sbatch's */
    int option_count;
    char **words; /* verb and arguments */
    int word_count;
};

static int print_help(void)
{
    puts("Usage: onward submit [--print] [SBATCH OPTION...] -- train|run|farm|gang|resume "
         "ARGUMENT...\n"
         "  or:  onward submit [--print] --join TASK [--dir DIR] [SBATCH OPTION...]\n"
         "Writes a job script for Slurm that trains through lost nodes, time limits and "
         "preemption,\n"
         "or that lends its nodes to a running task, and submits it.\n\n"
         "  --print      print the script, and submit nothing\n"
         "  --join TASK  lend the nodes of the job to TASK, which runs in another job\n"
         "  --dir DIR    where its run directory is (default $ONWARD_DIR or ./onward-runs)");
    return finish_output(0);
}

static bool is_launching(const char *verb)
{
    for (size_t i = 0; i < sizeof launching / sizeof *launching; i++)
        if (!strcmp(launching[i], verb))
            return true;
    return false;
}

/* The value of an option of ours that stands at *i, which moves to it. */
static const char *take_value(int argc, char **argv, int *i)
{
    if (*i + 1 >= argc)
        options_refuse("submit: %s: expected %s behind it", argv[*i],
                       !strcmp(argv[*i], "--join") ? "a TASK" : "a directory");
    return argv[++*i];
}

/* Ours go before sbatch's. Returns where those begin. */
static int read_own(int argc, char **argv, struct submit_input *input)
{
    int i = 1;
    for (; i < argc; i++)
        if (!strcmp(argv[i], "--print"))
            input->prints = true;
        else if (!strcmp(argv[i], "--join"))
            input->join.task = take_value(argc, argv, &i);
        else if (!strcmp(argv[i], "--dir"))
            input->join.directory = take_value(argc, argv, &i);
        else
            break;
    if (input->join.directory && !input->join.task)
        options_refuse("submit: --dir: expected --join beside it, or behind -- and the verb");
    return i;
}

static void read_input(int argc, char **argv, struct submit_input *input)
{
    int i = read_own(argc, argv, input);
    input->options = argv + i;
    while (i < argc && strcmp(argv[i], "--") != 0) {
        if (strpbrk(argv[i], "\n\r") || (strchr(argv[i], '\'') && strchr(argv[i], '"')))
            options_refuse("submit: option %d of sbatch: expected one line, without both kinds of "
                           "quotes",
                           input->option_count + 1);
        input->option_count++;
        i++;
    }
    input->words = argv + i + 1;
    input->word_count = argc - i - 1;
    if (input->join.task && i < argc)
        options_refuse("submit: --join: expected no -- and verb: nothing new is started");
    if (!input->join.task && input->word_count < 1)
        options_refuse("submit: expected -- and what to run, as in `onward submit -N 4 -- train "
                       "mnist.yaml'");
    if (!input->join.task && !is_launching(input->words[0]))
        options_refuse("submit: %s: expected train, run, farm, gang or resume behind --",
                       input->words[0]);
}

/* As a shell reads it. */
static void write_word(FILE *script, const char *word)
{
    static const char plain[] = "_-./:=,+@%";
    bool is_plain = *word != '\0';
    for (const char *c = word; *c; c++)
        is_plain = is_plain && (isalnum((unsigned char)*c) || strchr(plain, *c));
    if (is_plain) {
        fputs(word, script);
        return;
    }
    putc('\'', script);
    for (const char *c = word; *c; c++)
        fputs(*c == '\'' ? "'\\''" : (char[]){*c, '\0'}, script);
    putc('\'', script);
}

/* As sbatch reads it: no escapes, but quotes of two kinds. */
static void write_option(FILE *script, const char *option)
{
    const char *quote =
        strpbrk(option, " \t'\"#\\") || !*option ? (strchr(option, '\'') ? "\"" : "'") : "";
    fprintf(script, "%s%s%s", quote, option, quote);
}

/* An option's value, which may be a word of its own, stands on the same line. */
static void write_options(FILE *script, const struct submit_input *input)
{
    for (int i = 0; i < input->option_count; i++) {
        bool is_option = input->options[i][0] == '-';
        fputs(is_option || i == 0 ? (i ? "\n#SBATCH " : "#SBATCH ") : " ", script);
        write_option(script, input->options[i]);
    }
    if (input->option_count)
        putc('\n', script);
}

/* The name of what is trained or run, for the job. */
static void make_name(const struct submit_input *input, char *name, size_t name_bytes)
{
    if (input->join.task) {
        snprintf(name, name_bytes, "join-%.50s", input->join.task);
        return;
    }
    const char *last = input->words[0];
    for (int i = 1; i < input->word_count; i++)
        if (!strcmp(input->words[i], "--") && i + 1 < input->word_count) {
            last = input->words[i + 1];
            break;
        } else if (input->words[i][0] != '-' && strcmp(input->words[0], "run") != 0) {
            last = input->words[i];
        }
    const char *slash = strrchr(last, '/');
    snprintf(name, name_bytes, "%s", slash ? slash + 1 : last);
    if (name[strcspn(name, ".")] && strcspn(name, ".") > 0)
        name[strcspn(name, ".")] = '\0';
}

static void write_command(FILE *script, const struct submit_input *input, const char *onward)
{
    fputs("exec ", script);
    write_word(script, onward);
    if (input->join.task) {
        fputs(" join --dir ", script);
        write_word(script, input->base);
        putc(' ', script);
        write_word(script, input->join.task);
    } else {
        fprintf(script, " %s --requeue", input->words[0]);
        for (int i = 1; i < input->word_count; i++) {
            putc(' ', script);
            write_word(script, input->words[i]);
        }
    }
    putc('\n', script);
}

static void write_script(FILE *script, const struct submit_input *input, const char *onward)
{
    char name[64];
    make_name(input, name, sizeof name);
    fputs("#!/bin/sh\n#SBATCH --job-name=", script);
    write_option(script, name);
    fputs("\n#SBATCH --no-kill              # a lost node does not end the job\n", script);
    if (!input->join.task)
        fputs("#SBATCH --requeue              # nor does the loss of the one this script runs on\n"
              "#SBATCH --open-mode=append     # one log for all starts\n",
              script);
    fprintf(script,
            "#SBATCH --signal=B:TERM@%-2d     # the last call; onward knows the time limit\n",
            SIGNAL_S);
    if (input->used[0]) {
        fputs("#SBATCH --exclude=", script);
        write_option(script, input->used);
        putc('\n', script);
    }
    write_options(script, input);
    write_command(script, input, onward);
}

/* This program: by its name, where PATH leads to it. */
static const char *own_name(char *path, size_t path_bytes)
{
    char found[PATH_MAX], real[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, path_bytes - 1);
    path[length > 0 ? length : 0] = '\0';
    bool by_name = find_program("onward", found, sizeof found, NULL) == ONWARD_OK &&
                   realpath(found, real) && !strcmp(real, path);
    return by_name || length <= 0 ? "onward" : path;
}

static int hand_over(const char *path, const char *task)
{
    static struct quick_result result;
    struct error error;
    char *const command[] = {(char *)"sbatch", (char *)"--parsable", (char *)path, NULL};
    if (quick_run(command, submit_limit_s, &result, &error) != ONWARD_OK)
        return say_error(&error);
    if (result.exit_status != 0) {
        say("sbatch: %s", result.timed_out     ? "no answer in time"
                          : *result.error_line ? result.error_line
                                               : "it failed and did not say why");
        return result.timed_out ? 1 : EXIT_USAGE;
    }
    result.output[strcspn(result.output, ";\n")] = '\0';
    if (task)
        printf("job %s is submitted; its nodes join task %s when it starts\n", result.output, task);
    else
        printf("job %s is submitted; `onward status %s' shows its task\n", result.output,
               result.output);
    return finish_output(0);
}

static int submit(const struct submit_input *input, const char *onward)
{
    const char *base = getenv("TMPDIR");
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.3000s/onward-submit-XXXXXX", base && *base ? base : "/tmp");
    int fd = mkostemp(path, O_CLOEXEC);
    FILE *script = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!script) {
        say("%s: %m", path);
        if (fd >= 0)
            close(fd);
        return 1;
    }
    write_script(script, input, onward);
    int exit_code = 1;
    if (fclose(script) == 0)
        exit_code = hand_over(path, input->join.task);
    else
        say("%s: %m", path);
    unlink(path);
    return exit_code;
}

/* The task must run, and the job may run elsewhere: its directory is given as a whole path. */
static int check_join(struct submit_input *input, struct error *error)
{
    static char found[RUNDIR_TASK_BYTES];
    struct rundir *rundir = NULL;
    if (slurm_task_find(input->join.directory, input->join.task, found))
        input->join.task = found;
    int code = join_check(&input->join, &rundir, error);
    if (code == ONWARD_OK && !slurm_task_hosts(rundir, input->used, sizeof input->used))
        input->used[0] = '\0';
    rundir_close(rundir);
    if (code == ONWARD_OK)
        code = rundir_base(input->join.directory, input->base, sizeof input->base, error);
    return code;
}

int verb_submit(int argc, char **argv)
{
    static struct submit_input input;
    struct error error;
    char path[PATH_MAX];
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-?")))
        return print_help();
    read_input(argc, argv, &input);
    if (input.join.task && check_join(&input, &error) != ONWARD_OK)
        return say_error(&error);
    const char *onward = own_name(path, sizeof path);
    if (!input.prints)
        return submit(&input, onward);
    write_script(stdout, &input, onward);
    return finish_output(0);
}
