# shellcheck shell=sh disable=SC2154,SC2034 # what lib.sh sets, and what it uses
# copies.sh - what the scenarios with local copies share, behind lib.sh: the program stencil on hosts
# that are made of names and of node-local directories of their own, two workers a host, behind the
# controller. preload: what is to be loaded before the C library.
unshare -u true 2>/dev/null || { echo "a host name of its own needs rights that are not here"; exit 77; }
local_dirs=$ONWARD_LOCAL_DIR
past() { [ "$(steps_of "$1")" -ge "$2" ]; }
cat >"$work/on_host" <<END
#!/bin/sh
host=h\$(((OMPI_COMM_WORLD_RANK + 1) / 2))
mkdir -p "$local_dirs/\$host"
export ONWARD_LOCAL_DIR="$local_dirs/\$host"
exec unshare -u sh -c 'hostname "\$0"; exec "\$@"' "\$host" env LD_PRELOAD="\$preload" "$builddir/stencil" "\$@"
END
chmod +x "$work/on_host"
trial=$work/on_host
export ONWARD_REPLACE=none ONWARD_LOCAL_STEPS=10 preload=

# cut_short TASK WORKERS [ARGUMENT...]: killed at once as a whole, behind step 200
cut_short() {
    task=$1 workers=$2; shift 2
    start_in_background "$task" "$workers" '' "$@"
    launched=$!
    await 30 past "$task" 200
    kill_all $launched
    wait $launched 2>/dev/null || true
}
