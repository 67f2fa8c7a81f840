/* supervise_internal.h - what the two halves of the supervisor share: supervise.c, which watches an
 * incarnation, and restart.c, which decides what comes after it. */
#ifndef LAUNCH_SUPERVISE_INTERNAL_H
#define LAUNCH_SUPERVISE_INTERNAL_H

#include "budget.h"
#include "child.h"
#include "detector.h"
#include "host_watch.h"
#include "losses.h"
#include "move.h"
#include "output.h"
#include "plain.h"
#include "progress.h"
#include "refill.h"
#include "returns.h"
#include "room.h"
#include "slurm_news.h"
#include "supervise.h"
#include "watch.h"
#include "words.h"

enum outcome {
    OUTCOME_COMPLETE,  /* the completion record is there */
    OUTCOME_ENDED,     /* the controller says that the task ended otherwise */
    OUTCOME_GONE,      /* mpirun went away without either */
    OUTCOME_SILENT,    /* the controller says nothing any more, or never did */
    OUTCOME_MOVE,      /* hosts come or go, and the task did not stop for it in time */
    OUTCOME_CUT_OFF,   /* a host or a member is silent, and cannot be got rid of otherwise */
    OUTCOME_UNSTARTED, /* the system had no process, memory or descriptor for mpirun */
    OUTCOME_POISON,    /* one subtask of one step ended worker after worker */
    OUTCOME_SIGNAL     /* a signal, and it could not be stopped in time */
};

struct supervisor {
    const struct supervise_settings *settings;
    struct supervise_result *result;
    struct child child;
    struct watch watch;
    struct plain plain;
    struct output output, error_output;
    struct progress_events events;
    bool epoch_shown; /* of this incarnation */
    struct detector detector;
    struct room room;
    char cut_off[192]; /* OUTCOME_CUT_OFF: what is silent; OUTCOME_UNSTARTED: why */
    struct budget budget;
    struct host_watch host_watch;
    bool is_waiting;    /* for hosts: no controller is there to be asked */
    int request_code;   /* how the last look for a request went */
    bool stops_waiting; /* an operator stopped the task meanwhile */
    struct slurm_news slurm_news;
    struct move move;
    struct refill refill;
    struct returns returns;
    double joins_next_s; /* when to look for jobs that join or leave */
    bool is_planned;     /* the start that is on its way: no failure led to it */
    bool lost_nothing;   /* neither that, nor did a host that it was to use fail */
    struct loss_streak losses;
    double turned_s; /* when the loop last came round */
    double begun_s;  /* when this incarnation was started */
    double opened_s; /* how long the slowest start took until its first status; 0: not known */
    double seen_s;   /* when this incarnation showed its first status; 0: not yet */
    double leaves_until_s;   /* the task ends, and members write their state to their hosts */
    double restores_until_s; /* the state is taken in, and nothing need be heard meanwhile */
    double down_s;           /* when the one before went down; 0: there is none */
    int signal_fd, log_fd;
    char log[4096];      /* its path */
    bool is_started;     /* mpirun of the next incarnation, see early.c */
    bool has_started;    /* mpirun of any: something of the task may be anywhere */
    int64_t start_count; /* how often it was started again, each with a number */
    int64_t incarnation;
    int signal;                         /* the first that asked us to end; 0: none */
    int signal_count;                   /* how many this process itself got */
    double stop_asked_s;                /* when the task was asked to stop for it */
    bool stop_fails, stop_is_taken;     /* it could not be asked; it has begun to stop */
    int64_t best_step, best_checkpoint; /* of the incarnations before */
    bool owes_checkpoint;               /* one that was accepted is not committed yet */
    int64_t owed_step;                  /* it is of this step, or a later one */
};

/* Waits for a signal, output, or a short time. */
void supervise_turn(struct supervisor *s);
/* The first signal asks the task to stop. Of those that this process got itself, `is_own`, a second
 * one ends it. */
void supervise_take_signal(struct supervisor *s, int number, bool is_own);
/* The same for so long, or until a signal ends it all. */
void supervise_pause(struct supervisor *s, double seconds);
/* The next start of mpirun gets a number, which its members find in their environment. Before
 * allot_command, which hands the environment on. */
void supervise_name_start(struct supervisor *s);
/* Asks the task (again, after a new start) to stop. */
void supervise_ask_to_stop(struct supervisor *s);
/* A signal, and no time is left to stop well. */
bool supervise_must_end(const struct supervisor *s);
/* How long a task may take to stop: one that has not begun to, or one that has. */
double supervise_stop_limit_s(const struct supervisor *s, bool is_taken);

/* A warning in the event log. */
void supervise_warn(struct supervisor *s, const char *text);
/* Of a host that an operator named; the operator may wait for the answer (NULL: of none). */
void supervise_warn_of_host(struct supervisor *s, const char *host, const char *text);

/* The next request, where no controller takes it. False: there is none; a file that is none was
 * moved away, with a warning in the event log. */
bool supervise_take_request(struct supervisor *s, struct run_request *request);

/* The program has opened its task, as its status or its heartbeats tell. */
bool supervise_has_opened(const struct supervisor *s);
/* How long a controller may say nothing. */
double supervise_silent_limit_s(const struct supervisor *s);
/* How long an incarnation may take until the program has opened its task. */
double supervise_start_limit_s(const struct supervisor *s);

/* Starts mpirun under that incarnation. */
int supervise_start(struct supervisor *s, int64_t incarnation, struct error *error);
/* Ends it, with everything below it. */
void supervise_kill(struct supervisor *s);

/* early.c: the next incarnation is started on the hosts that are believed to live, while they are
 * asked. False: none was. */
bool early_begin(struct supervisor *s);
/* With the answers there: true when the start may go on, else it is ended. */
bool early_settle(struct supervisor *s, bool wanted);

/* One subtask of the step at which the task stands ended so many workers that no other is tried. */
bool restart_is_poisoned(const struct supervisor *s);

/* host_changes.c: hosts that come and go, by the file or by an operator's request. */
void host_changes_look(struct supervisor *s);
void host_changes_event(struct supervisor *s, const json_t *event);
/* The hosts of a request that names such as come; the caller's to clear. False: it does not. */
bool host_changes_parse(const char *text, struct hosts *hosts);
/* Answers a request in the event log where no controller does; reason: why it is refused, or NULL.
 */
void host_changes_answer(struct supervisor *s, const struct run_request *request,
                         const char *reason);
/* Asks the new incarnation for what the one before had accepted, and took along. */
void host_changes_ask_again(struct supervisor *s);
/* What Slurm says: signals to the job's steps, nodes that are to be drained. */
void host_changes_slurm(struct supervisor *s);

/* waiting.c: fewer workers than the minimum fit on the hosts that answer. Waits for --wait at most,
 * or until somebody wants the task to stop; returns how many members fit then. */
uint32_t waiting_for_hosts(struct supervisor *s, int64_t incarnation, uint32_t members);

/* Before the first start: asks the hosts, says which cannot be used, makes the command. Fewer
 * workers than the minimum are ONWARD_ERR_INPUT for a new task without --wait, and where a host's
 * name is none; else they are waited for, and it ends without a start if they do not come. */
int restart_begin(struct supervisor *s, bool *starts, struct error *error);

/* This side cannot go on: the run directory says so, unless it is another's by now. */
void restart_fail(struct supervisor *s, const struct error *error);

/* After an incarnation: either the task ended, with the result filled in, or all is ready for the
 * next one and *again. */
int restart_decide(struct supervisor *s, enum outcome outcome, bool *again, struct error *error);

#endif
