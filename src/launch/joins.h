/* joins.h - jobs of Slurm that lend their hosts to a running task. `onward join', in such a job,
 * puts a file into the run directory, and takes it away when the hosts are to be free again; the
 * launcher looks for these files, and answers in the event log.
 *
 *     joins/JOB.json      {"job": "12", "hosts": "n2:2,n3:2"} */
#ifndef LAUNCH_JOINS_H
#define LAUNCH_JOINS_H

#include "rundir.h"

struct supervisor;

/* Puts the file there, or takes it away; what was not there is no error. */
int joins_put(const struct rundir *rundir, const char *job, const char *hosts, struct error *error);
void joins_withdraw(const struct rundir *rundir, const char *job);

/* The launcher: looks now and then (`now`: at once) which jobs came and went, and marks their hosts
 * as coming and as leaving. */
void joins_look(struct supervisor *s, bool now);
/* A host of that job was let go of: says so, where it was the last one of it. */
void joins_left(struct supervisor *s, const char *job);

#endif
