#!/usr/bin/env bash
# 80-bench.sh - the bench line of the slice: ratios within one run, 99th percentiles, worker start
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../lib.sh
. "$here/../lib.sh"

bench=$here/../../bench/run.sh
figures=$BUILD/bench/figures.tsv
rm -f "$figures"
"$bench" "$BUILD" 1 2 5 9 >&2 || echo "the benchmark ended with status $?" >&2

# seen NAME: the figure, or why there is none.
seen() {
	local value
	value=$(awk -F'\t' -v n="$1" '$1 == n { v = $2 } END { print v }' "$figures" 2>/dev/null)
	if [ -n "$value" ]; then echo "$value"; else echo "not measured"; fi
}

within "a plugin's route of 1 KB beside bare libmicrohttpd" "./dev bench 1" \
	"at least 0.40 times its requests/s" "$(seen 1.vs_bare)" ">=" 0.40
within "get one of 10,000 records beside PocketBase" "./dev bench 2" \
	"at least 8 times its requests/s" "$(seen 2.vs_pocketbase)" ">=" 8
within "create, on disk before the answer, beside PocketBase" "./dev bench 5" \
	"at least 5 times its requests/s" "$(seen 5.vs_pocketbase)" ">=" 5
within "a worker from spawn to ready, median" "./dev bench 9" \
	"at most 5 ms" "$(seen 9.start_p50_ms)" "<=" 5
# A peer that was slower than it is elsewhere would make the ratios say nothing.
void=$(awk -F'\t' '$1 == "void" { printf "%s%s", (n++ ? ", " : ""), $2 }' "$figures" 2>/dev/null)
row "no peer was slowed" "./dev bench" "every peer at full speed" \
	"$([ -s "$figures" ] && echo "${void:-every peer at full speed}")"
