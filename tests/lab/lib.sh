# shellcheck shell=sh
# lib.sh - what the scenarios of tests/lab share. Each scenario is a shell script NAME.lab that
# sources this file, says `start_lab N` and then does things to the hosts n0 to n(N-1); the build
# gives $builddir and $srcdir. It runs in a mount namespace with an /etc/hosts of its own, in a lab
# whose name comes from the build directory and NAME, so that others are not in its way, and what an
# earlier run left behind is ended first. The lab goes down by trap, whatever happens. Verdicts come
# from the run directory (the survivors' record) and from the hosts, never from mpirun's exit status.
# $work is below the build directory: /tmp is another one on each host.
set -eu
srcdir=$(cd "${srcdir:-.}" && pwd) builddir=$(cd "${builddir:-.}" && pwd)
shell=$(command -v bash || echo sh) # bash can say which command failed, and where
if [ -z "${ONWARD_LAB_OWN_MOUNTS:-}" ] && unshare --mount true 2>/dev/null; then
    ONWARD_LAB_OWN_MOUNTS=1 exec unshare --mount --propagation private "$shell" "$0" "$@"
fi
if [ -n "${BASH_VERSION:-}" ]; then
    eval 'shopt -s inherit_errexit; set -E'
    # shellcheck disable=SC2154,SC3047
    trap 'code=$?; echo "$name: line $LINENO: exit status $code of: $BASH_COMMAND" >&2' ERR
fi
name=$(basename "$0" .lab)
lab=$srcdir/tests/lab/lab
onward=$builddir/onward
trial=$builddir/trial
limit_s=${limit_s:-150} # of each launch
hash=$(printf '%s' "$builddir/$name" | cksum)
hash=${hash%% *}
export LAB_NAME=ow$((hash % 100000000)) LAB_SHARE="$srcdir:$builddir" LAB_LIFE_S=600 LAB_CONNECT_S=5
work=$builddir/lab-work/$(basename "$0") # so that none is how another one begins: it is how processes are found
export ONWARD_DIR="$work"
backgrounds=
said=

note_more() { :; } # into $work/*.log, before these are shown; tests/slurm/lib.sh has one of its own
fail() {
    said=1
    echo "FAIL: $*"
    note_more || true
    for f in "$work"/*.log; do [ ! -e "$f" ] || { echo "--- $f"; tail -n 40 "$f"; }; done
    exit 1
}

teardown() { # ends what was launched, then the hosts with all that is on them
    status=$?
    trap '' INT TERM HUP
    set +e
    # shellcheck disable=SC3047
    [ -z "${BASH_VERSION:-}" ] || trap - ERR
    case $status:$said in 0:* | 77:* | *:1) ;; *) (fail "a command failed with exit status $status, and nothing else was said") ;; esac
    for pid in $backgrounds; do # of one that ended another process may have the number by now
        [ "$(ps -o ppid= -p "$pid" | tr -d ' ')" != $$ ] || kill -KILL "$pid" 2>/dev/null
    done
    pkill -KILL -f "$work" 2>/dev/null || true
    if [ "$(id -u)" = 0 ] && ! "$lab" down; then
        echo "FAIL: the lab does not go down: $(ls -A "/run/$LAB_NAME" 2>&1); $(ip -o link show "$LAB_NAME" 2>&1)"
        status=1
    fi
    if [ $status = 0 ]; then rm -rf "$work"; fi
    exit $status
}
trap teardown EXIT
trap 'exit 1' INT TERM HUP

# ---- the lab ---------------------------------------------------------------------------------

# start_lab N: hosts n0 to n(N-1), on a network that nobody else here has; skips where there is none
start_lab() {
    hosts=$(seq -f 'n%.0f' 0 $(($1 - 1)))
    [ "$(id -u)" != 0 ] || "$lab" down
    rm -rf "$work"
    mkdir -p "$work"
    if [ -n "${ONWARD_LAB_OWN_MOUNTS:-}" ]; then
        grep -v '# lab ' /etc/hosts >"$work/etc-hosts" || true
        mount -n --bind "$work/etc-hosts" /etc/hosts
    fi
    for attempt in 0 1 2 3 4; do
        export LAB_SUBNET=10.78.$(((hash + attempt) % 250))
        code=0
        "$lab" up "$1" 2>"$work/up.log" || code=$?
        [ $code != 77 ] || { cat "$work/up.log"; exit 77; }
        [ $code != 0 ] || return 0
        grep -q 'in use' "$work/up.log" || break
    done
    fail "the lab does not start"
}

on() { "$lab" sh "$@"; } # HOST CMD...: at the console
processes() { "$lab" status | awk -v host="$1" '$1 == host { print $4 }'; } # on a host; "-": it is down
is_empty() { case $(processes "$1") in 0 | -) ;; *) return 1 ;; esac }

# nothing_left HOST...: no process on any of them (at most 15 s from now), nor of $work on this machine
nothing_left() {
    for host in "$@"; do
        await 15 is_empty "$host"
    done
    ! pgrep -f "$work" >/dev/null || fail "left on this machine: $(pgrep -af "$work")"
}

# ---- launching -------------------------------------------------------------------------------

# in_background TASK COMMAND...: at most $limit_s; output in $work/TASK.log; $! is its PID
in_background() {
    log=$work/$1.log
    shift
    timeout -k 5 "$limit_s" "$@" </dev/null >"$log" 2>&1 &
    backgrounds="$backgrounds $!"
}

# start_onward TASK VERB ARGUMENT...: `onward VERB --task TASK ...` over the lab's hosts
start_onward() {
    task=$1 verb=$2
    shift 2
    # shellcheck disable=SC2086
    in_background "$task" "$onward" "$verb" --task "$task" --hosts "$(echo $hosts | tr ' ' ,)" \
        --agent "$lab agent" "$@"
}

# start_mpirun TASK RANKS FAULTS [trial's arguments]: the program trial over the lab's hosts, rank K
# on host K modulo their number; a host that is silent for 4 s is lost
start_mpirun() {
    command -v mpirun >/dev/null || { echo "no mpirun here"; exit 77; }
    mpirun --version | grep -q 'Open MPI) [5-9]' || { echo "Open MPI 5 or later is needed"; exit 77; }
    task=$1 ranks=$2 network=$LAB_SUBNET.0/24
    export ONWARD_TASK="$1" ONWARD_INJECT="$3"
    shift 3
    # shellcheck disable=SC2086
    in_background "$task" mpirun --allow-run-as-root --with-ft ulfm -n "$ranks" \
        --host "$(printf '%s:8\n' $hosts | paste -sd,)" --map-by node:OVERSUBSCRIBE --bind-to none \
        --prtemca plm ssh --prtemca plm_ssh_agent "$lab agent" --prtemca plm_ssh_no_tree_spawn 1 \
        --prtemca prte_if_include "$network" --prtemca oob_tcp_keepalive_time 2 \
        --prtemca oob_tcp_keepalive_intvl 1 --prtemca oob_tcp_keepalive_probes 2 \
        --mca btl_tcp_if_include "$network" --mca pml ob1 --mca coll ^han \
        --mca async_mpi_finalize 1 --prtemca state_base_recoverable 1 --mca mpi_yield_when_idle 1 \
        -x ONWARD_TASK -x ONWARD_DIR -x ONWARD_INJECT "$trial" "$@"
}

# ended PID: what in_background started is over; its exit status is in $status then
ended() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
await_end() { # SECONDS PID
    await "$1" ended "$2"
    status=0
    wait "$2" || status=$?
}

# await SECONDS COMMAND...: until it succeeds
await() {
    deadline=$(($(now_ms) + $1 * 1000))
    shift
    until "$@" 2>/dev/null; do
        [ "$(now_ms)" -lt $deadline ] || fail "waited in vain for: $*"
        sleep 0.1
    done
}
now_ms() { date +%s%3N; }

# ---- what the run directory says -------------------------------------------------------------

has_event() { [ -e "$work/$1/events.jsonl" ] && [ "$(events "$1" "$2")" -ge "${3:-1}" ]; }             # TASK EVENT [COUNT]
has_step() { [ "$(step_of "$1")" -ge "$2" ]; }                       # TASK STEP
await_event() { await "$1" has_event "$2" "$3" "${4:-1}"; }          # SECONDS TASK EVENT [COUNT]
await_step() { await "$1" has_step "$2" "$3"; }                      # SECONDS TASK STEP
events() { grep -c "\"event\": *\"$2\"" "$work/$1/events.jsonl" 2>/dev/null || true; }
step_of() { sed -n 's/.*"step": *\(-\{0,1\}[0-9]*\).*/\1/p' "$work/$1/status.json"; }
completed() { [ -e "$work/$1/complete.json" ] || fail "$1 has no completion record"; }
not_completed() { [ ! -e "$work/$1/complete.json" ] || fail "$1 has a completion record"; }
sum() { "$onward" ckpt sum "$1" 2>"$work/sum.log" || fail "no sum of $1"; }
equal() { [ "$(sum "$1")" = "$(sum "$2")" ] || fail "$1 and $2 differ"; }

# ---- stories that several scenarios tell -----------------------------------------------------

since() { echo "$(($(now_ms) - lost_at)) ms after the loss: $*"; }

# lose_host HOW HOST REST...: a task runs on all; `lab HOW HOST'; mpirun ends, after $ended_ms, and so
# does every member on the hosts that remain
lose_host() {
    how=$1 host=$2
    shift 2
    start_mpirun "$how" 8 '' --steps 100000 --pause 10000
    mpirun=$!
    await_step 40 "$how" 20
    lost_at=$(now_ms)
    "$lab" "$how" "$host"
    await_end 15 $mpirun
    ended_ms=$(($(now_ms) - lost_at))
    since "mpirun has ended, with status $status"
    for rest in "$@"; do await 15 is_empty "$rest"; done
    since 'no member is left elsewhere'
    not_completed "$how"
}

# unheard: nobody was told of the loss; only the keepalive, which asks after 2 s of silence, can know
unheard() { [ "$ended_ms" -ge 2000 ] || fail "mpirun knew of the loss after $ended_ms ms"; }

# use_again HOST: a task over all hosts runs to its end, with members on HOST
use_again() {
    start_mpirun again 8 '' --steps 100 --pause 5000
    mpirun=$!
    await_step 40 again 10
    [ "$(on "$1" pgrep -c -x trial)" = 2 ] || fail "no members on $1"
    await_end 40 $mpirun
    completed again
    # shellcheck disable=SC2086
    nothing_left $hosts
}

# ---- stories of the launcher -----------------------------------------------------------------

steps=600
# reference: the same task without a loss and without hosts
reference() {
    "$onward" run -n 2 -q --task reference -- "$trial" --alloc --steps $steps >"$work/reference.log" 2>&1 ||
        fail "the reference"
}

# launch TASK OPTION...: trial over the hosts, $steps of at least 10 ms; its PID is in $launcher
launch() {
    task=$1
    shift
    start_onward "$task" run --detect 3 "$@" -- "$trial" --alloc --steps $steps --pause 10000
    launcher=$!
}

# before_loss TASK: what no loss from now on may take away
before_loss() { known=$(step_of "$1") lost_at=$(now_ms); }

# kill_worker TASK HOST: the last one there, by the newest members.json; never the controller
kill_worker() {
    pid=$(tr -d ' \n' <"$work/$1/members.json" | grep -o '{"member":[^}]*}' |
        grep "\"controller\":false,\"host\":\"$2\"" | sed -n 's/.*"pid":\([0-9]*\).*/\1/p' | tail -n 1)
    [ -n "$pid" ] && on "$2" kill -KILL "$pid"
}

# opening TASK INCARNATION: the event of the first epoch of an incarnation
opening() { grep '"event": *"epoch"' "$work/$1/events.jsonl" | grep "\"incarnation\": *$2," | head -n 1; }
has_opening() { [ -n "$(opening "$@")" ]; }
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p"; } # NAME: of the event in stdin

# relaunched TASK INCARNATION WORKERS: it goes on in that incarnation with so many, from a step that
# is no older than the newest one known before the loss, which it took from the hosts' memory
relaunched() {
    await 60 has_opening "$1" "$2"
    resumed=$(opening "$1" "$2" | field resume_step) workers=$(opening "$1" "$2" | field workers)
    since "incarnation $2 goes on with $workers workers from step $resumed ($known was known)"
    [ "$workers" = "$3" ] || fail "incarnation $2 has $workers workers, expected $3"
    [ "$(opening "$1" "$2" | field source)" = local ] || fail "not from memory: $(opening "$1" "$2")"
    [ "$resumed" -ge "$known" ] || fail "step $known was complete, incarnation $2 went on from $resumed"
}

# steps_within SECONDS TASK: from the loss to the first step behind those that were kept
steps_within() {
    await_step "$1" "$2" $((resumed + 1))
    took_ms=$(($(now_ms) - lost_at))
    since "a new step"
    [ $took_ms -le $(($1 * 1000)) ] || fail "no new step for $took_ms ms, expected $1 s at most"
}

# stalled_within SECONDS TASK INCARNATION: as its first epoch says, and not for no time
stalled_within() {
    stall_s=$(opening "$2" "$3" | field stall_s)
    awk -v stall="$stall_s" -v most="$1" 'BEGIN { exit !(stall > 0 && stall <= most) }' ||
        fail "incarnation $3: a stall of $stall_s s, expected more than 0 and $1 s at most"
}

hosts_lost() { # TASK INCARNATION: as it was said when it began
    grep '"event": *"relaunch"' "$work/$1/events.jsonl" | grep "\"incarnation\": *$2," |
        sed 's/.*"hosts_lost": *\[\([^]]*\)\].*/\1/' | tr -d '" '
}

# ends_well TASK [SECONDS]: in so many (90) complete, equal to the reference, and nothing of it is anywhere
ends_well() {
    await_end "${2:-90}" $launcher
    [ $status = 0 ] || fail "$1 ended with $status"
    completed "$1"
    equal reference "$1"
    # shellcheck disable=SC2086
    nothing_left $hosts
}

# ---- the launcher on a host ------------------------------------------------------------------

# serve_agents: what `lab agent' needs is not on the hosts; one there asks this machine for it, as
# $work/agent HOST CMD..., by files that all of them see
serve_agents() {
    mkdir "$work/asks"
    mkfifo "$work/asks/new"
    cat >"$work/agent" <<END
#!/bin/sh
base=$work/asks/\$(hostname).\$\$.\$(date +%N)
mkfifo "\$base.in" "\$base.out" "\$base.err"
printf '%s ' "\$@" >"\$base.words"
echo "\$base" >$work/asks/new
cat <&0 >"\$base.in" &
feeder=\$!
cat "\$base.err" >&2 &
complaints=\$!
cat "\$base.out"
wait \$complaints
kill \$feeder 2>/dev/null
tries=100
until [ -s "\$base.code" ] || [ \$tries = 0 ]; do tries=\$((tries - 1)); sleep 0.05; done
code=\$(cat "\$base.code" || echo 255)
rm -f "\$base".*
exit "\$code"
END
    chmod +x "$work/agent"
    answer_asks >"$work/asks.log" 2>&1 &
    backgrounds="$backgrounds $!"
}
answer_asks() {
    while read -r base; do
        answer_ask "$base" &
    done <>"$work/asks/new"
}
answer_ask() { # BASE: as with ssh, the words become a line for the shell there, whatever is in them
    words=$(cat "$1.words") code=0
    "$lab" agent "${words%% *}" "${words#* }" <"$1.in" >"$1.out" 2>"$1.err" || code=$?
    echo $code >"$1.code.new"
    mv "$1.code.new" "$1.code"
}

# onward_on HOST LOG ARGUMENT...: onward there, output in $work/LOG.log; its PID here is in $launcher
onward_on() {
    host=$1 log=$2
    shift 2
    in_background "$log" "$lab" sh "$host" env "ONWARD_DIR=$work" "$onward" "$@"
    launcher=$!
}

# ---- stories of sharded state: a field in blocks, examples/stencil.c ---------------------------

plate="480 400 3000" # rows, columns, steps
# launch_plate TASK OPTION...: on the hosts, with copies every 10 steps; its PID is in $launcher
launch_plate() {
    task=$1
    shift
    # shellcheck disable=SC2086
    ONWARD_LOCAL_STEPS=10 start_onward "$task" run --detect 3 "$@" -- "$builddir/stencil" $plate
    launcher=$!
}
plate_reference() { # the same plate without a loss and without hosts
    # shellcheck disable=SC2086
    "$onward" run -n 2 -q --task reference -- "$builddir/stencil" $plate >"$work/reference.log" 2>&1 ||
        fail "the reference"
}

# goes_on TASK INCARNATION WORKERS SOURCE: with so many, from local copies or a checkpoint
goes_on() {
    await 60 has_opening "$1" "$2"
    opened=$(opening "$1" "$2")
    resumed=$(echo "$opened" | field resume_step)
    since "incarnation $2 goes on from step $resumed ($known was known): $opened"
    [ "$(echo "$opened" | field workers)" = "$3" ] || fail "not with $3 workers: $opened"
    [ "$(echo "$opened" | field source)" = "$4" ] || fail "not from $4: $opened"
}
# gave HOST LEVEL: in the newest goes_on, local or partner copies came from it
gave() { echo "$opened" | grep -q "\"host\": *\"$1\",[^}]*\"$2\": *\[[0-9]"; }
