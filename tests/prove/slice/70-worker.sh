#!/usr/bin/env bash
# The worker: calls that interleave, no tools of the core inside, and its jail as root and as an ordinary user.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../lib.sh"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# run TEST: its story is in $log; prints ctest's verdict.
run() {
	ctest --test-dir "$BUILD/test" -R "^$1\$" -V --no-tests=error >"$log" 2>&1
	grep -o '[0-9]*% tests passed.*' "$log"
}
# passed CLAIM: what CUnit says of it.
passed() { sed -n "s/.*Test: $1 \.\.\.//p" "$log" | grep -o '^passed\|^FAILED' | head -n 1; }

whole="100% tests passed, 0 tests failed out of 1"
row "worker, jailed as root" "ctest -R integration.worker-root" "$whole" "$(run integration.worker-root)"
for claim in two_calls_interleave_across_a_suspension_in_db the_canary_is_refused_55_times_of_55 \
	each_deadly_sin_ends_its_own_worker_in_its_one_way; do
	row "worker, as root: ${claim//_/ }" "ctest -R integration.worker-root" passed "$(passed "$claim")"
done
row "worker, jailed as an ordinary user" "ctest -R integration.worker-user" "$whole" "$(run integration.worker-user)"
for claim in two_calls_interleave_across_a_suspension_in_db the_canary_is_refused_55_times_of_55 \
	each_deadly_sin_ends_its_own_worker_in_its_one_way; do
	row "worker, as a user: ${claim//_/ }" "ctest -R integration.worker-user" passed "$(passed "$claim")"
done
row "the jail, as root" "ctest -R integration.isolate-root" "$whole" "$(run integration.isolate-root)"
row "the jail, as an ordinary user" "ctest -R integration.isolate-user" "$whole" "$(run integration.isolate-user)"

symbols=$(nm "$BUILD/bin/tenon-worker")
row "tenon-worker: symbols of the core's libraries" \
	"nm tenon-worker | grep -cE 'sqlite3_|curl_|MHD_|json_object_|json_tokener_'" 0 \
	"$(grep -cE 'sqlite3_|curl_|MHD_|json_object_|json_tokener_' <<<"$symbols")"
row "tenon-worker: nm sees its symbols" "nm tenon-worker | grep -c ' T main'" 1 "$(grep -c ' T main$' <<<"$symbols")"
# The mathematics and the unwinder are there for plugins: inside the jail no library can be found any more.
row "tenon-worker: libraries that it needs" "readelf -d tenon-worker" "libm.so.6 libgcc_s.so.1 libc.so.6" \
	"$(readelf -d "$BUILD/bin/tenon-worker" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | tr '\n' ' ' | sed 's/ $//')"
