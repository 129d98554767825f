#!/usr/bin/env bash
# run.sh BUILD - the SDK in a browser, from another origin, through nginx with TLS; and what forged headers change.
set -euo pipefail
cd "$(dirname "$0")/../../.."
BUILD=$1
. tests/lib/server.sh
command -v nginx >/dev/null || { echo "nginx is not installed" >&2; exit 1; }
failed=0
is() { # CLAIM EXPECTED SEEN
	if [ "$2" = "$3" ]; then
		echo "ok    $1: $3"
	else
		echo "FAIL  $1: expected '$2', saw '$3'"
		failed=$((failed + 1))
	fi
}
free_port() {
	local port
	for port in $(seq "$1" $(($1 + 100))); do
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
}
email=root@example.org password='correct horse' user=ann@example.com
tests/e2e/sdk/install.sh "$BUILD/sdk"

# The machine's own nginx is the one proxy that is believed; the first server believes none.
server_start plain
plain=$BASE plain_data=$DATA
server_start proxied --trusted-proxies 127.0.0.1/32
for data in "$plain_data" "$DATA"; do
	"$TENON" tenant create shop --data "$data" >/dev/null
	"$TENON" superuser upsert $email "$password" --tenant shop --data "$data" >/dev/null
done
token=$(request POST /t/shop/api/collections/_superusers/auth-with-password \
	"{\"identity\":\"$email\",\"password\":\"$password\"}" | sed -n 's/.*"token":"\([^"]*\)".*/\1/p')
request POST /t/shop/api/collections '{"name":"notes","type":"base","listRule":"","viewRule":"","createRule":"@request.auth.id != \"\"",
	"updateRule":"@request.auth.id != \"\"","fields":[{"name":"text","type":"text"},{"name":"paper","type":"file","maxSelect":1}]}' \
	"Authorization: $token" >/dev/null
request POST /t/shop/api/collections/users/records \
	"{\"email\":\"$user\",\"password\":\"$password\",\"passwordConfirm\":\"$password\"}" "Authorization: $token" >/dev/null

mkdir "$WORK/app"
cp "$BUILD/sdk/node_modules/pocketbase/dist/pocketbase.es.mjs" "$WORK/app/"
echo '<!doctype html><title>app</title>' >"$WORK/app/index.html"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2 \
	-keyout "$WORK/key.pem" -out "$WORK/cert.pem" 2>/dev/null
tls=$(free_port 18443) app=$(free_port 18643)
sed -e "s#@WORK@#$WORK#g; s#@BASE@#$BASE#; s#@TLS@#$tls#; s#@APPROOT@#$WORK/app#; s#@APP@#$app#" tests/e2e/proxy/nginx.conf.in >"$WORK/nginx.conf"
nginx -p "$WORK" -c "$WORK/nginx.conf" >"$WORK/nginx.out" 2>&1 &
SERVER_PIDS+=($!)
for _ in $(seq 1 100); do curl -ksf -o /dev/null "https://127.0.0.1:$tls/healthz" && break || sleep 0.05; done

web/node.sh tests/e2e/proxy/proxy.mjs --app "https://localhost:$app" --api "https://localhost:$tls/t/shop" \
	--email $user --password "$password" || failed=$((failed + 1))

# ---- forged headers ----
# address DATA TRACE: from where the audit trail says that request came
address() {
	"$TENON" audit query --tenant shop --trace "$2" --limit 10 --data "$1" | sed -n 's/.*"address":"\([^"]*\)".*/\1/p' | head -n 1
}
# trace URL [HEADER [FROM]]: a request's trace id
trace() { curl -ks ${3:+--interface "$3"} -o /dev/null -D - -H "${2-X-None: 1}" "$1" | tr -d '\r' | sed -n 's/^[Xx]-[Rr]equest-[Ii]d: //p'; }
forged='X-Forwarded-For: 203.0.113.7'
is "without a trusted proxy a forged header changes nothing" 127.0.0.1 \
	"$(address "$plain_data" "$(trace "$plain/t/shop/api/health" "$forged")")"
# From another address than the proxy's own, which is believed.
is "through the proxy it changes nothing either" 127.0.0.2 \
	"$(address "$DATA" "$(trace "https://127.0.0.1:$tls/t/shop/api/health" "$forged" 127.0.0.2)")"
is "what the proxy itself says is believed" 198.51.100.4 \
	"$(address "$DATA" "$(trace "$BASE/t/shop/api/health" 'X-Forwarded-For: 203.0.113.7, 198.51.100.4')")"
is "a header that is no address leaves the socket's" 127.0.0.1 \
	"$(address "$DATA" "$(trace "$BASE/t/shop/api/health" 'X-Forwarded-For: nonsense')")"
# Twenty sign-ins with another forged address each: the limit is the client's own.
limited=0
for n in $(seq 1 20); do
	code=$(curl -ks --interface 127.0.0.2 -o /dev/null -w '%{http_code}' -H "X-Forwarded-For: 203.0.113.$n" -H 'Content-Type: application/json' \
		-d '{"identity":"nobody@example.com","password":"wrong password"}' \
		"https://127.0.0.1:$tls/t/shop/api/collections/users/auth-with-password")
	[ "$code" != 429 ] || limited=$((limited + 1))
done
is "forged addresses do not outrun the limit of sign-ins" yes "$([ $limited -gt 0 ] && echo yes || echo no)"
[ $failed = 0 ]
