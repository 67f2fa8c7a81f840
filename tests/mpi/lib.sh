# lib.sh - what the scenarios of tests/mpi share. Each scenario is a shell script NAME.mpi that
# sources this file; the build gives $builddir and $srcdir. Verdicts come from the run directory
# (the survivors' record), never from mpirun's exit status.
set -eu
srcdir=${srcdir:-.}
builddir=${builddir:-.}
name=$(basename "$0" .mpi)
command -v mpirun >/dev/null || { echo "no mpirun here"; exit 77; }
mpirun --version | grep -q 'Open MPI) [5-9]' || { echo "Open MPI 5 or later is needed"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/onward-$name.XXXXXX")
ONWARD_LOCAL_DIR=$(mktemp -d /dev/shm/onward-test.XXXXXX)
unmount() { :; } # a scenario that mounts something has one of its own
end_scenario() {
    status=$?
    pkill -KILL -f "$work" 2>/dev/null || true
    unmount
    rm -rf "$ONWARD_LOCAL_DIR"
    found_nothing || status=1
    [ $status != 0 ] || rm -rf "$work"
    exit $status
}
trap end_scenario EXIT
export ONWARD_DIR=$work ONWARD_LOCAL_DIR
export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
onward=$builddir/onward
trial=$builddir/trial

# In a build with sanitizers a finding ends the process, which onward takes for the loss of a member,
# and goes on. So findings go to files, and one that is there fails the scenario.
reports=$work.reports
slower=1 # so many times as slow
if grep -q '^#define HAVE_SANITIZERS' "$builddir/config.h" 2>/dev/null; then
    slower=4
    mkdir "$reports"
    # A crash is reported before Open MPI hears of it. Leaks of others are told from ours by whole stacks.
    ASAN_OPTIONS=log_path=$reports/of:abort_on_error=1:handle_segv=2:handle_sigbus=2:handle_sigfpe=2:handle_sigill=2
    ASAN_OPTIONS=$ASAN_OPTIONS:detect_stack_use_after_return=1:fast_unwind_on_malloc=0:verify_asan_link_order=0
    UBSAN_OPTIONS=log_path=$reports/of:abort_on_error=1:print_stacktrace=1
    LSAN_OPTIONS=suppressions=$(cd "$(dirname "$0")" && pwd)/leaks.supp:print_suppressions=0
    PMIX_MCA_gds='hash' # its shared memory may lie where the shadow is
    export ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS PMIX_MCA_gds
fi
limit_s=${limit_s:-$((60 * slower))}
# What the sanitizers found; not that the search for leaks crashed, which that of clang 14 does at times.
findings() {
    [ ! -d "$reports" ] || grep -rLE 'Tracer caught signal|LeakSanitizer has encountered' "$reports" || true
}
found_nothing() {
    [ -d "$reports" ] || return 0
    found=$(findings)
    # Some process may have had another environment.
    if [ -z "$found" ] && ! grep -rhsE 'Sanitizer: |: runtime error: ' "$work"/*.log "$work"/*/logs; then
        rm -r "$reports"
        return 0
    fi
    echo "FAIL: the sanitizers found something"
    cat $found
    return 1
}

fail() { echo "FAIL: $*"; for f in "$work"/*.log; do echo "--- $f"; tail -n 40 "$f"; done; exit 1; }

# launch TASK WORKERS FAULTS [trial's arguments]: mpirun as the launcher starts it
launch() {
    task=$1 workers=$2 faults=$3; shift 3
    root=; [ "$(id -u)" = 0 ] && root=--allow-run-as-root
    # shellcheck disable=SC2086
    ONWARD_TASK=$task ONWARD_INJECT=$faults exec timeout -s KILL "$limit_s" \
        mpirun $root --prtemca prte_local_tmpdir_base "$work" --with-ft ulfm -n $((workers + 1)) --map-by :OVERSUBSCRIBE --bind-to none \
        --mca pml ob1 --mca coll ^han --mca btl_tcp_if_include lo --mca async_mpi_finalize 1 \
        --prtemca state_base_recoverable 1 --mca mpi_yield_when_idle 1 "$trial" "$@" </dev/null >"$work/$task.log" 2>&1
}

# without_ranks PID: ends an mpirun that has had no rank for 10 s: once all of them ended with a failure
# it sometimes waits for ever. A launcher would end it; here nobody does.
without_ranks() {
    idle=0
    while [ $idle -lt 40 ]; do
        sleep 0.25
        if pgrep -P "$(pgrep -P "$1" || echo 0)" >/dev/null; then idle=0; else idle=$((idle + 1)); fi
    done
    : >"$work/hung"
    kill_all "$1"
}

# start ...: runs to the end; mpirun's status, for what it is worth, in $status
start() {
    status=0
    launch "$@" &
    started=$!
    without_ranks $started &
    watcher=$!
    wait $started || status=$?
    kill $watcher 2>/dev/null || true
    wait $watcher 2>/dev/null || true
    [ $status != 137 ] || [ -e "$work/hung" ] || [ -e "$ONWARD_DIR/$1/complete.json" ] || fail "$1 did not end in $limit_s s"
    rm -f "$work/hung"
}
start_in_background() { launch "$@" & }

# await SECONDS COMMAND...: until it succeeds
await() {
    tries=$(($1 * 20 * slower)); shift
    until "$@" 2>/dev/null; do
        tries=$((tries - 1)); [ $tries -gt 0 ] && [ -z "$(findings)" ] || fail "waited in vain for: $*"
        sleep 0.05
    done
}
# kill_all PID: SIGKILL to it and all below it, in one call, as the loss of a host does
kill_all() {
    tree=$1 new=$1
    while [ -n "$new" ]; do
        below=
        for pid in $new; do below="$below $(pgrep -P "$pid" || true)"; done
        new=$(echo $below) tree="$tree $new"
    done
    # shellcheck disable=SC2086
    kill -KILL $tree 2>/dev/null || true
}
request() { # TASK JSON: as an operator would, by atomic rename
    printf '%s\n' "$2" >"$work/$1/requests/.new"
    mv "$work/$1/requests/.new" "$work/$1/requests/1.json"
}

flip() { # FILE: one bit in its middle
    middle=$(($(stat -c %s "$1") / 2))
    byte=$(od -An -tu1 -j "$middle" -N 1 "$1")
    printf '%b' "\\0$(printf '%03o' $((byte ^ 4)))" | dd of="$1" bs=1 seek="$middle" conv=notrunc 2>/dev/null
}

completed() { [ -e "$work/$1/complete.json" ] || fail "$1 has no completion record"; }
sum() { "$onward" ckpt sum --dir "$work" "$1" 2>"$work/sum.err" || fail "no sum of $1: $(cat "$work/sum.err")"; }
equal() { [ "$(sum "$1")" = "$(sum "$2")" ] || fail "$1 and $2 differ"; }
events() { grep -c "\"event\": *\"$2\"" "$work/$1/events.jsonl" || true; }
warned() { # TASK TEXT
    grep '"event": *"warning"' "$work/$1/events.jsonl" | grep -q -- "$2" || fail "$1: no warning: $2"
}
lost() { [ "$(events "$1" lost)" = "$2" ] || fail "$1 lost $(events "$1" lost) members, expected $2"; }
no_steps_lost() { ! grep -q '"steps_lost": *[1-9]' "$work/$1/events.jsonl" || fail "$1 lost steps"; }
steps_of() { grep -o '"step": *[0-9]*' "$work/$1/status.json" | grep -o '[0-9]*$' || echo 0; }
