#!/usr/bin/env bash
# A bare Debian 12 tests Tenon with one command; on another one a newcomer's commands do what they say.
# FRESH_MACHINE COMMAND... has to run a command in a copy of this tree on a machine without any tools.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../lib.sh"
cd "$here/../../.."
fresh_machine=${FRESH_MACHINE:-../shared/tools/fresh-machine}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# bare COMMAND: its exit status, or why there is none; what it printed is in $log.
bare() {
	if [ ! -x "$fresh_machine" ]; then
		echo "there is no bare machine: FRESH_MACHINE is not set"
		return
	fi
	"$fresh_machine" "$@" >"$log" 2>&1
	echo "status $?"
}

row "a bare machine: all tests" "fresh-machine ./dev test" "status 0" "$(bare ./dev test)"
row "a bare machine: the last line of ./dev test" "fresh-machine ./dev test" "all tests passed" "$(tail -n 1 "$log")"

row "another bare machine: a newcomer's first steps" "fresh-machine tests/fresh.sh" "status 0" "$(bare tests/fresh.sh)"
# claim CLAIM EXPECTED: a line of tests/fresh.sh.
claim() {
	row "./dev run: $1" "fresh-machine tests/fresh.sh" "$2" "$(sed -n "s|^ok    $1: ||p" "$log" | head -n 1)"
}
claim "the table names the address" "http://127.0.0.1:8090"
claim "the sandbox's self-test" "self-test 55/55 refused"
claim "the demo's data" "4 collections, 412 records"
claim "1 reads two records" 2
claim "2 is refused" '"status":400'
claim "2 says how many there are" "39 in stock"
claim "3 crashes a worker" 502
claim "3 has a trace id" 1
claim "1 still works" same
claim "4 is robbed of nothing" "3 tries, 3 refused"
claim "5 serves the line that was saved" 16
claim "5 drops requests meanwhile" 0
claim "6 verifies the journal of the running server" 0
claim "6 verifies the stopped server's journal" 0
claim "6 sees a flipped bit" broken
claim "the console's link opens" 200
claim "the console has its policy" 1
claim "Ctrl-C ends with status" 0
claim "a second ./dev run takes under 5 s" yes
claim "the second start reads the same" same
