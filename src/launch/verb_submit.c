/* verb_submit.c - onward submit: writes a job script for Slurm and submits it.
 *
 * What stands before `--' is sbatch's, and goes into the script as it is; what stands behind it is
 * a launching verb with its arguments. The script has what a task needs that outlives its nodes:
 * --no-kill, a signal to the script itself in time for a checkpoint, a log that is appended to, and
 * --requeue, by which onward puts the job back into the queue when it was stopped. */
#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "find.h"
#include "quick.h"
#include "say.h"
#include "verb.h"

enum { SIGNAL_S = 120 };

static const double submit_limit_s = 60;
static const char *const launching[] = {"train", "run", "farm", "resume"};

struct submit_input {
    bool prints;
    char **options; /* sbatch's */
    int option_count;
    char **words; /* verb and arguments */
    int word_count;
};

static int print_help(void)
{
    puts("Usage: onward submit [--print] [SBATCH OPTION...] -- train|run|farm|resume ARGUMENT...\n"
         "Writes a job script for Slurm that trains through lost nodes, time limits and "
         "preemption,\n"
         "and submits it.\n\n"
         "  --print   print the script, and submit nothing");
    return finish_output(0);
}

static bool is_launching(const char *verb)
{
    for (size_t i = 0; i < sizeof launching / sizeof *launching; i++)
        if (!strcmp(launching[i], verb))
            return true;
    return false;
}

static void read_input(int argc, char **argv, struct submit_input *input)
{
    int i = 1;
    for (; i < argc && !strcmp(argv[i], "--print"); i++)
        input->prints = true;
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
    if (input->word_count < 1)
        options_refuse("submit: expected -- and what to run, as in `onward submit -N 4 -- train "
                       "mnist.yaml'");
    if (!is_launching(input->words[0]))
        options_refuse("submit: %s: expected train, run, farm or resume behind --",
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

static void write_script(FILE *script, const struct submit_input *input, const char *onward)
{
    char name[64];
    make_name(input, name, sizeof name);
    fputs("#!/bin/sh\n#SBATCH --job-name=", script);
    write_option(script, name);
    fprintf(script,
            "\n#SBATCH --no-kill              # a lost node does not end the job\n"
            "#SBATCH --requeue              # nor does the loss of the one this script runs on\n"
            "#SBATCH --open-mode=append     # one log for all starts\n"
            "#SBATCH --signal=B:TERM@%d    # in time for a checkpoint\n",
            SIGNAL_S);
    write_options(script, input);
    fputs("exec ", script);
    write_word(script, onward);
    fprintf(script, " %s --requeue", input->words[0]);
    for (int i = 1; i < input->word_count; i++) {
        putc(' ', script);
        write_word(script, input->words[i]);
    }
    putc('\n', script);
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

static int hand_over(const char *path)
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
        exit_code = hand_over(path);
    else
        say("%s: %m", path);
    unlink(path);
    return exit_code;
}

int verb_submit(int argc, char **argv)
{
    struct submit_input input = {.prints = false};
    char path[PATH_MAX];
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-?")))
        return print_help();
    read_input(argc, argv, &input);
    const char *onward = own_name(path, sizeof path);
    if (!input.prints)
        return submit(&input, onward);
    write_script(stdout, &input, onward);
    return finish_output(0);
}
