#!/usr/bin/env bash
# What was acknowledged survives a kill of the core, and nothing is sold that is not there.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../lib.sh"
seen_file=$(mktemp)
trap 'rm -f "$seen_file"' EXIT

seen() { sed -n "s/^$1=//p" "$seen_file"; }

"$here/../../fault/kill9.sh" "$BUILD" 50 >"$seen_file"
command="tests/fault/kill9.sh BUILD 50"
row "kill -9: runs with 64 writers on one data folder" "$command (runs)" 50 "$(seen runs)"
within "kill -9: acknowledgements in the run with the fewest" "$command (acknowledged_least)" "at least 1000" \
	"$(seen acknowledged_least)" ">=" 1000
row "kill -9: acknowledged records missing" "$command (missing)" 0 "$(seen missing)"
row "kill -9: writes refused before the kill" "$command (refused)" 0 "$(seen refused)"
row "kill -9: runs after which tenon audit verify did not exit 0, before the start and after it" \
	"$command (verify_failed_before_start, verify_failed_after_start)" "0 0" \
	"$(seen verify_failed_before_start) $(seen verify_failed_after_start)"
within "kill -9: exec to the first 200 of /readyz, slowest run, ms" "$command (ready_ms_slowest)" "at most 1000" \
	"$(seen ready_ms_slowest)" "<=" 1000
within "kill -9: exec to the first record read, slowest run, ms" "$command (read_ms_slowest)" "at most 1000" \
	"$(seen read_ms_slowest)" "<=" 1000
within "kill -9: spawner and workers that the core had, run with the fewest" "$command (family_least)" "at least 3" \
	"$(seen family_least)" ">=" 3
row "kill -9: of these still running after 1 s" "$command (strays)" 0 "$(seen strays)"

"$here/../../fault/stock.sh" "$BUILD" >"$seen_file"
command="tests/fault/stock.sh BUILD"
row "stock: of 200 concurrent order lines for 10 in stock succeed" "$command (succeeded)" 10 "$(seen succeeded)"
row "stock: are refused with 400" "$command (refused)" 190 "$(seen refused)"
row "stock: what is left" "$command (stock)" 0 "$(seen stock)"
row "stock: lines in the database" "$command (lines)" 10 "$(seen lines)"
