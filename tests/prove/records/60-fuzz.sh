#!/usr/bin/env bash
# 10,000,000 executions of the filter fuzzer, 1,000,000 of each other.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../lib.sh"
cd "$here/../../.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

./dev fuzz --build >"$log" 2>&1 || { tail "$log" >&2; exit 1; }
# run NAME COUNT: what libFuzzer says at its end.
run() {
	mkdir -p "$BUILD/fuzz/corpus/$1"
	"$BUILD/fuzz/bin/fuzz_$1" -runs="$2" -rss_limit_mb=2048 -timeout=10 -artifact_prefix="$BUILD/fuzz/" \
		"$BUILD/fuzz/corpus/$1" "tests/fuzz/corpus/$1" >"$log" 2>&1
	echo "status $?, $(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log") executions"
}
row "fuzz: the filter language" "fuzz_expr -runs=10000000" "status 0, 10000000 executions" "$(run expr 10000000)"
for target in tests/fuzz/fuzz_*.c; do
	name=${target##*/fuzz_}
	name=${name%.c}
	[ "$name" != expr ] || continue
	row "fuzz: $name" "fuzz_$name -runs=1000000" "status 0, 1000000 executions" "$(run "$name" 1000000)"
done
