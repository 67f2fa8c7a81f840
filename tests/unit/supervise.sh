#!/bin/sh
# supervise.sh - the supervisor and one mpirun on this machine: how it ends, and what is made of it
# shellcheck source=tests/unit/supervise_lib.sh
. "${srcdir:-.}/tests/unit/supervise_lib.sh"

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

finish
