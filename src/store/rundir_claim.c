/* rundir_claim.c - who owns the task, and under which incarnation.
 *
 * The owner holds an open-file-description lock on the file `lock`: it goes with the process
 * however that ends, it does not go to children (the descriptor closes on exec), and over NFS it
 * goes with the host. The file itself says who the owner is, for the message that others get.
 * incarnation.json holds the newest incarnation; whoever works under an older one is fenced. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rundir_internal.h"

/* The newest incarnation, 0 where there is none. */
struct claim {
    int64_t incarnation, start; /* of mpirun, for which it was claimed */
    bool is_own;                /* by this process */
};

static bool is_own(const json_t *root)
{
    char host[RUNDIR_HOST_BYTES] = "";
    const char *owner = json_string_value(json_object_get(root, "host"));
    gethostname(host, sizeof host - 1);
    return owner && strcmp(owner, host) == 0 &&
           json_integer_value(json_object_get(root, "pid")) == (json_int_t)getpid();
}

static int read_claim(const struct rundir *rundir, struct claim *claim, struct error *error)
{
    json_t *root;
    *claim = (struct claim){.incarnation = 0};
    int code = rundir_read_json(rundir, "incarnation.json", &root, error);
    if (code == ONWARD_ERR_NOT_FOUND)
        return ONWARD_OK;
    if (code != ONWARD_OK)
        return code;
    json_int_t number = json_integer_value(json_object_get(root, "incarnation"));
    claim->start = json_integer_value(json_object_get(root, "start"));
    claim->is_own = is_own(root);
    json_decref(root);
    if (number < 1)
        return error_set(error, ONWARD_ERR_CORRUPT,
                         "%s/incarnation.json: expected \"incarnation\" of at least 1",
                         rundir->path);
    claim->incarnation = number;
    return ONWARD_OK;
}

int rundir_newest_incarnation(const struct rundir *rundir, int64_t *incarnation,
                              struct error *error)
{
    struct claim claim;
    int code = read_claim(rundir, &claim, error);
    *incarnation = claim.incarnation;
    return code;
}

static json_t *describe_owner(int64_t incarnation, int64_t start)
{
    char host[RUNDIR_HOST_BYTES] = "", time[40];
    gethostname(host, sizeof host - 1);
    time_text(time, sizeof time);
    return json_pack("{s:s, s:I, s:I, s:I, s:s}", "host", host, "pid", (json_int_t)getpid(),
                     "incarnation", (json_int_t)incarnation, "start", (json_int_t)start, "time",
                     time);
}

int rundir_read_owner(const struct rundir *rundir, char *host, int64_t *pid, struct error *error)
{
    json_t *root;
    int code = rundir_read_json(rundir, "lock", &root, error);
    if (code != ONWARD_OK)
        return code;
    const char *name = json_string_value(json_object_get(root, "host"));
    if (!name || !*name || strlen(name) >= RUNDIR_HOST_BYTES)
        code = error_set(error, ONWARD_ERR_CORRUPT, "%s/lock: expected \"host\", the owner's",
                         rundir->path);
    else
        strcpy(host, name);
    *pid = json_integer_value(json_object_get(root, "pid"));
    json_decref(root);
    return code;
}

static int report_owner(const struct rundir *rundir, struct error *error)
{
    char host[RUNDIR_HOST_BYTES] = "unknown";
    int64_t pid = 0;
    rundir_read_owner(rundir, host, &pid, NULL);
    return error_set(error, ONWARD_ERR_IN_USE,
                     "task %s is in use by process %lld on host %s (%s): expected a task that "
                     "nobody runs",
                     rundir->task, (long long)pid, host, rundir->path);
}

static int take_lock(struct rundir *rundir, struct error *error)
{
    char path[PATH_MAX];
    int code = file_join(path, sizeof path, rundir->path, "lock", error);
    if (code != ONWARD_OK)
        return code;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s", path);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
        rundir->lock_fd = fd;
        return ONWARD_OK;
    }
    int problem = errno;
    close(fd);
    if (problem == EAGAIN || problem == EACCES)
        return report_owner(rundir, error);
    return error_set_errno(error, ONWARD_ERR_IO, problem, "%s: cannot be locked", path);
}

int rundir_is_owned(const struct rundir *rundir, bool *owned, struct error *error)
{
    char path[PATH_MAX];
    *owned = false;
    int code = file_join(path, sizeof path, rundir->path, "lock", error);
    if (code != ONWARD_OK)
        return code;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ONWARD_OK
                               : error_set_errno(error, ONWARD_ERR_IO, errno, "%s", path);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0)
        code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s", path);
    else
        *owned = lock.l_type != F_UNLCK;
    close(fd);
    return code;
}

/* Says in the lock file who we are. Written in place: a new file would not be the locked one. It
 * only serves messages, so a failure (a full disk) is no reason not to run. */
static void sign_lock(const struct rundir *rundir, int64_t incarnation)
{
    json_t *owner = describe_owner(incarnation, rundir->start);
    char *text = owner ? json_dumps(owner, JSON_COMPACT) : NULL;
    if (text && ftruncate(rundir->lock_fd, 0) == 0) {
        ssize_t written = pwrite(rundir->lock_fd, text, strlen(text), 0);
        (void)written;
    }
    free(text);
    json_decref(owner);
}

void rundir_name_start(struct rundir *rundir, int64_t start)
{
    rundir->start = start;
}

/* That the claim was for this start, or the member has none to name: one that has a number is of a
 * launcher that claims with it, and a claim without one is another's. */
static int check_start(const struct rundir *rundir, int64_t start, int64_t claimed,
                       struct error *error)
{
    if (start == 0 || claimed == start)
        return ONWARD_OK;
    return error_set(error, ONWARD_ERR_FENCED,
                     "task %s: start %lld of mpirun was given up for start %lld", rundir->task,
                     (long long)start, (long long)claimed);
}

static int check_newest(const struct rundir *rundir, int64_t incarnation, int64_t newest,
                        struct error *error)
{
    if (newest <= incarnation)
        return ONWARD_OK;
    return error_set(error, ONWARD_ERR_FENCED,
                     "%s: incarnation %lld took over from incarnation %lld", rundir->path,
                     (long long)newest, (long long)incarnation);
}

/* Whoever holds the lock may have lost it without a word: that of a host that is cut off goes to
 * another one in time, over NFS. A claim of this process whose writing failed late is its own. */
static int check_owner(const struct rundir *rundir, bool had_lock, const struct claim *newest,
                       struct error *error)
{
    return had_lock && !newest->is_own
               ? check_newest(rundir, rundir->incarnation, newest->incarnation, error)
               : ONWARD_OK;
}

int rundir_claim(struct rundir *rundir, int64_t *incarnation, struct error *error)
{
    struct claim newest = {.incarnation = 0};
    bool had_lock = rundir->lock_fd >= 0;
    int code = had_lock ? ONWARD_OK : take_lock(rundir, error);
    if (code != ONWARD_OK)
        return rundir_judge_access(code, error);
    code = read_claim(rundir, &newest, error);
    if (code == ONWARD_OK)
        code = check_owner(rundir, had_lock, &newest, error);
    int64_t next = newest.incarnation + 1;
    if (code == ONWARD_OK)
        code = rundir_write_json(rundir, "incarnation.json", describe_owner(next, rundir->start),
                                 NULL, error);
    if (code == ONWARD_OK) {
        sign_lock(rundir, next);
        rundir->incarnation = *incarnation = next;
    } else if (!had_lock) {
        close(rundir->lock_fd);
        rundir->lock_fd = -1;
    }
    return rundir_judge_access(code, error);
}

int rundir_join(struct rundir *rundir, int64_t incarnation, int64_t start, struct error *error)
{
    struct claim newest;
    int code = read_claim(rundir, &newest, error);
    if (code != ONWARD_OK)
        return code;
    if (incarnation < 1 || incarnation > newest.incarnation)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: incarnation %lld was never started here, the newest is %lld",
                         rundir->path, (long long)incarnation, (long long)newest.incarnation);
    code = check_newest(rundir, incarnation, newest.incarnation, error);
    if (code == ONWARD_OK)
        code = check_start(rundir, start, newest.start, error);
    if (code == ONWARD_OK)
        rundir->incarnation = incarnation;
    return code;
}

int rundir_check_fence(const struct rundir *rundir, struct error *error)
{
    int64_t newest;
    int code = rundir_newest_incarnation(rundir, &newest, error);
    if (code != ONWARD_OK)
        return code;
    if (rundir->incarnation == 0)
        return error_set(error, ONWARD_ERR_ORDER, "%s: neither claimed nor joined", rundir->path);
    return check_newest(rundir, rundir->incarnation, newest, error);
}

static int check_fence(const void *rundir, struct error *error)
{
    return rundir_check_fence(rundir, error);
}

struct fence rundir_fence(const struct rundir *rundir)
{
    return (struct fence){check_fence, rundir};
}
