# shellcheck shell=sh
# farm.sh - what the scenarios of `onward farm' and `onward gang' share, behind lib.sh.
ONWARD_MPIRUN=$(command -v mpirun)
export ONWARD_MPIRUN

# farm TASK STATUS ARGUMENTS: to its end, which has to be this exit status
farm() {
    task=$1 expected=$2; shift 2
    status=0
    timeout -s KILL "$limit_s" "$onward" farm --task "$task" "$@" \
        >"$work/$task.out" 2>"$work/$task.log" </dev/null || status=$?
    [ "$status" = "$expected" ] || fail "$task ended with $status, expected $expected"
}

# The final records of the journal, each subtask once, and none else.
settled_once() { # TASK SUBTASKS
    "$builddir/journal" "$work/$1/journal" "$2" 2>/dev/null |
        awk '$2 != "tried" && $2 != "lost" { print $1 }' | sort -n >"$work/$1.settled"
    seq "$2" | cmp -s - "$work/$1.settled" || fail "$1: the journal does not have each subtask once"
}
kinds() { # TASK SUBTASKS KIND: how many records of it
    "$builddir/journal" "$work/$1/journal" "$2" 2>/dev/null | awk -v k="$3" '$2 == k' | wc -l
}
nothing_left() { # PATTERN: no process with it in its command line
    tries=40
    while pgrep -f "$1" >/dev/null; do
        tries=$((tries - 1)); [ $tries -gt 0 ] || fail "processes are left: $(pgrep -af "$1")"
        sleep 0.1
    done
}
