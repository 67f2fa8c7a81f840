# shellcheck shell=sh
# lib.sh - medians and rows of the figures, for the scripts of bench/.

median() { # of the numbers in a file, or of what comes in
    sort -g "$@" | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)]; else print "nan" }'
}
# row NAME ONWARD FLOOR UNIT AIM; without a floor it is "-". AIM: at most X, under X or at least X, of
# the ratio, or without a floor of the figure; a row that misses it says so.
row() {
    awk -v n="$1" -v a="$2" -v b="$3" -v unit="$4" -v aim="$5" 'BEGIN {
        number = unit == "/s" ? "%12.0f" : "%12.3f"
        ratio = b == "-" ? b : sprintf("%.3f", a / b)
        split(aim, word, " ")
        bound = word[1] == "under" ? word[2] : word[3]
        figure = ratio == "-" ? a : ratio
        is_missed = word[2] == "least" ? figure + 0 < bound + 0 : figure + 0 > bound + 0
        if (aim != "" && (figure == "nan" || is_missed)) aim = aim ": missed"
        b = b == "-" ? b : sprintf(number, b)
        printf "%-52s " number " %12s %-3s %7s  %s\n", n, a, b, unit, ratio, aim }'
}
# row_ms, row_us NAME ONWARD_S FLOOR_S AIM
row_ms() { row "$1" "$(scaled 1e3 "$2")" "$(scaled 1e3 "$3")" ms "$4"; }
row_us() { row "$1" "$(scaled 1e6 "$2")" "$(scaled 1e6 "$3")" us "$4"; }
scaled() { awk -v factor="$1" -v value="$2" 'BEGIN { print value == "" ? "nan" : factor * value }'; }
