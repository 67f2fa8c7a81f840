# shellcheck shell=sh
# lib.sh - what the scenarios of tests/slurm share, on top of tests/lab/lib.sh: a real Slurm on the
# lab's hosts. Each scenario is a shell script NAME.slurm that sources this file, says `start_slurm N'
# and submits jobs. Compute nodes are n0 to n(N-1); the last host, $login, is where users submit and
# where slurmctld runs. Verdicts come from Slurm's own record of the job, the event log and the sums.
# shellcheck source=tests/lab/lib.sh
. "${srcdir:-.}/tests/lab/lib.sh"
slurm=$srcdir/tests/slurm/slurm
export SLURM_LAB="$work/slurm"
job_path=$builddir:/usr/local/bin:/usr/bin:/bin # onward is found as an installed one would be

# what Slurm says of the jobs, and its own logs
note_more() {
    [ -z "${login:-}" ] || at_login scontrol -o show job >"$work/jobs.log" 2>&1
    for daemon in "$SLURM_LAB"/log/slurm*.log; do
        cp "$daemon" "$work/$(basename "$daemon")"
    done
}

# start_slurm N: N compute nodes that are idle, and $login
start_slurm() {
    start_lab $(($1 + 1))
    login=n$1
    nodes=$(seq -f 'n%.0f' 0 $(($1 - 1)))
    code=0
    "$slurm" start 2>"$work/slurm-start.log" || code=$?
    [ $code != 77 ] || { cat "$work/slurm-start.log"; exit 77; }
    [ $code = 0 ] || fail "Slurm does not start: $(cat "$work/slurm-start.log")"
}

# at_login COMMAND: as a user types it there, in $work
at_login() { on "$login" "cd '$work' && PATH='$job_path' ONWARD_DIR='$work' $*"; }

# submit NAME OPTION... <SCRIPT: a job of that name, whose ID goes to $job; output in $work/NAME.log
submit() {
    job_name=$1
    shift
    { echo '#!/bin/sh'; cat; } >"$work/$job_name.sh"
    job=$(at_login sbatch --parsable -J "$job_name" -o "$work/$job_name.log" "$@" "$work/$job_name.sh") ||
        fail "sbatch of $job_name: $job"
}

# record JOB KEY: what Slurm says of a job, such as JobState, ExitCode, NodeList, Restarts
record() { at_login scontrol -o show job "$1" | tr ' ' '\n' | sed -n "s/^$2=//p" | head -n 1; }
has_state() { [ "$(record "$1" JobState)" = "$2" ]; } # JOB STATE
await_state() { await "$1" has_state "$2" "$3"; }     # SECONDS JOB STATE
is_over() { case $(record "$1" JobState) in PENDING | RUNNING | COMPLETING | SUSPENDED) return 1 ;; *:* | '') return 1 ;; esac }

# job_ends SECONDS JOB STATE EXITCODE: Slurm's record of it in the end
job_ends() {
    await "$1" is_over "$2"
    state=$(record "$2" JobState) exit_code=$(record "$2" ExitCode)
    [ "$state $exit_code" = "$3 $4" ] || fail "job $2 ended $state $exit_code, expected $3 $4"
}

# nothing_runs: no process of a job on any compute node; Slurm's own daemons stay
nothing_runs() {
    for host in ${*:-$nodes}; do
        await 40 no_job_on "$host"
    done
}
no_job_on() { ! on "$1" "pgrep -a -x 'slurmstepd|prted|prterun|mpirun|trial|onward|onward-host|srun'" >"$work/still-$1.log"; }
node_is() { [ "$(at_login sinfo -h -p main -n "$1" -o %T)" = "$2" ]; } # NODE STATE
is_pending() { [ "$(record "$1" JobState)" = PENDING ]; }
# at_once JOB: one that was put back into the queue starts in the next second; Slurm would hold it back for two
# minutes. In the second in which it was put back slurmd takes it for the one that was killed, and ends it.
at_once() { await 100 is_pending "$1"; at_login scontrol update "JobId=$1" StartTime=now+1; }
# stopped_well TASK: it stopped with a checkpoint of its last step, which goes to $stopped_at
stopped_well() {
    await_event 60 "$1" stopped "${2:-1}"
    stopped_at=$(grep '"event": *"stopped"' "$work/$1/events.jsonl" | tail -n 1 | field step)
    [ -e "$work/$1/ckpt/$(printf 'step-%08d.h5' "$stopped_at")" ] || fail "$1: no checkpoint of step $stopped_at"
}
# last_opening TASK: the event of the newest start
last_opening() { grep '"event": *"epoch"' "$work/$1/events.jsonl" | grep '"cause": *"start"' | tail -n 1; }
goes_on_from() { [ "$(last_opening "$1" | field resume_step)" = "$2" ]; } # TASK STEP
last_epoch() { grep '"event": *"epoch"' "$work/$1/events.jsonl" | tail -n 1; }
works_with() { [ "$(last_epoch "$1" | field workers)" = "$2" ]; } # TASK WORKERS
no_steps_lost() { ! grep '"steps_lost": *[1-9]' "$work/$1/events.jsonl" || fail "$1: steps were lost"; }
# clean_nodes HOST...: nothing of a task is in their memory or temporary directories
clean_nodes() {
    for host in "$@"; do
        left=$(on "$host" 'ls -d /dev/shm/* /tmp/onward* /tmp/prterun* 2>/dev/null' || true)
        [ -z "$left" ] || fail "left on $host: $left"
    done
}
