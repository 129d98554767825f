#!/usr/bin/env bash
# run.sh BUILD - a start that finds something missing or taken says so, and makes nothing up.
set -euo pipefail
cd "$(dirname "$0")/../../.."
BUILD=$1
. tests/lib/server.sh
failed=0

# is WHAT EXPECTED SEEN
is() {
	if [ "$2" = "$3" ]; then
		echo "ok    $1"
	else
		echo "FAIL  $1: expected '$2', saw '$3'"
		failed=$((failed + 1))
	fi
}
tenon() { "$TENON" "$@" --data "$DATA"; }

# ---- a tenant's database is lost while the server is down
server_start main
tenon tenant create shop >"$WORK/out"
TOKEN=$(cat "$DATA/run/token")
id=$(curl -sS -H "Authorization: Bearer $TOKEN" "$BASE/platform/tenants" |
	sed 's/.*{"id":"\([a-z0-9]*\)","name":"shop".*/\1/')
is "the tenant has a database" yes "$([ -s "$DATA/tenants/$id/data.db" ] && echo yes)"
server_stop
mkdir "$WORK/kept"
mv "$DATA/tenants/$id"/data.db* "$WORK/kept/"
server_start main
is "the start names the tenant that is lost" 1 "$(grep -c 'tenant \\"shop\\" is gone' "$WORK/main.err")"
request GET /t/shop/api/collections/posts/records >"$WORK/out"
is "its requests are faults" 500 "$STATUS"
trace=$(sed 's/.*"traceId":"\([0-9a-f]*\)".*/\1/' "$WORK/out")
is "whose trace id leads to what to do" 1 "$(grep "$trace" "$WORK/main.err" | grep -c 'put it back from a backup')"
is "nothing was made in its place" no "$([ -e "$DATA/tenants/$id/data.db" ] && echo yes || echo no)"
request GET /api/collections/posts/records >"$WORK/out"
is "the other tenant is served" 404 "$STATUS"
mv "$WORK/kept"/data.db* "$DATA/tenants/$id/"
request GET /t/shop/api/collections/posts/records >"$WORK/out"
is "put back, it is served without a restart" 404 "$STATUS"

# ---- somebody else has the port
rc=0
"$TENON" serve --listen "${BASE#http://}" --data "$WORK/second" >"$WORK/out" 2>"$WORK/second.err" || rc=$?
is "a second server on the port ends in order" 1 "$rc"
is "and says why" 1 "$(grep -c 'cannot listen on port' "$WORK/second.err")"
request GET /readyz >"$WORK/out"
is "the first one does not notice" 200 "$STATUS"
server_stop

[ "$failed" -eq 0 ] || { echo "$failed failed"; exit 1; }
