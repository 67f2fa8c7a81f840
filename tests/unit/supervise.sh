#!/bin/sh
# supervise.sh - the supervisor against an mpirun that plays stories (fake-mpirun): whatever it does,
# the launcher ends in time, with the right exit status, and leaves no process behind.
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

refused 2 'nosuch: expected a program that can be executed' gang -n 2 --task none -- nosuch
refused 2 "$work/nowhere: No such file or directory" status --dir "$work/nowhere"
run complete 0; says 'task complete complete after 20 steps'; state complete
run complete 0; says 'is complete already'
run complete-hang 0; within 14; relaunches 0; state complete
run dies-twice 0; relaunches 2; says 'starting again'; says '2 restarts'
run dies-always 1 --max-restarts 1; relaunches 1; says 'no restart is left'; state failed
run no-progress 1; relaunches 3; within 9; says 'no step was completed after step 5 in 3 incarnations'
says '3 losses there, the last of worker 1 (subtasks 4 to 7), host n7'
run poison 1; relaunches 1; within 9
says 'subtask 3 of step 5 ended 3 workers: the last was worker 1 on host n7'; state failed
run poison-gone 0 --max-restarts 5; relaunches 3
run late-epoch 0
[ "$(grep -n '^2 workers from step 5' "$work/err" | cut -d: -f1)" -lt "$(grep -n '^step [56]/20' "$work/err" | head -n 1 | cut -d: -f1)" ] ||
    fail "late-epoch: how it stands was said before who works"
run gives-back 0 --max-restarts 1; relaunches 3; within 6
run orphan 0; relaunches 1
run scaled 0; relaunches 2 # a controller and 2, 5 and 4 workers
sizes '3 6 5'
run stop-again 75; relaunches 1; within 4; state stopped
run checkpoint-again 0; relaunches 2
run nothing 1; relaunches 0; says 'before the program opened its task'
export STORY_STATUS=2; run nothing:bad-input 2
run stopped-hang 75; within 14; says 'onward resume stopped-hang'; state stopped
run slow:stopped-hang 0; silent_about 'step 7'; state complete
run too-few 69; relaunches 3; within 9; says 'fewer workers are left'; state failed
run too-few:too-few-for-good 69 --max-restarts 0; relaunches 0; says 'fewer workers are left'; state failed
run too-few-once 0; relaunches 1; says 'fewer workers are left .*: starting again'; state complete
run silent 0 --detect 0.5; relaunches 1; says 'the controller was silent for 6 s'
run silent:too-soon 2 --detect 0.05; says 'detect 0.05: expected at least 0.5 s'
run restores 0 --detect 0.5; relaunches 0; says 'taking in the state of step 5, 3 GB for each worker (from the checkpoint)'
run restores-for-ever 0 --detect 0.5; relaunches 1; says 'the controller was silent'; within 11
run frozen 0 --detect 1; relaunches 0; says 'on host .* was silent for 1 s and was killed'
run host-silent 0 --detect 1; relaunches 1; says 'host n3 was silent for 1 s at step 5: starting again'
run half-silent 0 --detect 1; relaunches 1
says 'process 77 on host n3) was silent for 1 s and could not be killed'
run leaves 0 --detect 1; relaunches 0
run no-member 0 --detect 1; relaunches 0
run rehearses 0 --inject kill:worker=0@step=3,kill:worker=1@step=9; relaunches 3; silent_about 'did not come'
run other-incarnation 1 --max-restarts 0; state failed
run garbage 0
run talks 0
says 'loss is falling'; says 'a word of its own'; says 'an end without a newline'
silent_about prterun
grep -q 'prterun noticed' "$work/talks/logs/mpirun.1.log" || fail "talks: the log is not whole"
grep -q 'loss is falling' "$work/out" || fail "talks: standard output went elsewhere"
local_is() { [ "$(cat "$work/$task/local")" = "$1" ] || fail "$task: copies go to $(cat "$work/$task/local")"; }
run complete:local-default 0; local_is /dev/shm
ONWARD_LOCAL_DIR=$work/l; export ONWARD_LOCAL_DIR
run complete:local-variable 0; local_is "$work/l"
run complete:local-option 0 --local-dir "$work/o"; local_is "$work/o"
ONWARD_LOCAL_DIR=l; run complete:local-relative 2; says "ONWARD_LOCAL_DIR l: expected an absolute path"
unset ONWARD_LOCAL_DIR
run complete:quiet 0 --quiet
[ ! -s "$work/out" ] && [ ! -s "$work/err" ] || fail "quiet: said something"
run complete:json 0 --json
grep -q '"state": "complete"' "$work/out" || fail "json: expected an object"

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
over hosts 0; used 1 n0:1,n1:1
grep -q -- '--host n0:2,n1:1 --map-by slot' "$work/hosts/arguments" || fail "hosts: not handed to mpirun"
over returns 0 --wait 1; relaunches 2; used 1 n0:1,n1:1; used 2 n0:1; used '$' n0:1,n1:1; within 30; healthy
grep -q '"cause":"n1 returns"' "$work/returns/events.jsonl" || fail "returns: $(cat "$work/returns/events.jsonl")"
host n1 noisy; over hosts:noisy 0; used 1 n0:1,n1:1; silent_about 'host n1'
host n1 dead; over hosts:first-dead 0; used 1 n0:1; says 'host n1: cannot be reached: agent: n1 is dead'
says 'going on with 1 of 2 hosts'; says 'no answer from n1'
lines() { [ "$(cat "$work/out" "$work/err" | wc -l)" = "$1" ] || fail "$task: expected $1 lines"; }
over hosts:too-few-first 2 --min 2; lines 1
says '^onward: --hosts: host n1: cannot be reached: agent: n1 is dead; 1 of 2 hosts can be used, with room for 1 worker: expected room for at least 2 (--min)$'
[ ! -e "$work/too-few-first" ] || fail "too-few-first: a start that was refused left a run directory"
printf 'n1 slots=2\n' >"$work/list"; run hosts:too-few-file 2 --hostfile "$work/list" --agent "$agent -x"; lines 1
says "^onward: $work/list: host n1: cannot be reached"
ONWARD_DIR=$work/new/runs; over hosts:refused 2 --min 2; ONWARD_DIR=$work
[ ! -e "$work/new/runs" ] || fail "refused: a start that was refused left $(find "$work/new")"
over hosts:dies-always 69 --min 2; lines 3 # with where the task is, and what goes on with it
says 'expected at least 2; host n1: cannot be reached: agent: n1 is dead'; [ -e "$work/dies-always/task.yaml" ] || fail "a task that was there is gone"
healthy; over hosts:too-few-first 0
host n1 blind; over hosts:blind 0; says 'host n1: does not see the run directory'
run hosts:no-agent 2 --hosts n0,n1 --agent 'nosuchagent -x'
says 'agent: nosuchagent: expected a program that can be executed, in a directory of PATH'
[ "$(wc -l <"$work/err")" = 1 ] || fail "no-agent: expected one line"
host n1 bare; over hosts:bare 0; says 'host n1: .*expected onward to be installed there as it is here'
for n in 1 2 3 4 5 6; do host n$n hang; done # all of them cost the time of one
run hosts:hangs 0 --hosts 'n[0-6]:1' --agent "$agent -x"; within 24; used 1 n0:1
says 'host n1: does not answer'; says 'host n6: does not answer'; says 'going on with 1 of 7 hosts'
healthy; over host-dies 0; relaunches 1; used 2 n0:1; lost n1; says 'host n1: cannot be reached'
[ ! -e "$work/host-dies/early" ] || fail "host-dies: was started before its hosts were known"
healthy; host n0 slow; over early 0; relaunches 1; early '2 n0:1,n1:1'; used 2 n0:1,n1:1; used 3 ''
healthy; host n0 slow; over early-wrong 0; relaunches 1; early '2 n0:1,n1:1'; used 3 n0:1; lost n1
healthy; host n0 slow; over early-named 0; relaunches 1; early '2 n0:1'; used 2 n0:1; used 3 ''; lost n1
healthy; over host-hangs 0; relaunches 1; used 2 n0:1; lost n1; within 10
healthy; over host-back 0; relaunches 2; used 2 n0:1; used 3 n0:1,n1:1
# A planned start: mpirun hangs at its end, and a verb that asks meanwhile gets its answer after it.
healthy; (until [ -e "$work/moves/asked" ]; do sleep 0.02; done; "$onward" scale moves 2 >"$work/verb" 2>&1) &
verb=$!
over moves 0 --give-back; wait $verb || fail "moves: the verb says $(cat "$work/verb")"
relaunches 1; within 6; used 2 n0:1; grep -q 'scale 2: 2 workers go on' "$work/verb" || fail "moves: $(cat "$work/verb")"
healthy; over moves-late 0 --give-back; relaunches 1; used 2 n0:1
healthy; over scaled-hosts 0; relaunches 1; used 2 n0:1,n1:1,n2:4; sizes '3 4' # with the controller
printf 'n0 slots=1\nn1 slots=1\n' >"$work/list"
run file-grows 0 --hostfile "$work/list" --agent "$agent -x"; relaunches 1; used 2 n0:1,n1:1,n2:4; sizes '3 7'
printf 'n0 slots=1\nn1 slots=1\n' >"$work/list"
run file-many 0 --hostfile "$work/list" --agent "$agent -x"; relaunches 1; sizes '3 363'
[ "$(cat "$work/file-many/asked")" = "$(seq 30 | sed 's/$/:12/')" ] || fail "file-many: asked for $(tr '\n' ' ' <"$work/file-many/asked")"
by_file() { printf 'n0 slots=1\nn1 slots=1\n' >"$work/list"; run "$@" --hostfile "$work/list" --agent "$agent -x"; }
by_file file-widens 0; relaunches 1; used 2 n0:1,n1:3; sizes '3 5'
printf 'n0 slots=1\nn1 slots=3\n' >"$work/list"
run file-narrows 0 -n 4 --min 3 --hostfile "$work/list" --agent "$agent -x"; relaunches 1; used 1 n0:1,n1:3; used 2 n0:1,n1:2; sizes '5 4'
[ ! -e "$work/file-narrows/asked" ] || fail "file-narrows: the task was asked for hosts"
by_file file-keeps 0 --min 2; relaunches 2; used 2 n0:1,n1:1; used 3 n0:1,n2:1
by_file file-swaps 0 --min 2; relaunches 1; used 2 n0:1,n2:1
grep -q '"hosts_lost":\[\]' "$work/file-swaps/events.jsonl" || fail "file-swaps: a host that is not needed was lost"
echo 'n0 slots=1' >"$work/list"; run file-renames 0 --hostfile "$work/list" --agent "$agent -x"; relaunches 0
healthy; over host-dies:below 69 --min 2; relaunches 0; says 'expected at least 2'
says 'onward resume below'; state failed
healthy; (cd "$work" && STORY=hosts "$onward" resume below --hosts n0:2 --min 1 >out 2>err) || fail "below: no resume"
says 'complete after 20 steps'; [ "$(tail -n 1 "$work/below/hosts")" = n0:2 ] || fail "below: other hosts"
"$onward" resume nowhere >"$work/out" 2>"$work/err"; [ $? = 2 ] || fail "nowhere: expected exit status 2"
says "no task nowhere in $work"
# Damage is bad input: one line, with the file, and exit status 2.
damaged() { # FILE VERB...: the file holds half of what it did, something else, no text, or is no file
    hurt=$work/below/$1; shift; tests=$((tests + 1)); story="$* of a damaged $(basename "$hurt")"
    cp "$hurt" "$work/whole"
    for bad in half empty other list bytes directory; do
        rm -f "$hurt"
        case $bad in
        half) head -c $(($(wc -c <"$work/whole") / 2)) "$work/whole" >"$hurt" ;;
        empty) : >"$hurt" ;;
        other) echo '{"incarnation": "one"}' >"$hurt" ;;
        list) echo '[1]' >"$hurt" ;;
        bytes) printf '\377\000\n{' >"$hurt" ;;
        directory) mkdir "$hurt" ;;
        esac
        timeout 20 "$onward" "$@" >"$work/out" 2>"$work/err"; status=$?
        [ $status = 2 ] || fail "$story ($bad): exit status $status, expected 2"
        [ "$(grep -c "$hurt: " "$work/err")" = 1 ] && [ "$(wc -l <"$work/err")" = 1 ] ||
            fail "$story ($bad): expected one line that names the file"
        [ $bad = directory ] && rmdir "$hurt"
    done
    mv "$work/whole" "$hurt"
}
for file in task.yaml status.json complete.json incarnation.json; do
    damaged $file status below; damaged $file status --json below
done
printf '{"incarnation": 1, "epoch": 1, "members": [{"member": 1, "rank": -1, "role": "controller", "controller": true,
    "host": "n0", "pid": 1, "epoch": 1}]}' >"$work/below/members.json"
damaged members.json status --members below
damaged task.yaml resume below; damaged complete.json resume below
mv "$work/below/complete.json" "$work/kept"; damaged incarnation.json resume below; mv "$work/kept" "$work/below/complete.json"
"$onward" status --members below >"$work/out" 2>"$work/err" || fail "damage: all is whole again, and is not"
cp "$agent" "$work/agent"
healthy; run host-dies:no-way 69 --min 2 --hosts 'n[0-1]:1' --agent "$work/agent -x"; rm "$work/agent"
(cd "$work" && "$onward" resume no-way >out 2>err); [ $? = 2 ] || fail "no-way: expected exit status 2"
says "agent: $work/agent: expected a program that can be executed"
healthy; over host-dies:in-vain 69 --min 2 --wait 1; says 'waiting 1 s'; within 8
# The first start waits as well, where the user says so.
host n1 dead; over hosts:first-in-vain 69 --min 2 --wait 1; says 'waiting 1 s'; says 'host n1: cannot be reached'
says 'onward resume first-in-vain'; state failed; within 8
healthy; (cd "$work" && STORY=hosts "$onward" resume first-in-vain >out 2>err) || fail "first-in-vain: no resume"
[ "$(cat "$work/first-in-vain/hosts")" = n0:1,n1:1 ] || fail "first-in-vain: other hosts"
host n1 dead; (sleep 3; healthy) & over hosts:first-heals 0 --min 2 --wait 20; used 1 n0:1,n1:1; within 12
host n1 unknown; over hosts:unknown 2 --min 2 --wait 20; lines 1; says '^onward: --hosts: host n1: .*Could not resolve'; within 4
[ ! -e "$work/unknown" ] || fail "unknown: a start that was refused left a run directory"
host n1 dead; over hosts:unfit 2 --min 3 -n 3 --wait 20; says '^onward: --hosts: host n1: .*room for at least 3'; within 4
healthy; (sleep 4; healthy) & over host-heals 0 --min 2 --wait 20; relaunches 1; used 2 n0:1,n1:1; within 12
# While it waits the launcher hears the file, operators, and what wants it to stop.
printf 'n0 slots=1\nn1 slots=1\n' >"$work/list"
healthy; (sleep 3; echo 'n2 slots=1' >>"$work/list") &
run host-dies:file-comes 0 --min 2 --wait 30 --hostfile "$work/list" --agent "$agent -x"; used 2 n0:1,n2:1; within 15
healthy; (sleep 3; "$onward" scale --wait 3 scale-comes 1; "$onward" scale --wait 20 scale-comes 2 --hosts n2:1) >"$work/verb" 2>&1 &
verb=$!
over host-dies:scale-comes 0 --min 2 --wait 30; used 2 n0:1,n2:1; within 20
wait $verb; grep -q 'scale 1.*expected at least as many workers as --min' "$work/verb" || fail "scale-comes: below the minimum: $(cat "$work/verb")"
put() { # NAME TEXT: as a request of stop-comes
    mkdir -p "$work/stop-comes/requests"; echo "$2" >"$work/new"; mv "$work/new" "$work/stop-comes/requests/$1.json"
}
rejected() { # NAME EXPECTED: it was moved away, and somebody said why
    [ -e "$work/$task/requests/$1.rejected" ] && grep -q "\"event\":\"warning\".*/$1.rejected: no request: expected .*$2" "$work/$task/events.jsonl" ||
        fail "$task: $1 is not rejected: $(cat "$work/$task/events.jsonl")"
}
healthy; (sleep 3; put 0-bad '{"request"'; put 0-other '{"task":"hosts","request":"stop"}'; "$onward" status stop-comes; "$onward" drain --wait 5 stop-comes n0; "$onward" stop stop-comes) >"$work/verb" 2>&1 &
verb=$!
over host-dies:stop-comes 75 --min 2 --wait 30; within 15; state stopped
rejected 0-bad 'a JSON object'; rejected 0-other 'to be this task'
wait $verb || fail "stop-comes: the stop failed: $(cat "$work/verb")"
grep -q '^state *waiting$' "$work/verb" && grep -q 'the task waits for hosts' "$work/verb" || fail "stop-comes: $(cat "$work/verb")"
# So does a start that goes on with a task.
begin=$(date +%s)
(cd "$work" && STORY=hosts "$onward" resume --wait 2 stop-comes >out 2>err); [ $? = 69 ] || fail "stop-comes: resume: expected 69"
says 'waiting 2 s'; says 'after 5 of 20 steps'; "$onward" status stop-comes | grep -q '^step *5 of 20' || fail "stop-comes: its step is gone"
# A stop that comes while it waits counts, also where the hosts come at the same time.
(sleep 2; healthy; "$onward" stop stop-comes) >"$work/verb" 2>&1 &
(cd "$work" && STORY=hosts "$onward" resume --wait 20 stop-comes >out 2>err); [ $? = 75 ] || fail "stop-comes: stopped: expected 75: $(cat "$work/err")"
(cd "$work" && STORY=hosts "$onward" resume stop-comes --hosts n0:1 --min 2 >out 2>err); [ $? = 2 ] || fail "stop-comes: never: expected 2"
healthy; (cd "$work" && STORY=hosts "$onward" resume stop-comes >out 2>err) || fail "stop-comes: no resume: $(cat "$work/err")"
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

echo "$tests stories, $failures failures"
[ $failures = 0 ]
