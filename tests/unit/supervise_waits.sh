#!/bin/sh
# supervise_waits.sh - the supervisor while it waits for hosts, and what it hears meanwhile
# shellcheck source=tests/unit/supervise_lib.sh
. "${srcdir:-.}/tests/unit/supervise_lib.sh"

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

finish
