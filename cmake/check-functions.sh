#!/usr/bin/env bash
# check-functions.sh - no C function over 80 lines without a reason
#
# The reasons stand in cmake/long-functions.txt: "file function why it reads better in one piece". A reason
# without its long function is refused too, so the list cannot outlive the code. Relies on the house format:
# a function's body opens and closes with a brace in the first column.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -d .git ] || [ -f .git ]; then list=(git ls-files '*.c'); else list=(find server plugins tests -name '*.c'); fi
"${list[@]}" | LC_ALL=C sort | xargs awk '
	FNR == 1 { start = 0 }
	/^[a-z].*[(]/ && !inside { start = FNR; name = $0; sub(/[(].*/, "", name); sub(/.*[ *]/, "", name) }
	/^{$/ { inside = 1 }
	/^}/ {
		if (inside && start && FNR - start + 1 > 80)
			print FILENAME, name, FNR - start + 1
		inside = start = 0
	}' | awk '
	FNR == NR { if ($1 != "" && $1 !~ /^#/) reason[$1 " " $2] = NF > 2; next }
	{ key = $1 " " $2 }
	!(key in reason) || !reason[key] { print key " has " $3 " lines and no reason in cmake/long-functions.txt"; bad = 1; next }
	{ seen[key] = 1 }
	END {
		for (key in reason)
			if (!seen[key]) { print key " stands in cmake/long-functions.txt and is not a long function"; bad = 1 }
		exit bad
	}' cmake/long-functions.txt -
