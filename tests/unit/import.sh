#!/bin/sh
# import.sh - what onward import says off a terminal: a line every few seconds, here of one that is
# held up meanwhile; and what of a file that ends too early.
set -u
onward=$(cd "${builddir:-.}" && pwd)/onward
work=$(mktemp -d "${TMPDIR:-/tmp}/onward-import.XXXXXX")
importer='' failures=0
trap '[ -z "$importer" ] || kill -KILL "$importer" 2>/dev/null; rm -rf "$work"' EXIT

fail() { failures=$((failures + 1)); echo "FAIL: $*"; sed 's/^/    /' "$work/out" "$work/err"; }
is_begun() { ls "$work"/out.h5.tmp-* >/dev/null 2>&1; }
# import SECONDS OPTION...: stopped for so long once it writes
import() {
    pause_s=$1; shift
    rm -f "$work/out.h5"
    timeout 60 "$onward" import idx --train "$work/images" "$work/labels" "$@" "$work/out.h5" >"$work/out" 2>"$work/err" &
    importer=$!
    until is_begun || ! kill -0 $importer 2>/dev/null; do :; done
    if [ "$pause_s" != 0 ]; then
        stopped=$(pgrep -P $importer)
        kill -STOP "$stopped"; sleep "$pause_s"; kill -CONT "$stopped"
    fi
    wait $importer || fail "exit status $?"
    importer=''
}
# 262144 samples of 28 x 28 zeros
printf '\0\0\10\3\0\4\0\0\0\0\0\34\0\0\0\34' >"$work/images"
truncate -s $((16 + 262144 * 784)) "$work/images"
printf '\0\0\10\1\0\4\0\0\1' >"$work/labels"
truncate -s $((8 + 262144)) "$work/labels"

import 4
[ "$(grep -c '^train: [0-9]* of 262144 samples$' "$work/err")" -ge 1 ] || fail "slow: expected progress"
[ "$(wc -l <"$work/err")" -le 3 ] || fail "slow: expected a line every few seconds"
import 4 --quiet
[ ! -s "$work/err" ] || fail "quiet: expected no progress"

truncate -s 1000 "$work/images"
timeout 60 "$onward" import idx --train "$work/images" "$work/labels" "$work/out.h5" >"$work/out" 2>"$work/err"
[ $? = 2 ] || fail "cut: expected exit status 2"
grep -q 'images: is truncated: it ends within its samples, after 1000 bytes, expected 205520912$' "$work/err" ||
    fail "cut: no sizes"

echo "$failures failures"
[ $failures = 0 ]
