#!/bin/sh
# host.sh - onward-host: finds the processes of a task by their environment, spares itself and those
# above it, kills what it is asked to, and says how the host stands.
set -u
host=$(cd "${builddir:-.}" && pwd)/onward-host
work=$(mktemp -d "${TMPDIR:-/tmp}/onward-host.XXXXXX")
pids=
trap 'kill -KILL $pids 2>/dev/null; rm -rf "$work"' EXIT
failures=0 tests=0
fail() { failures=$((failures + 1)); echo "FAIL: $*: $out"; }
ask() { tests=$((tests + 1)); out=$("$host" "$@" 2>&1); status=$?; }
has() { echo "$out" | grep -q -- "$1" || fail "expected $1"; }
has_not() { ! echo "$out" | grep -q -- "$1" || fail "did not expect $1"; }
# member TASK DIR INCARNATION [NAME=VALUE]: a process as one of that task, in $pid
member() {
    env ${4:+"$4"} ONWARD_TASK="$1" ONWARD_DIR="$2" ONWARD_INCARNATION="$3" \
        sh -c 'trap "" TERM; echo >"$1"; while :; do sleep 0.2; done' sh "$work/ready" &
    pid=$!; pids="$pids $pid"
    until [ -e "$work/ready" ]; do sleep 0.05; done
    rm "$work/ready"
}
lives() { kill -0 "$1" 2>/dev/null || fail "process $1 was killed"; }
dead() {
    for _ in $(seq 40); do kill -0 "$1" 2>/dev/null || return 0; wait "$1" 2>/dev/null; sleep 0.05; done
    fail "process $1 lives"
}
mkdir "$work/t"
member t "$work" 1 PMIX_RANK=3; old=$pid
member t "$work" 2; new=$pid
member other "$work" 1; other=$pid
member t /elsewhere 1; elsewhere=$pid
ask list t "$work"
has "\"pid\":$old,\"incarnation\":1,\"kind\":\"member\""; has "\"pid\":$new,\"incarnation\":2,\"kind\":\"other\""
has_not "\"pid\":$other,"; has_not "\"pid\":$elsewhere,"
out=$(ONWARD_TASK=t ONWARD_DIR=$work ONWARD_INCARNATION=1 sh -c '"$0" list t "$1"; echo $$' "$host" "$work")
own=$(echo "$out" | tail -n 1); has_not "\"pid\":$own,"
ask probe t "$work" "$work"
has '"visible":true,"writable":true'; has '"killed":0'; has '"cores":[1-9]'; has '"local_free_bytes":[1-9]'
lives "$old"
ask probe --before 2 -- t "$work" "$work"
[ $status = 0 ] || fail "probe: status $status"
has '"killed":[1-9]'; has '"left":0'; dead "$old"; lives "$new"
ask kill --signal TERM t "$work" # which it does not heed
[ $status = 1 ] || fail "kill TERM: status $status"
lives "$new"
member t "$work" 2; pick=$pid
ask kill --pid "$pick" t "$work"; dead "$pick"; lives "$new"
ask kill --pid "$other" t "$work"; lives "$other"
ask kill t "$work"
[ $status = 0 ] || fail "kill: status $status"
has '"left":0'; dead "$new"; lives "$other"; lives "$elsewhere"
ask probe t "$work/none" "$work"; has '"visible":false'
# What looks like a segment of MPI goes where no process has it open or mapped.
shared=/dev/shm/sm_segment.$(uname -n | cut -d. -f1).0.test$$
trap 'kill -KILL $pids 2>/dev/null; rm -rf "$work" "$shared".*' EXIT
if [ -w /dev/shm ]; then
    touch "$shared.dead" "$shared.open" "/dev/shm/sm_segment.elsewhere.0.test$$"
    cp "$(command -v sleep)" "$shared.mapped"; chmod +x "$shared.mapped"
    tail -f "$shared.open" >"$work/tail" & pids="$pids $!"
    "$shared.mapped" 60 2>"$work/map" & pids="$pids $!"; mapper=$!
    sleep 0.2
    ask probe t "$work" "$work"; [ -e "$shared.dead" ] || fail "a probe that kills nothing removed a segment"
    ask probe --before 1 -- t "$work" "$work"
    [ ! -e "$shared.dead" ] || fail "a segment that nobody uses is left"
    [ -e "$shared.open" ] || fail "a segment that is open was removed"
    kill -0 $mapper 2>/dev/null || : >"$shared.mapped" # mounted noexec: nothing maps it
    [ -e "$shared.mapped" ] || fail "a segment that is mapped was removed"
    [ -e "/dev/shm/sm_segment.elsewhere.0.test$$" ] || fail "a segment of another host was removed"
    rm "/dev/shm/sm_segment.elsewhere.0.test$$"
fi
ask explode t "$work"; [ $status = 2 ] || fail "explode: status $status"
ask kill --signal NONE t "$work"; [ $status = 2 ] || fail "a signal that is none: status $status"
[ -z "$(ls -A "$work/t")" ] || fail "a probe left a file"

echo "$tests calls, $failures failures"
[ $failures = 0 ]
