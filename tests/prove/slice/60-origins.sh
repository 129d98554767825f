#!/usr/bin/env bash
# A plugin's page with a script, opened by a signed-in operator in Chromium, reaches no /platform route.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../lib.sh"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$here/../../e2e/run.sh" "$BUILD" >"$log" 2>&1
row "browser: both flows" "tests/e2e/run.sh BUILD" "status 0" "status $?"

# claim NAME PATTERN: how many lines of the flows say "ok" to it.
claim() { row "browser: $1" "tests/e2e/run.sh BUILD" 1 "$(grep -c "^ok    $2" "$log")"; }
claim "the one-time link opens the set-up" "the one-time link opens the set-up"
claim "the new operator sees the overview" "the new operator sees the overview"
claim "order-rules is in the list" "order-rules is in the list"
claim "its call count moves by 25 calls" "its call count moved by them"
claim "the console's policy is the strict one" "the page's policy is the strict one"
claim "nothing leaves the origin, nothing violates the policy" "no policy violation, no console error, no request off the origin"
claim "the operator's session is seen on the wire" "the operator is signed in, and the session is seen on the wire"
claim "the plugin's page was opened" "the plugin's page was opened  (200)"
claim "it is sandboxed" "on the console's origin it is sandboxed"
claim "none of its /platform requests carries the session" "no /platform request of the page carries the session"
claim "none is answered as signed in" "no /platform request of the page is answered as signed in"
claim "its script was refused by the browser" "the browser refused to run the page's script"
claim "the page would reach /platform if its policy were taken off" \
	"without that policy the same page reaches /platform as the operator"
row "browser: claims that did not hold" "tests/e2e/run.sh BUILD" 0 "$(grep -c '^FAIL' "$log")"
