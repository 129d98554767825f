#!/usr/bin/env bash
# run.sh SUITE BUILD [PART...] - runs the parts of a suite and prints what each line expected and saw.
#
# A part is tests/prove/SUITE/NN-name.sh; it calls row LINE COMMAND EXPECTED SEEN. PASS is when seen equals
# expected byte for byte, so expected is a literal. A part that ends without a row, or with another status than
# 0, is a FAIL; so is a suite with fewer rows than tests/prove/SUITE/rows says.
set -uo pipefail
suite=$1 build=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
export BUILD=$build PROVE_ROWS
PROVE_ROWS=$(mktemp)
trap 'rm -f "$PROVE_ROWS"' EXIT

parts=("$here/$suite"/[0-9]*.sh)
wanted=$(cat "$here/$suite/rows")
if [ $# -gt 0 ]; then
	parts=()
	for name in "$@"; do parts+=("$here/$suite"/*"$name"*.sh); done
	wanted=1
fi
for part in "${parts[@]}"; do
	before=$(wc -l <"$PROVE_ROWS")
	log=$(mktemp)
	bash "$part" 2>"$log"
	rc=$?
	if [ $rc != 0 ] || [ "$(wc -l <"$PROVE_ROWS")" = "$before" ]; then
		printf 'FAIL\t%s\t%s\n' "${part##*/}" "ended with status $rc" >>"$PROVE_ROWS"
		printf 'FAIL  %s ended with status %s\n' "${part##*/}" "$rc"
		tail -n 20 "$log" | sed 's/^/      /'
	fi
	rm -f "$log"
done
rows=$(wc -l <"$PROVE_ROWS")
failed=$(grep -c '^FAIL' "$PROVE_ROWS")
if [ "$rows" -lt "$wanted" ]; then
	echo "FAIL  $rows rows were seen, the suite has $wanted"
	failed=$((failed + 1))
fi
echo "$suite: $rows lines, $failed failed"
[ "$failed" = 0 ]
