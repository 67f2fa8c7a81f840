/* main.c - onward: finds the verb and hands over. The table below is the list of verbs. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "say.h"
#include "verb.h"

static const struct verb verbs[] = {
    {"run", "run a program under supervision until its task is complete", verb_run},
    {"train", "train a model that a configuration file describes", verb_train},
    {"farm", "run independent commands, each exactly once, on all workers", verb_farm},
    {"gang", "run a command once a rank, as torchrun does", verb_gang},
    {"resume", "go on with a task that was stopped or died", verb_resume},
    {"submit", "write and submit a job script for Slurm", verb_submit},
    {"join", "lend the hosts of this job of Slurm to a running task", verb_join},
    {"status", "show how a task stands, or list tasks", verb_status},
    {"stop", "ask a task to stop, resumable", verb_stop},
    {"checkpoint", "ask a task for a checkpoint now", verb_checkpoint},
    {"scale", "ask a task to go on with so many workers", verb_scale},
    {"drain", "take a host or a member out of the lineup of a task", verb_drain},
    {"undrain", "let a drained host or member work again", verb_undrain},
    {"drill", "let random faults happen to a running task", verb_drill},
    {"ckpt", "list, show, sum, verify, remove or export the checkpoints of a task", verb_ckpt},
    {"import", "make a data file from IDX or CSV files", verb_import},
    {"doctor", "check whether training with recovery works here", verb_doctor},
};

static int print_help(void)
{
    puts("Usage: onward VERB [OPTION...] [ARGUMENT...]\n"
         "Keeps MPI training going when processes fail.\n");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        printf("  %-11s %s\n", verbs[i].name, verbs[i].summary);
    puts("\n  --help      this text; `onward VERB --help' shows the options of a verb\n"
         "  --version   the version\n\n"
         "Exit status: 0 complete, 1 failed, 2 usage or bad input, 69 too few workers,\n"
         "75 stopped and can be resumed, 128+n the launcher got signal n.");
    return finish_output(0);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        say("expected a verb, such as run, train or status; `onward --help' lists them");
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-?") || !strcmp(argv[1], "help"))
        return print_help();
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
        printf("onward %s\n", PACKAGE_VERSION);
        return finish_output(0);
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (!strcmp(argv[1], verbs[i].name))
            return verbs[i].run(argc - 1, argv + 1);
    say("%s: no such verb; `onward --help' lists them", argv[1]);
    return EXIT_USAGE;
}
