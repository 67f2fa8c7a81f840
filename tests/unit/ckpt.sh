#!/bin/sh
# ckpt.sh - onward ckpt: lists, shows, sums, verifies, removes and exports what write_checkpoint
# wrote; bad input is one line and exit status 2, and changes nothing.
set -u
build=$(cd "${builddir:-.}" && pwd)
onward=$build/onward
work=$(mktemp -d "${TMPDIR:-/tmp}/onward-ckpt.XXXXXX")
trap 'rm -rf "$work"' EXIT
export ONWARD_DIR="$work"
failures=0 tests=0
fail() { failures=$((failures + 1)); echo "FAIL: $*"; sed 's/^/    /' "$work/out"; }
# ckpt STATUS SUBVERB ARGUMENT...
ckpt() {
    expected=$1 what=$*; shift
    tests=$((tests + 1))
    timeout 60 "$onward" ckpt "$@" >"$work/out" 2>&1
    status=$?
    [ $status = "$expected" ] || fail "$what: exit status $status, expected $expected"
}
# refused SUBVERB ...: bad input
refused() {
    ckpt 2 "$@"
    [ "$(wc -l <"$work/out")" = 1 ] || fail "$*: expected one line"
}
says() { grep -q -- "$1" "$work/out" || fail "$what: expected: $1"; }
json() { # EXPRESSION on the object or list j
    python3 -c "import json, sys; j = json.load(open(sys.argv[1])); sys.exit(not ($1))" "$work/out" ||
        fail "$what: expected: $1"
}
write() { "$build/tests/unit/write_checkpoint" "$work" "$@" || fail "write_checkpoint $*"; }
steps() { find "$work/$1/ckpt" -name '*.h5' -path '*/ckpt/step-*' ! -path '*.shards/*' | sed 's/.*step-0*\([0-9]*\).h5/\1/' | sort -n | tr '\n' ' '; }
damage() { printf 'x' | dd of="$1" bs=1 seek=700 conv=notrunc 2>/dev/null; }

write a 3 10 20 30
ckpt 0 ls a; says 'STEP .*TIME .*STATE'; says '30 .* 3 .* whole$'
ckpt 0 ls a --json; json '[e["step"] for e in j] == [30, 20, 10] and j[0]["state"] == "whole"'
ckpt 0 show a; says '^step 30$'; says 'layer0/weights *float32 *\[6, 5\]'; says '3 shards'
ckpt 0 show a 10 --json; json 'j["step"] == 10 and len(j["arrays"]) == 3 and j["shards"] == 3'
ckpt 0 sum a 20; cp "$work/out" "$work/sum.20"; says '  all$'
ckpt 0 sum a --step 20; cmp -s "$work/out" "$work/sum.20" || fail "the sums of step 20 differ"
ckpt 0 sum a --json; json 'set(j["sums"]) == {"layer0/weights", "count", "empty", "all"}'
ckpt 0 verify a; says '10  ok$'
ckpt 0 verify a 20 --json; json 'j == [{"step": 20, "ok": True, "text": ""}]'

refused; refused nothing a; refused ls; refused ls nobody; refused ls a 10; refused show a 10 20
refused show a 40; refused show a x; refused sum a -1; refused verify a 40; refused rm a
refused rm a 40; refused rm a 10 40; refused export a; refused ls a -o "$work/x"; refused show a --force
refused export a 40 -o "$work/x.h5"; refused export a -o "$work/no/x.h5"; refused ls a --nonsense
[ "$(steps a)" = '10 20 30 ' ] || fail "bad input removed something: $(steps a)"

# Export: plain, and never over a file that is there.
ckpt 0 export a 20 -o "$work/plain.h5"; says 'step 20 is in .*plain.h5, [0-9]* bytes'
refused export a 10 -o "$work/plain.h5"; says 'is there already'
ckpt 0 export a 20 -o "$work/plain.h5" --force --json; json 'j["step"] == 20'
ln "$work/plain.h5" "$work/alone.h5"
[ -z "$(find "$work" -name '*.tmp-*')" ] || fail "temporary files are left"

# Removal: not the last whole one, unless forced; all that is named or nothing.
ckpt 0 rm a 10; says 'removed the checkpoint of step 10, [0-9]* bytes'
[ "$(steps a)" = '20 30 ' ] && [ ! -e "$work/a/ckpt/step-00000010.shards" ] || fail "step 10 is left"
refused rm a 20 30; says 'no whole checkpoint .*would be left'
damage "$work/a/ckpt/step-00000020.shards/"r000*
refused rm a 30; says 'would be left' # what stays is damaged
ckpt 1 verify a; says '20  no: .*step-00000020.shards/r000.*damaged'; says '30  ok'
ckpt 0 rm a 20 --json; json 'j["removed"][0]["step"] == 20'
refused rm a 30; ckpt 0 rm a 30 --force
[ "$(steps a)" = '' ] || fail "left after rm --force: $(steps a)"
ckpt 2 show a; ckpt 0 ls a

# A task that is running counts on its newest checkpoint.
write b 2 10 20
exec 9<>"$work/b/lock"
python3 - <<'END' &
import fcntl, os, time
fcntl.lockf(9, fcntl.LOCK_EX)
open(os.environ["ONWARD_DIR"] + "/held", "w").close()
time.sleep(60)
END
holder=$!
until [ -e "$work/held" ]; do sleep 0.05; done
refused rm b 20; says 'which is running'
ckpt 0 rm b 10
kill $holder

# What other programs make of it.
if command -v h5dump >/dev/null && command -v h5ls >/dev/null; then
    write c 3 20
    for file in "$work/alone.h5" "$work/c/ckpt/step-00000020.h5"; do
        tests=$((tests + 1)) what="h5dump $file"
        h5dump -d layer0/weights "$file" >"$work/out" 2>&1 || fail "$what"
        says 'H5T_IEEE_F32LE'; says '(5,0): 23.125, 23.25, 23.375, 23.5, 23.625'
        h5ls -r "$file" >"$work/out" 2>&1 || fail "h5ls $file"
        says '/layer0/weights *Dataset {6, 5}'; says '/count *Dataset {3}'
        h5dump -a step "$file" >"$work/out" 2>&1; says '(0): 20$'
    done
else
    echo "h5dump and h5ls are not installed: not tried"
fi
python=
for candidate in python3 /usr/bin/python3; do
    $candidate -c 'import h5py' 2>/dev/null && python=$candidate && break
done
if [ -n "$python" ]; then
    for file in "$work/alone.h5" "$work/a/../c/ckpt/step-00000020.h5"; do
        [ -e "$file" ] || continue
        tests=$((tests + 1)) what="h5py $file"
        $python - "$file" >"$work/out" 2>&1 <<'END' || fail "$what"
import sys, h5py
with h5py.File(sys.argv[1], "r") as file:
    weights = file["layer0/weights"][:]
    assert weights.shape == (6, 5) and weights.dtype == "float32", weights
    assert [float(x) for x in weights.ravel()] == [20 + i / 8 for i in range(30)]
    assert list(file["count"][:]) == [20, 21, 22] and file["empty"].shape == (0,)
    assert file.attrs["step"] == 20 and file.attrs["metric_value"] == 0
    assert file.attrs["metric"] in (b"loss", "loss") and file.attrs["task"] in (b"a", b"c", "a", "c")
    assert ("shard_names" in file.attrs) == ("ckpt" in sys.argv[1].split("/"))
END
    done
else
    echo "h5py is not installed: not tried"
fi
echo "$tests tests, $failures failed"
[ $failures = 0 ]
