# ridge_data.sh - a small data set for the trainer ridge, its configs, and the serial solution.
# shellcheck shell=sh

# make_data ROWS FILE: three classes, each of which raises another of five features
make_data() {
    awk -v n="$1" 'BEGIN {
        seed = 7
        for (i = 0; i < n; i++) {
            line = i % 3
            for (k = 0; k < 5; k++) {
                seed = (seed * 16807) % 2147483647
                line = line "," (seed % 1000) / 500 + (i % 3 == k)
            }
            print line
        }
    }' >"$2"
}
# import_data ROWS: so many to learn from, a third of it to test, into data.h5
import_data() {
    make_data "$1" "$work/train.csv"
    make_data $(($1 / 3)) "$work/test.csv"
    "$onward" import csv --train "$work/train.csv" --test "$work/test.csv" --label-column 0 \
        "$work/data.h5" >"$work/import.log" 2>&1 || fail "no data"
}
# make_config NAME MODEL TRAIN
make_config() {
    printf 'trainer: ridge\ndata: {file: %s}\nmodel: {%s}\ntrain: {%s}\n' \
        "$work/data.h5" "$2" "$3" >"$work/$1.yaml"
}
# check CONFIG TOLERANCE TASK [OTHER TASK]: against LAPACK, or the other
check() {
    "$builddir/ridge_check" "$work/$1.yaml" "$2" "$work/$3/result.h5" ${4:+"$work/$4/result.h5"} \
        >"$work/check.log" 2>&1 || fail "$3 differs from ${4:-the serial solution}: $(cat "$work/check.log")"
}
