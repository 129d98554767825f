#!/usr/bin/env bash
# PocketBase's own JavaScript SDK, unmodified: each public method is used, or documented as refused.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../lib.sh"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$here/../../e2e/sdk/run.sh" "$BUILD" >"$log"
row "sdk: the suite" "tests/e2e/sdk/run.sh BUILD" "status 0" "status $?"
row "sdk: claims that did not hold" "tests/e2e/sdk/run.sh BUILD" "" "$(grep '^FAIL' "$log" | head -n 5)"
row "sdk: methods in neither list" "tests/e2e/sdk/run.sh BUILD" 1 \
	"$(grep -c '^ok    each public method is used or documented as refused$' "$log")"
row "sdk: public methods of version 0.28.1" "tests/e2e/sdk/run.sh BUILD" 87 \
	"$(sed -n 's/^note  \([0-9]*\) public methods: .*/\1/p' "$log")"

"$here/../../e2e/proxy/run.sh" "$BUILD" >"$log"
row "browser: the SDK from another origin, through nginx with TLS" "tests/e2e/proxy/run.sh BUILD" "status 0" "status $?"
row "browser: claims that did not hold" "tests/e2e/proxy/run.sh BUILD" "" "$(grep '^FAIL' "$log" | head -n 5)"
for claim in "and read back as it was" "events come in their order" \
	"without a trusted proxy a forged header changes nothing" "through the proxy it changes nothing either" \
	"what the proxy itself says is believed" "forged addresses do not outrun the limit of sign-ins"; do
	row "browser: $claim" "tests/e2e/proxy/run.sh BUILD" 1 "$(grep -c "^ok    $claim" "$log")"
done
