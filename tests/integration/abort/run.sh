#!/usr/bin/env bash
# run.sh BUILD LEAVER - everything ends at the wrong moment: clients, workers, the server; nothing else may.
set -euo pipefail
cd "$(dirname "$0")/../../.."
BUILD=$1
LEAVER=$2
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
code() { curl -sS -o /dev/null -w '%{http_code}' --max-time 10 "$@" 2>/dev/null || true; }
tenon() { "$TENON" "$@" --data "$DATA"; }
alive() { kill -0 "$SERVER_PID" 2>/dev/null && echo yes || echo no; }
PLUGINS=$BUILD/plugins

# The demo tenant has rules, a hook and a plugin that misbehaves on request.
start() {
	server_start main --demo "$@"
	local i
	for i in $(seq 1 300); do
		! grep -q 'Ctrl-C' "$WORK/main.out" || break
		sleep 0.1
	done
	HOST=${BASE#http://}
	PORT=${HOST##*:}
	HOST=${HOST%:*}
	LOCAL=$(cat "$DATA/run/token")
}

# put NAME METHOD PATH [BODY-FILE [HEADER]]: the bytes of a request
put() {
	{
		printf '%s %s HTTP/1.1\r\nHost: x\r\n' "$2" "$3"
		[ -z "${5-}" ] || printf '%s\r\n' "$5"
		if [ -n "${4-}" ]; then
			printf 'Content-Type: application/json\r\nContent-Length: %s\r\n\r\n' "$(stat -c %s "$4")"
			cat "$4"
		else
			printf '\r\n'
		fi
	} >"$WORK/requests/$1"
}

start
tenon superuser upsert root@shop.test 'correct horse' --tenant shop >/dev/null
tenon tenant create other >/dev/null
TOKEN=$(curl -sS -H 'Content-Type: application/json' -d '{"identity":"root@shop.test","password":"correct horse"}' \
	"$BASE/t/shop/api/collections/_superusers/auth-with-password" | sed 's/.*"token":"\([^"]*\)".*/\1/')

mkdir "$WORK/requests"
printf '{"order":"order0000000001","product":"product00000001","quantity":1,"unit_price":9.5}' >"$WORK/line"
printf '{"identity":"nobody","password":"wrong password"}' >"$WORK/wrong"
printf '{"email":"crowd@shop.test","password":"a long password","passwordConfirm":"a long password"}' >"$WORK/user"
printf '{"name":"x"}' >"$WORK/name"
S=/t/shop/api/collections
put list GET "$S/products/records?perPage=200&expand=none"
put get GET "$S/products/records/product00000001"
put line POST "$S/order_lines/records" "$WORK/line" "Authorization: $TOKEN"
put patch PATCH "$S/customers/records/customer0000001" "$WORK/name" "Authorization: $TOKEN"
put wrong POST "$S/_superusers/auth-with-password" "$WORK/wrong"
put user POST "$S/users/records" "$WORK/user" "Authorization: $TOKEN"
put other GET /t/other/api/collections/users/records
put hello GET /t/shop/api/x/order-rules/hello
put totals GET /t/shop/api/x/order-rules/totals "" "Authorization: $TOKEN"
put crash GET /t/shop/api/x/saboteur/crash
put loop GET /t/shop/api/x/saboteur/loop
put enable POST /platform/tenants/shop/plugins/saboteur/enable "$WORK/name" "Authorization: $LOCAL"
put deploy POST "/platform/tenants/shop/plugins?grantAll=1" "$PLUGINS/saboteur-1.0.0.so" "Authorization: $LOCAL"
put events GET /platform/events "" "Authorization: $LOCAL"
put audit GET "/platform/audit?limit=200" "" "Authorization: $LOCAL"
put operator PUT /platform/tenants/other/superusers "$WORK/user" "Authorization: $LOCAL"
put broken GET "/%zz"
put metrics GET /metrics

# ---- clients that leave ----
crowd=$("$LEAVER" "$HOST" "$PORT" 12 8 "$WORK"/requests/*) || true
echo "      $crowd"
is "a crowd of clients that leave ends no server" yes "$(alive)"
case $crowd in *'unreachable=0') reached=always ;; *) reached=$crowd ;; esac
is "it could be reached" always "$reached"
sleep 3
is "nothing of them is left in flight" 0 "$(curl -sS "$BASE/metrics" | awk '/^tenon_plugin_in_flight/ { n += $2; seen = 1 } END { print seen ? n : "none" }')"
is "the others are served" 200 "$(code "$BASE$S/products/records/product00000001")"
tenon audit verify >/dev/null && whole=yes || whole=no
is "the journal is whole" yes "$whole"

# ---- a worker that dies as it takes over ----
for n in 1 2 3 4; do
	for c in 1 2 3; do
		(for i in $(seq 1 20); do code "$BASE/t/shop/api/x/saboteur/crash" >/dev/null; done) &
	done
	tenon plugin deploy "$PLUGINS/saboteur-1.0.0.so" --tenant shop --grant-all >/dev/null 2>&1 || true
	tenon plugin enable saboteur --tenant shop >/dev/null 2>&1 || true
	wait $(jobs -p | grep -v "^$SERVER_PID\$") || true
done
is "a plugin that crashes while it takes over ends no server" yes "$(alive)"

# ---- the same file for two tenants at once ----
bad=0
tenon tenant create more >/dev/null
for n in 1 2 3 4 5; do
	tenon plugin deploy "$PLUGINS/saboteur-1.0.0.so" --tenant other --grant-all >/dev/null 2>>"$WORK/deploys" &
	one=$!
	tenon plugin deploy "$PLUGINS/saboteur-1.0.0.so" --tenant more --grant-all >/dev/null 2>>"$WORK/deploys" &
	two=$!
	wait $one || bad=$((bad + 1))
	wait $two || bad=$((bad + 1))
done
is "two tenants may deploy the same file at once" 0 $bad

# ---- the server stops with all of it under way ----
for n in 1 2; do
	"$LEAVER" "$HOST" "$PORT" 12 3 "$WORK"/requests/* >/dev/null 2>&1 &
	crowd=$!
	sleep 1.5
	rc=0
	server_stop || rc=$?
	wait $crowd || true
	case $rc in 0 | 1) how=orderly ;; *) how="with status $rc" ;; esac
	is "a server stops under a crowd" orderly "$how"
	start
done
# A head that nobody ends is refused while the server goes: what the listener reports then comes too late for its loop.
exec 9<>"/dev/tcp/$HOST/$PORT"
printf 'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n' >&9
sleep 0.2
exec 8<>"/dev/tcp/$HOST/$PORT"
printf 'POST /t/shop/api/collections/products/records HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n' >&8
sleep 0.2
rc=0
server_stop || rc=$?
exec 8>&- 9>&-
case $rc in 0 | 1) how=orderly ;; *) how="with status $rc" ;; esac
is "it stops beside requests that are refused just then" orderly "$how"
start
is "and starts again" 200 "$(code "$BASE$S/products/records/product00000001")"
tenon audit verify >/dev/null && whole=yes || whole=no
is "with its journal whole" yes "$whole"

! grep -E 'ERROR: |runtime error' "$WORK/main.err" || failed=$((failed + 1))
[ "$failed" = 0 ] || { echo "$failed failed"; exit 1; }
echo "all as expected"
