#!/usr/bin/env bash
# Reads, lists and creates beside PocketBase and a server written by hand; growth; encoding. Rules, audit, fsync on.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../lib.sh"
figures=$BUILD/bench/figures.tsv
rm -f "$figures"
"$here/../../bench/run.sh" "$BUILD" 1 2 3 4 5 14 16 >&2 || echo "the benchmark ended with status $?" >&2

# seen NAME: the figure, or why there is none.
seen() {
	local value
	value=$(awk -F'\t' -v n="$1" '$1 == n { v = $2 } END { print v }' "$figures" 2>/dev/null)
	echo "${value:-not measured}"
}
# least NUMBER WHAT PEER TIMES: at least that many times the peer's requests/s
least() {
	within "$2, beside $3" "./dev bench $1" "at least $4 times its requests/s" "$(seen "$1.vs_${3,,}")" ">=" "$4"
}
least 2 "get one of 10,000 records" PocketBase 15
least 2 "get one of 10,000 records" Fastify 2
within "get one of 10,000 records, p99" "./dev bench 2" "below 3 ms" "$(seen 2.tenon.p99_ms)" "<=" 2.99
least 3 "list 30 with total" PocketBase 20
least 3 "list 30 with total" Fastify 2.5
least 4 "list 30, filter and sort without an index, with total" PocketBase 5
least 4 "list 30, filter and sort without an index, with total" Fastify 1.8
within "list 30 by an index" "./dev bench 14" "at least 20000/s" "$(seen 14.list_10000.rps)" ">=" 20000
least 5 "create, on disk before the answer" PocketBase 12
least 5 "create, on disk before the answer" Fastify 1
within "create, on disk before the answer" "./dev bench 5" "at least 26000/s" "$(seen 5.tenon.rps)" ">=" 26000
within "get one of 1,000,000 beside one of 10,000" "./dev bench 14" "at least 0.75" "$(seen 14.get_growth)" ">=" 0.75
within "list 30 by an index of 1,000,000 beside 10,000" "./dev bench 14" "at least 0.75" "$(seen 14.list_growth)" ">=" 0.75
within "a record of 1 KB from its row into the answer" "./dev bench 16" "at most 1.7 microseconds" "$(seen 16.encode_us)" "<=" 1.7
void=$(awk -F'\t' '$1 == "void" { printf "%s%s", (n++ ? ", " : ""), $2 }' "$figures" 2>/dev/null)
row "no peer was slowed" "./dev bench" "every peer at full speed" \
	"$([ -s "$figures" ] && echo "${void:-every peer at full speed}")"
