#!/bin/sh
# supervise_owner.sh - whose a task is: another launcher, no process to be had, stops, deaths, directories of others
# shellcheck source=tests/unit/supervise_lib.sh
. "${srcdir:-.}/tests/unit/supervise_lib.sh"

run complete 0
run gives-back 0 --max-restarts 1

# Another launcher took the task while this one was cut off: it leaves all of that alone.
run taken-over 1; relaunches 0; says 'incarnation 9 took over from incarnation 1'
ONWARD_TASK=taken-hosts ONWARD_INCARNATION=9 sleep 50 & theirs=$!
ONWARD_TASK=taken-hosts ONWARD_INCARNATION=1 sleep 50 & ours=$!
over taken-over:taken-hosts 1; relaunches 0
kill $theirs || fail "taken-hosts: the other launcher's process was ended"
! kill $ours 2>/dev/null || fail "taken-hosts: a process of its own is left"
grep -q '"incarnation":9' "$work/taken-hosts/incarnation.json" || fail "taken-hosts: it was taken back"
healthy

# No process is to be had for a while: mpirun is started when there is one, within the budget; a host
# is not lost for that.
preload=$(cd "${builddir:-.}" && pwd)/tests/unit/.libs/no_fork.so
forks() { # WORKS_OR_FAILS...: as no_fork.c reads them
    pattern=$1; shift
    printf %s "$pattern" >"$work/forks"
    LD_PRELOAD=$preload NO_FORK=$work/forks; export LD_PRELOAD NO_FORK
    "$@"
    unset LD_PRELOAD NO_FORK
}
if [ -e "$preload" ]; then
    forks xx run complete:no-process 0; relaunches 2
    says 'mpirun cannot be started: Resource temporarily unavailable.*starting again'
    forks .x run dies-twice:no-process-then 0; relaunches 2; says 'Resource temporarily unavailable'
    forks xxxxxx run complete:no-process-ever 1 --max-restarts 2; relaunches 2; within 6; state failed
    forks xxx over hosts:no-agents 0; used 1 n0:1,n1:1; relaunches 0
    forks ....xx over host-dies:no-process-hosts 0; relaunches 1; used 2 n0:1; lost n1; healthy
    # The hosts are swept all the same in the end.
    forks ......x over host-dies:no-process-left 1 --max-restarts 1; relaunches 1; says 'no answer from n1'; healthy
fi

# start STORY: in the background, until its status is there
start() {
    story=$1 task=$1 tests=$((tests + 1))
    STORY=$1 "$onward" run -n 2 --elastic --task "$1" -- true >"$work/out" 2>"$work/err" &
    launcher=$!
    for _ in $(seq 100); do [ ! -e "$work/$1/status.json" ] || break; sleep 0.1; done
}
ended() { # STATUS
    wait $launcher; status=$?
    [ $status = "$1" ] || fail "$story: exit status $status, expected $1"
    left=$(pgrep -fc -- "$work/$story-rank" || true)
    [ "$left" = 0 ] || fail "$story: $left processes are left"
}
start obedient; kill -TERM $launcher; ended 75; says 'asked the task to stop'; state stopped
# Directories of mpirun, as old ones: that of a launcher that lives stays, that of a dead one goes.
mkdir "$work/sessions"
sessions() { [ "$(find "$work/sessions" -mindepth 1 -maxdepth 1 | wc -l)" = "$1" ] || fail "$story: $(ls "$work/sessions")"; }
beside() { # TASK
    touch -d '2 minutes ago' "$work"/sessions/*
    STORY=complete "$onward" run -n 2 --elastic --task "$1" -- true >"$work/out2" 2>&1 || fail "$1: exit status $?"
}
TMPDIR=$work/sessions; export TMPDIR
start deaf
beside deaf-beside; sessions 1
"$onward" run -n 2 --elastic --task deaf -- true >"$work/out2" 2>&1
[ $? = 2 ] && grep -q "in use by process $launcher" "$work/out2" || fail "deaf: a second owner"
begin=$(date +%s)
kill -TERM $launcher; sleep 0.5; kill -TERM $launcher; ended 143; state stopped
seconds=$(($(date +%s) - begin)); within 10
run unasked:deaf 0
start mortal; kill -KILL $launcher; wait $launcher 2>/dev/null
for _ in $(seq 50); do [ ! -e "$work/mortal/terminated" ] || break; sleep 0.1; done
[ -e "$work/mortal/terminated" ] || fail "mortal: mpirun outlived its launcher"
state interrupted
sessions 1; beside mortal-beside; sessions 0
unset TMPDIR
rm "$work/complete/complete.json"
tests=$((tests + 1))
STORY=complete "$onward" run --elastic --task complete -- false >"$work/out" 2>"$work/err"
[ $? = 2 ] || fail "another program under the same task ID was not refused"
says 'with another program'
for verb in 'scale 3' 'drain n1' 'undrain n1'; do
    # shellcheck disable=SC2086
    set -- $verb
    "$onward" "$1" gives-back "$2" >"$work/out" 2>"$work/err"
    [ $? = 1 ] && [ "$(cat "$work/err")" = 'onward: task gives-back is complete' ] || fail "gives-back: $1 of a complete task"
done

# A directory that the user may not write: as nobody, where root may write everywhere.
user=
[ "$(id -u)" != 0 ] || user='setpriv --reuid=65534 --regid=65534 --clear-groups'
chmod 755 "$work"
if $user test -x "$onward"; then # not below a directory that is root's alone
    chmod -R a+rX,a-w "$work/gives-back"
    story=refused tests=$((tests + 1))
    # shellcheck disable=SC2086
    STORY=complete $user "$onward" run -n 2 --elastic --task gives-back -- true >"$work/out" 2>"$work/err"
    [ $? = 0 ] || fail "gives-back: is complete, and not to be written"
    rm -f "$work/gives-back/complete.json"
    for verb in 'run -n 2 --elastic --task gives-back -- true' 'run -n 2 --elastic --task new -- true' 'resume gives-back'; do
        # shellcheck disable=SC2086
        STORY=complete $user "$onward" $verb >"$work/out" 2>"$work/err"
        [ $? = 2 ] || fail "$verb: expected exit status 2 where nothing can be written"
        [ "$(wc -l <"$work/err")" = 1 ] || fail "$verb: expected one line"
        says "$work/.*: Permission denied; expected a run directory that this user can write"
    done
    chmod -R u+w "$work/gives-back"
fi

finish
