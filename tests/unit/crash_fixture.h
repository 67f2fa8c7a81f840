/* crash_fixture.h - for the tests that kill a writer: a story runs in a child under ptrace, which
 * is killed as it enters its k-th system call, whichever of its threads that is, or is watched for
 * the order of its calls. Included by one program a time, behind store_fixture.h. */
#ifndef TESTS_CRASH_FIXTURE_H
#define TESTS_CRASH_FIXTURE_H

#include "store_fixture.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* A fork costs very much with the memory of the address sanitizer, which is there to look at the
 * code and not at the order of its calls: then a sample is killed. */
enum { CALLS_APART = HAS_ADDRESS_SANITIZER ? 16 : 1 };
enum { MAX_CALLS = 4096, MAX_THREADS = 16 };

static pid_t
    stopped; /* the thread of the child that goes on with its next call; 0: none is known */
static uint64_t arguments[6]; /* of the call that it enters */

static pid_t start_traced(int (*run)(void))
{
    int status = 0;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(77);
        raise(SIGSTOP);
        _exit(run() == ONWARD_OK ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSTOPPED(status));
    ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, child, NULL,
                            PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE),
                     0);
    return stopped = child;
}

/* Waits for whatever thread of the child comes to something; false when all of it has ended, which
 * must be well. */
static bool wait_for_any(pid_t child, int *status)
{
    stopped = waitpid(-1, status, __WALL);
    ck_assert_int_gt(stopped, 0);
    if (WIFSTOPPED(*status))
        return true;
    ck_assert_msg(stopped != child || (WIFEXITED(*status) && WEXITSTATUS(*status) == 0),
                  "status %x", *status);
    bool is_over = stopped == child;
    stopped = 0;
    return !is_over;
}

/* Runs on to where a thread of the child enters its next system call, and returns its number; -1
 * when the child has ended instead. */
static long next_call(pid_t child)
{
    struct __ptrace_syscall_info info = {0};
    int status = 0;
    for (;;) {
        if (stopped != 0)
            ck_assert_int_eq(ptrace(PTRACE_SYSCALL, stopped, NULL, NULL), 0);
        if (!wait_for_any(child, &status))
            return -1;
        if (stopped == 0 || WSTOPSIG(status) != (SIGTRAP | 0x80))
            continue; /* a thread that begins, or has ended */
        ck_assert_int_gt(ptrace(PTRACE_GET_SYSCALL_INFO, stopped, sizeof info, &info), 0);
        if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
            continue;
        memcpy(arguments, info.entry.args, sizeof arguments);
        return (long)info.entry.nr;
    }
}

/* The threads first, and what they had come to does not matter. */
static void wait_for_death(pid_t child)
{
    pid_t ended = 0;
    while (ended != child) {
        int status = 0;
        ended = waitpid(-1, &status, __WALL);
        ck_assert_int_gt(ended, 0);
        if (WIFSTOPPED(status))
            ended = 0;
    }
}

/* False when the story has fewer than k calls. */
static bool kill_at_call(int (*run)(void), int k)
{
    pid_t child = start_traced(run);
    for (int i = 0; i < k; i++)
        if (next_call(child) < 0)
            return false;
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    wait_for_death(child);
    return true;
}

static bool is_rename(long call)
{
#ifdef SYS_rename
    if (call == SYS_rename)
        return true;
#endif
#ifdef SYS_renameat
    if (call == SYS_renameat)
        return true;
#endif
    return call == SYS_renameat2;
}

static bool is_removal(long call)
{
#ifdef SYS_unlink
    if (call == SYS_unlink)
        return true;
#endif
    return call == SYS_unlinkat;
}

/* What the call that is entered would remove. The page behind its first one may not be there. */
static const char *removed_name(long call)
{
    enum { PAGE_BYTES = 4096, NAME_BYTES = 512 };
    static char name[NAME_BYTES + 1];
    uint64_t address = arguments[call == SYS_unlinkat];
    size_t first = PAGE_BYTES - address % PAGE_BYTES;
    first = first < NAME_BYTES ? first : NAME_BYTES;
    struct iovec here = {name, NAME_BYTES};
    struct iovec there[] = {{(void *)(uintptr_t)address, first},
                            {(void *)(uintptr_t)(address + first), NAME_BYTES - first}};
    memset(name, 0, sizeof name);
    ck_assert_int_gt(process_vm_readv(stopped, &here, 1, there, 2, 0), 0);
    return name;
}

static bool ends_in(const char *name, const char *ending)
{
    size_t length = strlen(name), ending_length = strlen(ending);
    return length >= ending_length && strcmp(name + length - ending_length, ending) == 0;
}

/* Shards are named in their directory. */
static bool is_shard(const char *name)
{
    return strstr(name, "-of-") != NULL;
}

static bool is_master(const char *name)
{
    return strstr(name, "ckpt/step-") && ends_in(name, ".h5") && !is_shard(name);
}

static bool is_write(long call)
{
    return call == SYS_write || call == SYS_pwrite64 || call == SYS_ftruncate;
}

/* What a thread of the child did since its last rename. */
struct thread_order {
    pid_t thread;
    bool is_synced;  /* all that it wrote */
    bool is_pending; /* its rename was not synced yet */
    bool is_gone;    /* a master that it removed, and that was not synced yet */
};

static struct thread_order *order_of(struct thread_order *orders, pid_t thread)
{
    int i = 0;
    while (orders[i].thread != 0 && orders[i].thread != thread)
        ck_assert_int_lt(++i, MAX_THREADS);
    orders[i].thread = thread;
    return &orders[i];
}

static bool any_is_pending(const struct thread_order *orders)
{
    for (int i = 0; i < MAX_THREADS; i++)
        if (orders[i].is_pending)
            return true;
    return false;
}

/* A master goes for good before its shards do. */
static void note_removal(struct thread_order *order, long call, int *masters)
{
    const char *name = is_removal(call) ? removed_name(call) : "";
    ck_assert_msg(!order->is_gone || !is_shard(name),
                  "a shard is removed before the removal of its master is synced");
    *masters += is_master(name);
    order->is_gone = is_master(name) || (order->is_gone && call != SYS_fsync);
}

/* What a crash of the whole machine needs: each thread syncs what it renames, and the rename after
 * that; with the last rename, that of the master, all others are on the disk, and it is there
 * itself before any file goes; and a removal is synced between master and shards. */
static void expect_synced_order(int (*run)(void), int expected, int removals)
{
    struct thread_order orders[MAX_THREADS] = {{0}};
    int renames = 0, masters = 0;
    pid_t child = start_traced(run);
    for (long call = next_call(child); call >= 0; call = next_call(child)) {
        struct thread_order *order = order_of(orders, stopped);
        if (is_rename(call)) {
            ck_assert_msg(order->is_synced, "a file is renamed before it is synced");
            ck_assert_msg(!order->is_pending, "the rename before was not synced");
            renames++;
            ck_assert_msg(renames < expected || !any_is_pending(orders),
                          "the master is put in place before the rename of a shard is synced");
        }
        ck_assert_msg(!is_removal(call) || !any_is_pending(orders),
                      "a file is removed before a rename is synced");
        note_removal(order, call, &masters);
        order->is_pending = is_rename(call) || (order->is_pending && call != SYS_fsync);
        order->is_synced =
            !is_rename(call) && !is_write(call) && (order->is_synced || call == SYS_fsync);
    }
    ck_assert(!any_is_pending(orders));
    ck_assert_int_eq(renames, expected);
    ck_assert_int_eq(masters, removals);
}

static bool may_trace(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 77);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* The main of such a program, but for its tests. Exit status 77 (skipped) where a child may not be
 * traced. */
static int run_crashes(const char *name, void (*add)(TCase *tests), void (*make)(void),
                       void (*free_all)(void))
{
    if (!may_trace()) {
        puts("skipped: a process may not trace its child here");
        return 77;
    }
    Suite *suite = suite_create(name);
    TCase *tests = tcase_create("crash");
    tcase_add_checked_fixture(tests, make, free_all);
    tcase_set_timeout(tests, 480);
    add(tests);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}

#endif
