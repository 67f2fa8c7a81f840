/* verb.h - the verbs of the command, and what their options have in common.
 *
 * A verb gets its own argv (argv[0] is its name) and returns the exit status. Options are read with
 * argp; a bad one ends the process with one line and status 2. */
#ifndef LAUNCH_VERB_H
#define LAUNCH_VERB_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

struct verb {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
};

int verb_run(int argc, char **argv);
int verb_train(int argc, char **argv);
int verb_farm(int argc, char **argv);
int verb_gang(int argc, char **argv);
int verb_resume(int argc, char **argv);
int verb_submit(int argc, char **argv);
int verb_join(int argc, char **argv);
int verb_import(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_stop(int argc, char **argv);
int verb_scale(int argc, char **argv);
int verb_drain(int argc, char **argv);
int verb_undrain(int argc, char **argv);
int verb_checkpoint(int argc, char **argv);
int verb_ckpt(int argc, char **argv);
int verb_drill(int argc, char **argv);
int verb_doctor(int argc, char **argv);

/* Reads argv by argp, and makes its failures one line and status 2. name: "onward run". */
void options_parse(const struct argp *argp, const char *name, int argc, char **argv, void *input);
/* For a parser: says "onward: TEXT" and ends the process with status 2. */
void options_refuse(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* A whole number from low to high, as the value of `option`; refuses anything else. */
int64_t options_number(const char *option, const char *text, int64_t low, int64_t high);
/* A number of seconds above 0, up to high. */
double options_seconds(const char *option, const char *text, double high);

/* Options of verbs that look at tasks: --dir, --json (where show_json), and the task. */
struct task_options {
    const char *directory; /* NULL: the default */
    bool json;
    const char *task; /* NULL: none was given */
};
/* A child parser for them; its input is a struct task_options. It takes the first argument as the
 * task; further arguments are the parent's to refuse. */
extern const struct argp task_argp;

/* The same for --wait, of verbs that wait for an answer; wait_s is the default before. */
struct wait_options {
    double wait_s;
};
extern const struct argp wait_argp;

#endif
