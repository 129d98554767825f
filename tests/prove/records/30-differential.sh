#!/usr/bin/env bash
# 2,000 random filters and sorts and 5,000 random writes: npm's PocketBase and Tenon answer alike.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../lib.sh"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$here/../../e2e/differential/run.sh" "$BUILD" >"$log"
row "differential: ends well" "tests/e2e/differential/run.sh BUILD" "status 0" "status $?"
row "differential: filters and sorts" "tests/e2e/differential/run.sh BUILD" 2000 "$(sed -n 's/^questions\t//p' "$log")"
row "differential: writes" "tests/e2e/differential/run.sh BUILD" 5000 "$(sed -n 's/^writes\t//p' "$log")"
row "differential: answers that differ without a reason" "tests/e2e/differential/run.sh BUILD" 0 \
	"$(sed -n 's/^different\t//p' "$log")"
within "differential: answers that are the same" "tests/e2e/differential/run.sh BUILD" "at least 6000 of 7000" \
	"$(sed -n 's/^same\t//p' "$log")" ">=" 6000
# Each reason stands in the guide too.
while IFS=$'\t' read -r _ n reason; do
	row "differential: $n differences are documented: $reason" "grep docs/pocketbase.md" yes \
		"$(grep -qF "$reason" "$here/../../../docs/pocketbase.md" && echo yes || echo no)"
done < <(grep '^explained' "$log")
