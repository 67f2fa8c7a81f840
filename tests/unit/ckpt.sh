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
ckpt 0 ls a; says 'STEP .*TIME .*STATE'; says '30 .* 3 .* complete$'
ckpt 0 ls a --json; json '[e["step"] for e in j] == [30, 20, 10] and all(e["state"] == "complete" and e["complete"] is True for e in j)'
ckpt 0 show a; says '^step 30$'; says 'layer0/weights *float32 *\[6, 5\]'; says '3 shards'
ckpt 0 show a 10 --json; json 'j["step"] == 10 and len(j["arrays"]) == 4 and j["shards"] == 3'
ckpt 0 sum a 20; cp "$work/out" "$work/sum.20"; says '  / (all)$'; says '  all$'
[ "$(wc -l <"$work/out")" = 5 ] || fail "expected a line for each array and one for all"
tail -n 1 "$work/out" | grep -q '  / (all)$' || fail "the sum of all is not the last line"
ckpt 0 sum a --step 20; cmp -s "$work/out" "$work/sum.20" || fail "the sums of step 20 differ"
ckpt 0 sum a --json; json 'set(j["sums"]) == {"layer0/weights", "count", "empty", "all"} and j["step"] == 30'
json 'len(j["all"]) == 32 and j["all"] not in j["sums"].values()' # the array all has its own
ckpt 0 ls a; says ' 10 .* loss 10  *complete$'; ckpt 0 ls a --json; json '[c["metrics"]["loss"] for c in j] == [abs(c["step"] - 20) for c in j]'
ckpt 0 show a 10; says ', metric: loss 10$'
ckpt 0 verify a; says '10  ok$'
ckpt 0 verify a 20 --json; json 'j == [{"step": 20, "ok": True, "text": ""}]'

refused; refused nothing a; refused ls; refused ls nobody; refused ls a 10; refused show a 10 20
refused show a 40; refused show a x; refused sum a -1; refused verify a 40; refused rm a
refused rm a 40; refused rm a 10 40; refused export a; refused ls a -o "$work/x"; refused show a --force
refused export a 40 -o "$work/x.h5"; refused export a -o "$work/no/x.h5"; refused ls a --nonsense
[ "$(steps a)" = '10 20 30 ' ] || fail "bad input removed something: $(steps a)"

# Export: plain, and over nothing but a plain file, which is asked for.
ckpt 0 export a 20 -o "$work/plain.h5"; says 'step 20 is in .*plain.h5, [0-9]* bytes'
refused export a 10 -o "$work/plain.h5"; says 'is there already'
ckpt 0 export a 20 -o "$work/plain.h5" --force --json; json 'j["step"] == 20'
ln "$work/plain.h5" "$work/alone.h5"
mkdir "$work/place"; ln -s ../plain.h5 "$work/place/link"; ln -s nowhere "$work/place/broken"
ln -s "$work/a/ckpt" "$work/place/inside"; mkfifo "$work/place/fifo"
mknod "$work/place/device" c 1 3 2>/dev/null || mkfifo "$work/place/device"
long=$(printf '%0250d' 0)
before=$(find "$work" -printf '%p %y %s %l\n' | grep -v "^$work/out " | sort; cksum "$work/a/ckpt/"*.h5)
refused export a -o ''; says 'expected the name of a file'
refused export a --force -o ''; refused export a --force -o "$work/place/new/"
refused export a --force -o "$work/place"; says 'no plain file'
refused export a --force -o "$work/place/device"; refused export a --force -o "$work/place/fifo"
refused export a -o "$work/place/device"; says 'is there already'
refused export a -o "$work/place/link"; says 'is there already'
refused export a --force -o "$work/place/broken"; says 'is a link to what is not there'
refused export a 10 --force -o "$work/a/ckpt/step-00000020.h5"; says 'in the run directory'
refused export a 10 --force -o "$work/place/inside/step-00000020.h5"; says 'in the run directory'
refused export a -o "$work/a/new.h5"; says 'in the run directory'
cd "$work/a/logs" || exit 1
refused export a -o new.h5; says 'in the run directory'
cd "$build" || exit 1
refused export a -o "$work/plain.h5/x"; refused export a -o "$long$long"; refused export a -o "$work/$long"
[ "$before" = "$(find "$work" -printf '%p %y %s %l\n' | grep -v "^$work/out " | sort; cksum "$work/a/ckpt/"*.h5)" ] ||
    fail "an export that was refused changed something"
ckpt 0 export a 30 --force -o "$work/place/link"
[ -L "$work/place/link" ] || fail "the link was replaced, not its file"
! cmp -s "$work/plain.h5" "$work/alone.h5" || fail "the file of the link is as it was"
[ -z "$(find "$work" -name '*.tmp-*')" ] || fail "temporary files are left"

# Removal: not the last whole one, unless forced; all that is named or nothing.
ckpt 0 rm a 10; says 'removed the checkpoint of step 10, [0-9]* bytes'
[ "$(steps a)" = '20 30 ' ] && [ ! -e "$work/a/ckpt/step-00000010.shards" ] || fail "step 10 is left"
refused rm a 20 30; says 'no checkpoint .* whole .*would be left'
damage "$work/a/ckpt/step-00000020.shards/"r000*
refused rm a 30; says 'would be left' # what stays is damaged
ckpt 1 verify a; says '20  no: .*step-00000020.shards/r000.*damaged'; says '30  ok'
ckpt 0 rm a 20 --json; json 'j["removed"][0]["step"] == 20'
refused rm a 30; ckpt 0 rm a 30 --force
[ "$(steps a)" = '' ] || fail "left after rm --force: $(steps a)"
ckpt 2 show a; ckpt 0 ls a

# Damage is bad input, in one line; ls and show say what they looked at, which is no block.
write d 2 10 20 30
damage "$work/d/ckpt/step-00000020.shards/"r000*
truncate -s +1 "$work/d/ckpt/step-00000030.shards/"r001*
ckpt 0 ls d; says '20 .* complete$'; says '30 .* incomplete: a shard is missing or has another size$'
ckpt 0 ls d --json; json '[e["complete"] for e in j] == [False, True, True] and not any("whole" in e for e in j)'
ckpt 0 show d 20; says '^complete, written'; ckpt 0 show d 30; says '^incomplete, written'
ckpt 1 verify d; says '20  no: .*damaged'; says '30  no: .*bytes, expected'; ckpt 1 verify d 20
refused sum d 20; says 'step-00000020.shards/r000.*damaged'; refused sum d 30 --json
refused export d 20 -o "$work/no.h5"; says 'step-00000020.shards/r000.*damaged'
[ -z "$(find "$work" -name 'no.h5*')" ] || fail "a damaged one was exported"
printf x >>"$work/d/ckpt/step-00000020.h5"
refused show d 20; says 'step-00000020.h5: is damaged'; refused sum d 20; ckpt 1 verify d 20
ckpt 0 ls d; says '20  not readable: .*step-00000020.h5: is damaged'
ckpt 0 rm d 20 30 # damaged ones, and step 10 is whole
write e 1 10
for other in mkdir mkfifo; do
    $other "$work/e/ckpt/step-00000020.h5"
    refused show e 20; says 'expected a plain file'; refused sum e 20; ckpt 1 verify e 20
    ckpt 0 ls e; says '20  not readable: .*expected a plain file'
    [ $other = mkfifo ] && break
    refused rm e 20; says 'is a directory'; refused rm e 10 20 --force
    [ -e "$work/e/ckpt/step-00000010.h5" ] || fail "rm removed one of two"
    rmdir "$work/e/ckpt/step-00000020.h5"
done
ckpt 0 rm e 20
rm -r "$work/e/ckpt"; touch "$work/e/ckpt"
for subverb in ls show sum verify; do refused $subverb e; says '/e/ckpt: expected a directory'; done
refused show e 10; refused sum e 10; refused rm e 10

# A mark is not damage: one that is marked may be the last whole one.
write f 2 10 20
write f mark 20
ckpt 0 ls f; says '20 .* failed: failed to be restored before: a test'
ckpt 0 ls f --json; json '[(e["state"], e["complete"]) for e in j] == [("failed", True), ("complete", True)]'
damage "$work/f/ckpt/step-00000010.shards/"r000*
refused rm f 20; says 'would be left'; refused rm f 10 20
[ "$(steps f)" = '10 20 ' ] || fail "left: $(steps f)"
ckpt 0 rm f 10 # is damaged
ckpt 0 verify f; says 'is used again'; refused rm f 20; ckpt 0 rm f 20 --force
write g 2 10 20
write g mark 20
refused rm g 10; says 'would be left' # the one that stays is passed over
damage "$work/g/ckpt/step-00000020.shards/"r000*
ckpt 0 rm g 20

# One of another task is told, and counts for nothing.
write y 2 200
write z 2 10 20
cp -r "$work/y/ckpt/step-00000200.h5" "$work/y/ckpt/step-00000200.shards" "$work/z/ckpt/"
ckpt 0 ls z; says '200 .* other task: is of task y$'; says '20 .* complete$'
ckpt 0 ls z --json; json '[(e["state"], e["task"]) for e in j] == [("other task", "y"), ("complete", "z"), ("complete", "z")]'
ckpt 0 show z 200; says '^other task, written'; ckpt 0 show z; says '^step 20$'
ckpt 1 verify z; says '200  no: .*is of task y, expected z'
refused rm z 10 20; says 'would be left'
ckpt 0 rm z 10; refused rm z 20; says 'would be left'
[ "$(steps z)" = '20 200 ' ] || fail "left: $(steps z)"
ckpt 0 rm z 200; refused rm z 20; ckpt 0 rm z 20 --force

# A task that is running counts on its newest checkpoint.
write b 2 10 20
cp -r "$work/y/ckpt/step-00000200.h5" "$work/y/ckpt/step-00000200.shards" "$work/b/ckpt/" # is not its newest
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
        $python - "$file" "$("$onward" --version)" >"$work/out" 2>&1 <<'END' || fail "$what"
import datetime, sys, h5py
def text(value):
    return value.decode() if isinstance(value, bytes) else value
with h5py.File(sys.argv[1], "r") as file:
    weights = file["layer0/weights"][:]
    assert weights.shape == (6, 5) and weights.dtype == "float32", weights
    assert [float(x) for x in weights.ravel()] == [20 + i / 8 for i in range(30)]
    assert list(file["count"][:]) == [20, 21, 22] and file["empty"].shape == (0,)
    assert file.attrs["step"] == 20 and file.attrs["metric_value"] == 0
    assert file.attrs["metric"] in (b"loss", "loss") and file.attrs["task"] in (b"a", b"c", "a", "c")
    assert ("shard_names" in file.attrs) == ("ckpt" in sys.argv[1].split("/"))
    assert "onward " + text(file.attrs["onward_version"]) == sys.argv[2], file.attrs["onward_version"]
    time = datetime.datetime.fromisoformat(text(file.attrs["time"]).replace("Z", "+00:00"))
    age = datetime.datetime.now(datetime.timezone.utc) - time
    assert -5 < age.total_seconds() < 600, age
END
    done
else
    echo "h5py is not installed: not tried"
fi
echo "$tests tests, $failures failed"
[ $failures = 0 ]
