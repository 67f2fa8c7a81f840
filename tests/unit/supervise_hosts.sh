#!/bin/sh
# supervise_hosts.sh - the supervisor over hosts: which it uses, loses and takes back; damage of a run directory
# shellcheck source=tests/unit/supervise_lib.sh
. "${srcdir:-.}/tests/unit/supervise_lib.sh"

over hosts 0; used 1 n0:1,n1:1
grep -q -- '--host n0:2,n1:1 --map-by slot' "$work/hosts/arguments" || fail "hosts: not handed to mpirun"
over returns 0 --wait 1; relaunches 2; used 1 n0:1,n1:1; used 2 n0:1; used '$' n0:1,n1:1; within 30; healthy
grep -q '"cause":"n1 returns"' "$work/returns/events.jsonl" || fail "returns: $(cat "$work/returns/events.jsonl")"
host n1 noisy; over hosts:noisy 0; used 1 n0:1,n1:1; silent_about 'host n1'
host n1 dead; over hosts:first-dead 0; used 1 n0:1; says 'host n1: cannot be reached: agent: n1 is dead'
says 'going on with 1 of 2 hosts'; says 'no answer from n1'
over hosts:too-few-first 2 --min 2; lines 1
says '^onward: --hosts: host n1: cannot be reached: agent: n1 is dead; 1 of 2 hosts can be used, with room for 1 worker: expected room for at least 2 (--min)$'
[ ! -e "$work/too-few-first" ] || fail "too-few-first: a start that was refused left a run directory"
printf 'n1 slots=2\n' >"$work/list"; run hosts:too-few-file 2 --hostfile "$work/list" --agent "$agent -x"; lines 1
says "^onward: $work/list: host n1: cannot be reached"
ONWARD_DIR=$work/new/runs; over hosts:refused 2 --min 2; ONWARD_DIR=$work
[ ! -e "$work/new/runs" ] || fail "refused: a start that was refused left $(find "$work/new")"
run dies-always 1 --max-restarts 0
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

finish
