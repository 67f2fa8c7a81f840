# shellcheck shell=sh
# supervise_lib.sh - what supervise.sh and its sisters share: the supervisor against an mpirun that plays
# stories (fake-mpirun), over hosts that fake-agent plays. Whatever they do, the launcher ends in time,
# with the right exit status, and leaves no process behind.
set -u
srcdir=${srcdir:-.}
onward=$(cd "${builddir:-.}" && pwd)/onward
work=$(mktemp -d "${TMPDIR:-/tmp}/onward-supervise.XXXXXX")
# What a launcher that fails the test left behind must not stay.
trap 'xargs kill -KILL <"$work/processes" 2>/dev/null; rm -rf "$work"' EXIT
ONWARD_MPIRUN=$(cd "$srcdir/tests/unit" && pwd)/fake-mpirun
FAKE_MEMBER=$(cd "${builddir:-.}" && pwd)/tests/unit/fake_member
export ONWARD_MPIRUN FAKE_MEMBER ONWARD_DIR="$work"
unset ONWARD_LOCAL_DIR
failures=0 tests=0

fail() { failures=$((failures + 1)); echo "FAIL: $*"; sed 's/^/    /' "$work/out" "$work/err"; }
# run STORY[:TASK] STATUS [OPTION...]: plays it as a task of the same name, or of another
run() {
    story=${1%%:*} task=${1##*:} expected=$2; shift 2
    tests=$((tests + 1)) begin=$(date +%s)
    STORY=$story timeout -k 1 40 "$onward" run -n 2 --elastic --task "$task" "$@" -- true \
        >"$work/out" 2>"$work/err"
    status=$?
    seconds=$(($(date +%s) - begin))
    [ $status = "$expected" ] || fail "$story: exit status $status, expected $expected"
    left=$(pgrep -fc -- "$work/$task-rank" || true)
    [ "$left" = 0 ] || fail "$story: $left processes are left"
}
says() { grep -q -- "$1" "$work/out" "$work/err" || fail "$story: expected to hear: $1"; }
silent_about() { ! grep -q -- "$1" "$work/out" "$work/err" || fail "$story: did not expect: $1"; }
relaunches() {
    n=$(cat "$work/$task/events.jsonl" 2>/dev/null | grep -c '"event":"relaunch"')
    [ "$n" = "$1" ] || fail "$story: $n relaunches, expected $1"
}
within() { [ "$seconds" -le "$1" ] || fail "$story: took $seconds s, expected at most $1"; }
state() {
    "$onward" status "$task" >"$work/out" 2>"$work/err"
    grep -q "^state *$1\$" "$work/out" || fail "$story: expected the state $1"
}

sizes() { # of mpirun, in each incarnation
    [ "$(tr '\n' ' ' <"$work/$task/sizes")" = "$1 " ] || fail "$task: $(tr '\n' ' ' <"$work/$task/sizes")"
}

# refused STATUS TEXT VERB...: in one line
refused() {
    expected=$1 text=$2 story="$3 is refused" status=0
    shift 2
    tests=$((tests + 1))
    timeout -k 1 40 "$onward" "$@" >"$work/out" 2>"$work/err" || status=$?
    [ $status = "$expected" ] || fail "$story: exit status $status, expected $expected"
    says "$text"
    [ "$(cat "$work/out" "$work/err" | wc -l)" = 1 ] || fail "$story: expected one line"
}

# ---- over hosts: what fake-agent makes of a host is in the file $work/host.NAME
ONWARD_FAKE=$work; export ONWARD_FAKE
agent=$(cd "$srcdir/tests/unit" && pwd)/fake-agent
# over STORY[:TASK] STATUS [OPTION...]: as run, over the hosts n0 and n1
over() { o_story=$1 o_status=$2; shift 2; run "$o_story" "$o_status" --hosts 'n[0-1]:1' --agent "$agent -x" "$@"; }
host() { echo "$2" >"$work/host.$1"; }
healthy() { rm -f "$work"/host.*; }
lost() { grep -q "\"hosts_lost\":\[\"$1\"\]" "$work/$task/events.jsonl" || fail "$story: $1 was not told lost"; }
used() { # INCARNATION HOSTS
    [ "$(sed -n "$1p" "$work/$task/hosts")" = "$2" ] || fail "$story: incarnation $1: expected $2"
}
# The first start before the claim of its incarnation, while the hosts were still being asked: one
# that takes its time to answer makes sure that the start is seen to be before the claim.
early() { [ "$(head -n 1 "$work/$task/early")" = "$1" ] || fail "$story: expected an early start on $1"; }
lines() { [ "$(cat "$work/out" "$work/err" | wc -l)" = "$1" ] || fail "$task: expected $1 lines"; }

finish() {
    echo "$tests stories, $failures failures"
    [ $failures = 0 ]
}
