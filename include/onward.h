/* onward.h - the public interface of libonward: an MPI loop that outlives its processes.
 *
 * A program opens a task, protects its arrays, and asks for one step after the other:
 *
 *     struct onward_options options;
 *     onward_options_init(&options);
 *     options.subtask_count = 16;
 *     options.step_count = 1000;
 *     if (onward_open(MPI_COMM_NULL, &options, &ow) != ONWARD_OK) ...
 *     onward_protect(ow, "weights", w, ONWARD_FLOAT, 2, dims, ONWARD_REPLICATED | ONWARD_ATOMIC);
 *     while (onward_next(ow, &role) == ONWARD_STEP) {
 *         onward_sum_begin(ow, ONWARD_FLOAT, length);
 *         for (uint32_t k = role.first; k < role.first + role.count; k++)
 *             onward_sum_add(ow, k, contribution_of(k));
 *         if (onward_sum_end(ow, total) == ONWARD_OK)
 *             update(w, total);
 *     }
 *     return onward_close(ow);
 *
 * Words: a task is the job, a step one round over its subtasks, a member one process, the lineup
 * the ordered workers of an epoch, a role what a worker is in it. See onward-recovery(7).
 *
 * Every function returns an enum onward_error (or, for onward_next, an enum onward_verdict) unless
 * it says otherwise. None is safe to call from two threads on the same handle. None prints or
 * exits, with one exception that onward_open documents (a member that is stuck beyond its limit).
 */
#ifndef ONWARD_H
#define ONWARD_H

/* ONWARD_WITHOUT_MPI leaves only what needs no MPI: errors, types, limits. */
#ifndef ONWARD_WITHOUT_MPI
#include <mpi.h>
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ONWARD_API __attribute__((visibility("default")))

/* The one table of errors: X(name, number, message). The number is part of the interface. */
#define ONWARD_ERROR_MAP(X)                                                                        \
    X(OK, 0, "success")                                                                            \
    X(ERR_ARGUMENT, -1, "an argument is out of its range")                                         \
    X(ERR_MEMORY, -2, "out of memory")                                                             \
    X(ERR_MPI, -3, "an MPI call failed")                                                           \
    X(ERR_NO_FAULT_TOLERANCE, -4, "MPI runs without fault tolerance")                              \
    X(ERR_LOST, -5, "a member was lost; this step will be done again")                             \
    X(ERR_ORDER, -6, "the call does not fit the state of the task")                                \
    X(ERR_INPUT, -7, "bad input")                                                                  \
    X(ERR_IO, -8, "a file could not be read or written")                                           \
    X(ERR_NO_SPACE, -9, "no space is left on the device")                                          \
    X(ERR_CORRUPT, -10, "a file is damaged")                                                       \
    X(ERR_NOT_FOUND, -11, "not found")                                                             \
    X(ERR_IN_USE, -12, "the task is in use by a living controller")                                \
    X(ERR_OTHER_TASK, -13, "the run directory belongs to another task")                            \
    X(ERR_FENCED, -14, "a newer incarnation of the task exists")                                   \
    X(ERR_TOO_FEW, -15, "fewer workers than the minimum")                                          \
    X(ERR_STOPPED, -16, "the task was stopped and can be resumed")                                 \
    X(ERR_GAVE_UP, -17, "the task cannot go on")                                                   \
    X(ERR_LIMIT, -18, "a limit was reached")                                                       \
    X(ERR_TIMEOUT, -19, "a deadline passed")

enum onward_error {
#define ONWARD_ERROR_ENUM(name, number, message) ONWARD_##name = (number),
    ONWARD_ERROR_MAP(ONWARD_ERROR_ENUM)
#undef ONWARD_ERROR_ENUM
};

/* What onward_next asks of the caller. Negative values are enum onward_error. */
enum onward_verdict {
    ONWARD_DONE = 0,  /* the task is complete: leave the loop and close */
    ONWARD_STEP = 1,  /* do the step that the role describes */
    ONWARD_FINISH = 2 /* every step is complete: do the final work (only if options.wants_finish) */
};

enum onward_type {
    ONWARD_FLOAT = 1,
    ONWARD_DOUBLE,
    ONWARD_INT32,
    ONWARD_INT64,
    ONWARD_UINT64,
    ONWARD_BYTE
};

enum onward_protect_flags {
    ONWARD_REPLICATED =
        1,             /* every worker holds the whole array, with the same bits after each step */
    ONWARD_ATOMIC = 2, /* onward_protect: a step changes it only after its last communication, and
                          only while onward_ok() holds; without this the library keeps a copy */
    ONWARD_SHARDED = 4 /* what onward_shard protects: each worker holds a part; not to be given */
};

enum { ONWARD_MAX_DIMS = 8, ONWARD_MAX_ARRAYS = 256, ONWARD_MAX_NAME_BYTES = 64 };

/* What takes the role of a lost worker. */
enum onward_replace {
    ONWARD_REPLACE_NONE,  /* nobody: the others share its subtasks */
    ONWARD_REPLACE_SPARE, /* a spare, if there is one */
    ONWARD_REPLACE_SPAWN  /* a spare, else a process that the controller spawns */
};

struct onward; /* one member's handle on the task */

/* Of one worker's part of an array; and of all parts of all arrays, which are in one checkpoint. */
enum { ONWARD_MAX_SLABS = 64, ONWARD_MAX_ALL_SLABS = 1 << 20 };

/* A part of a global array, as HDF5's hyperslabs: in each dimension `count` blocks of `block`
 * elements, one every `stride` elements, from `start` on. What would reach beyond the array is cut
 * off, so the last block of a block-cyclic layout needs no care. count or block 0: an empty part.
 */
struct onward_slab {
    uint64_t start[ONWARD_MAX_DIMS], stride[ONWARD_MAX_DIMS];
    uint64_t count[ONWARD_MAX_DIMS], block[ONWARD_MAX_DIMS];
};

/* A member that has or can have work, for a service. */
struct onward_member {
    uint32_t member;
    bool works;       /* in the lineup; else spare or drained, and to be given nothing new */
    const char *host; /* the library's, until the next call of the service */
};

/* A task whose work is given out in messages, as a farm's, and not done by all workers together. A
 * step is then whatever the service counts. The member that is the controller serves: it calls
 * these functions from onward_control, or, where a worker took over, from onward_next and
 * onward_poll, one at a time. None may block for longer than a fraction of a second but lead, which
 * has a few. What such a task has reached must be safe in files before it is counted.
 * Every function but idle is needed. */
struct onward_service {
    void *context; /* handed to each */
    /* This member is the controller from now on. Returns how many steps are complete, read from
     * files of the run directory, or a negative enum onward_error, which ends the task. */
    int64_t (*lead)(void *context);
    /* An epoch opened: all members that are workers, in no order. Others are gone for good, and
     * what was sent before and has not arrived is lost. */
    void (*members)(void *context, const struct onward_member *members, uint32_t count);
    /* A worker sent this. */
    void (*request)(void *context, uint32_t member, const void *bytes, size_t size);
    /* Time, at least 50 times a second, more while messages come. Returns how many steps are
     * complete, never fewer than before; at options.step_count the task ends. */
    int64_t (*serve)(void *context);
    /* On a worker: the controller sent this. */
    void (*answer)(void *context, const void *bytes, size_t size);
    /* On a worker: an epoch opened. What it sent before and was not answered may be lost. */
    void (*changed)(void *context);
    /* On a worker that waits in onward_next, every few milliseconds; NULL: nothing. */
    void (*idle)(void *context);
};

enum { ONWARD_MAX_MESSAGE_BYTES = 65000 };

/* Settings. onward_options_init fills in the defaults, then what the launcher handed down in the
 * environment (ONWARD_TASK, ONWARD_DIR, ...); a program sets what it knows better. Strings are
 * borrowed until onward_open returns. */
struct onward_options {
    const char *task;            /* task ID: letters, digits, '.', '_', '-'; at most 63 bytes */
    const char *directory;       /* where run directories are: the task's is directory/task */
    const char *local_directory; /* of this host, better in memory: where the state of the newest
                                    complete step outlives the processes; default /dev/shm */
    uint32_t subtask_count; /* pieces of a step; a property of the task, never of the machine */
    int64_t step_count;     /* the task is complete after so many steps */
    int min_workers;        /* fewer than this and the task gives up, resumable */
    int max_workers;        /* more than this stay spare; 0: subtask_count */
    int spare_count;        /* registered members to keep out of the lineup */
    enum onward_replace replace;
    const char *hosts; /* NAME:SLOTS,... where members may be spawned; NULL or "": this host */
    int64_t checkpoint_steps;      /* a checkpoint every so many steps; 0: none by steps */
    double checkpoint_s;           /* a checkpoint every so many seconds; 0: none by time */
    bool checkpoint_auto;          /* the interval follows cost and failures (Young, Daly) */
    int64_t local_steps;           /* of a task with sharded state: a copy on the host every so many
                                      steps; 0: as often as it costs 1 % of the time */
    int checkpoint_keep;           /* committed checkpoints to keep, at least 1 */
    int64_t checkpoint_keep_every; /* besides them those of every so many steps; 0: none */
    const char
        *checkpoint_keep_best; /* and the best by a metric, NAME:min or NAME:max; NULL: none */
    double end_time_s;     /* seconds since 1970 at which the time of the job is over: before it a
                              checkpoint is taken, and the task stops, resumable; 0: never */
    bool wants_finish;     /* onward_next returns ONWARD_FINISH after the last step */
    bool wants_ft;         /* refuse to open without ULFM; off: lost processes end the run */
    double reform_limit_s; /* a member stuck longer than this in an epoch change ends itself */
    const char *inject;    /* faults to rehearse, see onward(1) --inject; NULL or "": none */
    const char *program;   /* what the run directory calls the program */
    const struct onward_service *service; /* borrowed until onward_close; NULL: steps are done by
                                             all workers together. With one, the settings of
                                             checkpoints mean nothing */
};

#ifndef ONWARD_WITHOUT_MPI

/* What a worker is in this epoch. Valid until the next call of onward_next. */
struct onward_role {
    MPI_Comm comm;  /* the team: the workers of this epoch in order of rank; do not free */
    int rank, size; /* place in the lineup */
    uint32_t first; /* the subtasks of this worker are first .. first+count-1 */
    uint32_t count; /* may be 0 */
    int64_t step;   /* the step to do, from 0; equals the number of complete steps */
    int64_t epoch;  /* number of this lineup, from 1 */
    bool changed;   /* first step of this role: comm is new, protected arrays may have new bits */
};

/* Fills in defaults and the launcher's environment. Local. */
ONWARD_API void onward_options_init(struct onward_options *options);

/* Opens the task. base: an intracommunicator over all members, which stays the caller's, or
 * MPI_COMM_NULL, and then MPI is initialised here (MPI_THREAD_FUNNELED) and ended by onward_close.
 * Collective over base. On success *ow is the caller's to close; on failure *ow is NULL and
 * nothing was changed. The text of a failure is onward_text(NULL).
 * Member 0 of base becomes the controller. base's error handler is left alone.
 * SIGPIPE is ignored from here on where its action was the default one, since a write to a dead
 * member's socket must not end this one.
 * A process that exits while its task goes on is a loss to the others: since MPI tells them of none
 * that exits, it flushes its output and ends by SIGKILL instead (fault tolerance alone).
 * A member that is stuck in an MPI call of an epoch change for longer than reform_limit_s kills
 * its process with SIGKILL, since no other way out of such a call exists.
 * Errors: ARGUMENT, MPI, NO_FAULT_TOLERANCE, INPUT, IN_USE, OTHER_TASK, IO, TOO_FEW. */
ONWARD_API int onward_open(MPI_Comm base, const struct onward_options *options, struct onward **ow);

/* Whether this member was opened as the controller. Such a member calls onward_control instead of
 * the loop. Local. */
ONWARD_API bool onward_is_controller(const struct onward *ow);

/* Runs the controller until the task ends; sleeps while nothing happens. Returns OK when the task
 * is complete, else STOPPED, TOO_FEW, GAVE_UP, FENCED or IO. */
ONWARD_API int onward_control(struct onward *ow);

/* Protects an array: its bits are checkpointed, and brought to every worker after a change of the
 * lineup. dims: ndims extents, outermost first (row-major). The memory stays the caller's and must
 * live, at the same address, until onward_close. Names are unique. Call before the first
 * onward_next, with the same arguments in the same order on all workers. Local.
 * Errors: ARGUMENT, ORDER, LIMIT, MEMORY. */
ONWARD_API int onward_protect(struct onward *ow, const char *name, void *data,
                              enum onward_type type, int ndims, const uint64_t *dims,
                              unsigned flags);

/* Allocates a protected array in the library's memory: as onward_protect, but nothing is copied, no
 * contract has to be kept, and the state outlives the processes: after the loss of a host, or of
 * all members, the task goes on from the newest complete step, as long as every array of the task
 * is of this kind or protected without ONWARD_ATOMIC, and one host of that step is there again.
 * flags: ONWARD_REPLICATED. *array (if not negative) is the array's number on this handle. The
 * initial values, zeros at first, are written before the first onward_next. Needs twice the size of
 * the array in options.local_directory; where it cannot be had, the memory ends with the process,
 * and the event log has a warning. Local. Errors: ARGUMENT, ORDER, LIMIT, MEMORY. */
ONWARD_API int onward_alloc(struct onward *ow, const char *name, enum onward_type type, int ndims,
                            const uint64_t *dims, unsigned flags, int *array);

/* The array after the last complete step; before the first onward_next its initial values. At a
 * multiple of 64 bytes; the library's, valid until the next onward_next. NULL: no such array.
 * Local. */
ONWARD_API const void *onward_read(const struct onward *ow, int array);

/* Where this step puts the next state of the array: it becomes the state when the step completes,
 * and is dropped with a step that is thrown away. Its content is undefined until it is written, and
 * it has to be written wholly; the same address for each call in a step. An array for which a step
 * does not call this keeps its state. Before the first onward_next: the initial values. Valid until
 * the next onward_next. NULL (ORDER) outside of a step, or (ARGUMENT) when there is no such array
 * of onward_alloc. Local. */
ONWARD_API void *onward_write(struct onward *ow, int array);

/* Says which part of a sharded array the worker role->rank of role->size owns: fills in slabs
 * (ONWARD_MAX_SLABS of them, each the whole array at first, so that only the dimensions that are
 * split have to be set) and returns how many, 0 for an empty part, or a negative enum onward_error
 * where there is no layout for so many workers. The parts of all ranks must cover the array and not
 * overlap, and all parts of all arrays have at most ONWARD_MAX_ALL_SLABS hyperslabs. A first start
 * with a lineup for which they do not is bad input; later on, after a loss or for a wish of the
 * operator's, the largest smaller lineup of at least --min workers for which they do works, the
 * others are spares, and where there is none the task ends as for bad input. It is called inside of
 * onward_next for each rank of a lineup, also for lineups that do not come about in the end: it
 * must follow from rank and size (and what is the same in every process) alone, call neither MPI
 * nor onward's handle, and keep nothing. Of role only rank and size are set. */
typedef int onward_layout(void *context, const struct onward_role *role, struct onward_slab *slabs);

/* Protects sharded state: a global array of `ndims` extents of which each worker holds one part,
 * which layout describes (borrowed, with its context, until onward_close). The memory is the
 * library's. At role->changed the array was laid out anew for the new lineup: onward_part has
 * another address and size then, and holds the bits of the step to do; at role->step 0 zeros, and
 * the program writes the initial values. A step may change the part in place at any time.
 * What a lost worker held comes from the newest checkpoint of any level that is whole, and the
 * steps since are done again; replicated arrays of the task go back to that step with it. A layout
 * is a callback, not a call after the change, because a change that meets another loss begins again
 * with yet another lineup before the program could be asked. *array (if not negative) is the
 * array's number. Call as onward_protect. Local. Errors: ARGUMENT, ORDER, LIMIT. */
ONWARD_API int onward_shard(struct onward *ow, const char *name, enum onward_type type, int ndims,
                            const uint64_t *dims, onward_layout *layout, void *context, int *array);

/* This worker's part: the elements of its slabs one slab behind the other, each slab row-major as a
 * dense array of the elements it selects (a ScaLAPACK array, column-major, is the part of an array
 * of dims {columns, rows}). At a multiple of 64 bytes; the library's, valid until the next
 * onward_next. *count (may be NULL): how many elements. NULL: no such array, or an empty part.
 * Local. */
ONWARD_API void *onward_part(const struct onward *ow, int array, uint64_t *count);

/* What any HDF5 tool shows for a protected array of a checkpoint: the names of its dimensions
 * (comma separated, outermost first, at most 63 bytes) and its unit (at most 23 bytes); NULL or "":
 * none. Before the first onward_next, the same on all workers. Local. Errors: ARGUMENT, ORDER. */
ONWARD_API int onward_describe(struct onward *ow, const char *name, const char *dimensions,
                               const char *unit);

/* Ends the step before (if any) and asks for the next. Returns ONWARD_STEP, ONWARD_FINISH,
 * ONWARD_DONE, or a negative error after which only onward_close may follow. When a member was
 * lost, this call forms the lineup again together with all others, brings the state to the newest
 * complete step, and returns with role->changed. A step during which a loss was seen is discarded.
 * Waits while this member is spare; a member that takes over as the controller serves from inside
 * this call. Collective only when the lineup changed; costs about a microsecond else. */
ONWARD_API int onward_next(struct onward *ow, struct onward_role *role);

/* False once a loss was seen in this step: what follows is thrown away, leave early. Local. */
ONWARD_API bool onward_ok(const struct onward *ow);

/* The canonical sum over all subtasks: the same bits for any number of workers. begin on every
 * worker of the lineup with the same type (ONWARD_FLOAT or ONWARD_DOUBLE) and length (elements);
 * then add for each own subtask in ascending order (contribution: length elements, copied before
 * the call returns); then end, collective over the team, which writes length elements to total on
 * every worker. The additions follow a fixed binary tree over the subtask numbers (doc/sum.md).
 * A worker without subtasks calls begin and end. end returns ERR_LOST, and leaves total undefined,
 * when a member was lost. Errors: ARGUMENT, ORDER, MEMORY, LOST. */
ONWARD_API int onward_sum_begin(struct onward *ow, enum onward_type type, size_t length);
ONWARD_API int onward_sum_add(struct onward *ow, uint32_t subtask, const void *contribution);
/* Where the contribution of the next subtask may be built in place; pass it to onward_sum_add,
 * which then does not copy. NULL outside of begin..end. */
ONWARD_API void *onward_sum_buffer(struct onward *ow);
ONWARD_API int onward_sum_end(struct onward *ow, void *total);

/* For a program with a service, inside of a step, as often as it can, at most some 50 ms apart:
 * takes messages, and where this worker is the controller serves. False when the step is to be left
 * for onward_next: the lineup changes, or the task ends. Local; takes microseconds. */
ONWARD_API bool onward_poll(struct onward *ow);

/* For a program with a service: a message from a worker to the controller (member 0), which becomes
 * a call of request, or from the controller to a worker, which becomes a call of answer, at once
 * where both are this process. Copied; arrives, in the order of sending, unless the lineup changes.
 * Errors: ARGUMENT (more than ONWARD_MAX_MESSAGE_BYTES), ORDER, NOT_FOUND (no such member), LIMIT
 * (too many are under way: again later), MEMORY, LOST. Local. */
ONWARD_API int onward_send(struct onward *ow, uint32_t member, const void *bytes, size_t size);

/* The task ends with this code (STOPPED: it can be resumed; GAVE_UP: it failed) and text, of which
 * 255 bytes are kept. From a service; or, without one, from a step that cannot be done and would
 * fail again wherever it is done: on all workers, which then call onward_next, where the step does
 * not count and the end is waited for. Local. */
ONWARD_API void onward_give_up(struct onward *ow, int code, const char *text);

/* A line for the event log, at most 255 bytes. Local. */
ONWARD_API void onward_warn(struct onward *ow, const char *text);

/* Hands a number to status, events and progress (for example "loss"): the newest value of up to 8
 * names is kept. Those of rank 0 count. Whether the highest or the lowest value is the best, by
 * which a checkpoint is kept, options.checkpoint_keep_best says. Local, cheap. */
ONWARD_API int onward_metric(struct onward *ow, const char *name, double value);

/* Absolute path of the task's run directory; valid until onward_close. Local. */
ONWARD_API const char *onward_run_directory(const struct onward *ow);

/* Closes the handle; NULL is allowed. If onward_open initialised MPI it is ended here, without
 * MPI_Finalize where a loss was seen (it may hang then). Returns what the task came to, which
 * onward_exit_code turns into an exit status: OK when it is complete. */
ONWARD_API int onward_close(struct onward *ow);

/* What, where and what was expected: the text of the last failure on this handle, or, for NULL, of
 * the last failed onward_open of this process. Never NULL. */
ONWARD_API const char *onward_text(const struct onward *ow);

#endif /* ONWARD_WITHOUT_MPI */

/* Helpers for layouts; dimension d of the slab becomes the share of worker `rank` of `size` of
 * `extent` elements. block: contiguous, balanced to within one element, the larger ones first;
 * cyclic: blocks of `block` elements dealt out in turn, as ScaLAPACK does with source 0. Local,
 * thread-safe. */
ONWARD_API void onward_slab_block(struct onward_slab *slab, int d, uint64_t extent, int rank,
                                  int size);
ONWARD_API void onward_slab_cyclic(struct onward_slab *slab, int d, uint64_t extent, uint64_t block,
                                   int rank, int size);

/* Exit status for an error: 0 complete, 2 bad input (a damaged file is, too), 69 too few workers,
 * 75 resumable, 1 else. */
ONWARD_API int onward_exit_code(int error);

/* Name ("ONWARD_ERR_IO") and message of an error number; never NULL. Local, thread-safe. */
ONWARD_API const char *onward_error_name(int error);
ONWARD_API const char *onward_error_message(int error);

/* Version of the library, "major.minor.patch". */
ONWARD_API const char *onward_version(void);

#ifdef __cplusplus
}
#endif
#endif
