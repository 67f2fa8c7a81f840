/* slurm_news.h - what Slurm does to a job while it runs, as far as the job script is not told:
 * signals to the job's steps (scancel --signal, preemption), and nodes that are to be drained. */
#ifndef LAUNCH_SLURM_NEWS_H
#define LAUNCH_SLURM_NEWS_H

#include <stdbool.h>
#include <sys/types.h>

#include "places.h"

enum { SLURM_NEWS_SOURCES = 3, SLURM_NEWS_LINE_BYTES = 512 };

/* Zeroed: nothing is listened to. */
struct slurm_news {
    struct slurm_news_source {
        int fd; /* 0: none */
        pid_t pid;
        char line[SLURM_NEWS_LINE_BYTES];
        size_t used;
    } sources[SLURM_NEWS_SOURCES];
};

/* What came: a signal's number, or a host and whether it is being drained (or no longer is). */
struct slurm_news_item {
    int signal;
    char host[HOSTS_NAME_BYTES];
    bool drains;
};

/* Starts to listen, by children of this process, which may be killed with all others; none where
 * this is no job of Slurm. `places` with the agent and the usable hosts. */
void slurm_news_start(struct slurm_news *news, const struct places *places);

/* The next item; false: nothing new. Never blocks. */
bool slurm_news_take(struct slurm_news *news, struct slurm_news_item *item);

/* Is a signal to the job's steps listened for? */
bool slurm_news_may_come(const struct slurm_news *news);

/* Stops to listen; the processes are the caller's to end (child_kill_all). */
void slurm_news_stop(struct slurm_news *news);

/* The other ends, in onward-host. hear: waits in a job step for a signal, and prints "signal N".
 * watch: asks Slurm again and again which nodes of the job are being drained, and prints "drain
 * HOST" and "undrain HOST" as it changes; never returns otherwise than by a signal or a broken
 * pipe. */
int slurm_hear(void);
int slurm_watch(void);

/* The deputy of the launcher on another node: asks Slurm again and again whether the job still has
 * the node that its script runs on. Once it has not, puts the job back into the queue and returns:
 * with --no-kill Slurm would let the rest of the job run on, with nobody to lead it. */
int slurm_deputize(void);

#endif
