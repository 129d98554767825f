#!/usr/bin/env bash
# nginx.sh BUILD - the configuration of docs/operators.md, run: TLS, events, large bodies, forged addresses.
set -euo pipefail
cd "$(dirname "$0")/../../.."
BUILD=$1
if ! command -v nginx >/dev/null || ! command -v openssl >/dev/null; then
	echo "nginx or openssl is not installed: skipped"
	exit 77
fi
. tests/lib/server.sh
. tests/lib/story.sh
NGINX=
STREAM=
trap 'kill $NGINX $STREAM 2>/dev/null || true; server_cleanup' EXIT

server_start main --trusted-proxies "127.0.0.1 ::1" --trusted-proxy-header X-Real-IP
LOCAL=$(cat "$DATA/run/token")
tenon tenant create shop >/dev/null
tenon superuser upsert root@shop.test 'correct horse' --tenant shop >/dev/null
tenon tenant web shop --hosts app.example.org --origins "" >/dev/null
sign_in shop _superusers root@shop.test 'correct horse'
SHOP=$(member token)
ask POST /t/shop/api/collections '{"name":"posts","type":"base","listRule":"","viewRule":"","createRule":"","fields":[{"name":"title","type":"text"},{"name":"data","type":"json"}]}' "$SHOP"
is "a collection is made" 200 "$STATUS"

# ---- the page's own text, with a certificate and ports of this test ----
mkdir -p "$WORK/nginx"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=app.example.org \
	-addext subjectAltName=DNS:app.example.org -keyout "$WORK/nginx/key" -out "$WORK/nginx/cert" 2>/dev/null
PORT=$((20000 + RANDOM % 20000))
{
	echo "daemon off; pid $WORK/nginx/pid; error_log $WORK/nginx/error.log;"
	echo "events {} http { access_log off; client_body_temp_path $WORK/nginx/body; proxy_temp_path $WORK/nginx/proxy;"
	echo "fastcgi_temp_path $WORK/nginx/f; uwsgi_temp_path $WORK/nginx/u; scgi_temp_path $WORK/nginx/s;"
	sed -n '/^```nginx$/,/^```$/p' docs/operators.md | grep -v '^```' |
		sed -e "s#listen 443 ssl#listen 127.0.0.1:$PORT ssl#" -e "s#/etc/ssl/app.example.org.pem#$WORK/nginx/cert#" \
			-e "s#/etc/ssl/app.example.org.key#$WORK/nginx/key#" -e "s#http://127.0.0.1:8090#$BASE#"
	echo "}"
} >"$WORK/nginx/conf"
nginx -c "$WORK/nginx/conf" -e "$WORK/nginx/error.log" &
NGINX=$!
SITE=https://app.example.org:$PORT
web() { curl -sS --cacert "$WORK/nginx/cert" --resolve "app.example.org:$PORT:127.0.0.1" "$@"; }
for i in $(seq 1 100); do
	! web -o /dev/null "$SITE/api/health" 2>/dev/null || break
	sleep 0.05
done
is "the tenant answers over TLS" 200 "$(web -o /dev/null -w '%{http_code}' "$SITE/api/health")"
is "the platform does not" 404 "$(web -o /dev/null -w '%{http_code}' -H "Authorization: $LOCAL" "$SITE/platform/tenants")"

# ---- events ----
web -N "$SITE/api/realtime" >"$WORK/events" 2>/dev/null &
STREAM=$!
for i in $(seq 1 100); do
	! grep -q clientId "$WORK/events" || break
	sleep 0.05
done
CLIENT=$(sed -n '1s/^id://p' "$WORK/events")
is "the first event comes at once" 46 ${#CLIENT}
is "topics are set" 204 "$(web -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' --data "{\"clientId\":\"$CLIENT\",\"subscriptions\":[\"posts/*\"]}" "$SITE/api/realtime")"
began=$(date +%s%N)
web -o /dev/null -H 'Content-Type: application/json' --data '{"title":"through the proxy"}' "$SITE/api/collections/posts/records"
for i in $(seq 1 100); do
	! grep -q 'through the proxy' "$WORK/events" || break
	sleep 0.02
done
took_ms=$((($(date +%s%N) - began) / 1000000))
has "an event comes through" 'through the proxy' "$(cat "$WORK/events")"
is "and is not kept back" yes "$([ $took_ms -lt 2000 ] && echo yes)"

# ---- a large body, and addresses ----
{
	printf '{"title":"large","data":"'
	head -c 900000 /dev/zero | tr '\0' x
	printf '"}'
} >"$WORK/large"
is "a body of 900 KB goes up" 200 "$(web -o "$WORK/answer" -w '%{http_code}' -H 'Content-Type: application/json' --data-binary "@$WORK/large" "$SITE/api/collections/posts/records")"
TRACE=$(web -o /dev/null -D - -H 'X-Real-IP: 203.0.113.7' -H 'X-Forwarded-For: 203.0.113.8' "$SITE/api/health" | tr -d '\r' | sed -n 's/^x-request-id: //pI')
ask GET "/platform/audit?trace=$TRACE" '' "$LOCAL"
is "a forged address is not believed" 127.0.0.1 "$(member address)"
story_end
