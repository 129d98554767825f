#!/usr/bin/env bash
# around.sh BUILD - what browsers and proxies need: origins, host names, static files, forwarded addresses.
set -euo pipefail
cd "$(dirname "$0")/../../.."
BUILD=$1
. tests/lib/server.sh
. tests/lib/story.sh

# get PATH [curl options]: STATUS, ANSWER (the body) and HEADERS
get() {
	local path=$1
	shift
	: >"$WORK/body"
	STATUS=$(curl -sS -D "$WORK/headers" -o "$WORK/body" -w '%{http_code}' --path-as-is "$@" "$BASE$path") || STATUS=000
	ANSWER=$(tr -d '\0' <"$WORK/body")
	HEADERS=$(tr -d '\r' <"$WORK/headers")
}
header() { printf '%s\n' "$HEADERS" | sed -n "s/^$1: //pI"; }
settings() { ask PUT "/platform/tenants/$1/web" "$2" "$LOCAL"; }

server_start main --trusted-proxies "127.0.0.1 10.0.0.0/8"
LOCAL=$(cat "$DATA/run/token")
for tenant in shop bank; do
	tenon tenant create $tenant >/dev/null
	tenon superuser upsert root@$tenant.test 'correct horse' --tenant $tenant >/dev/null
done
sign_in shop _superusers root@shop.test 'correct horse'
SHOP=$(member token)
FAR='Origin: https://far.example.org'

# ---- whose pages may read ----
get /t/shop/api/health -H "$FAR"
is "any page may read by default" "200 *" "$STATUS $(header Access-Control-Allow-Origin)"
has "and what it needs of the headers" 'X-Request-Id, ETag, Retry-After, RateLimit-' "$(header Access-Control-Expose-Headers)"
is "but without credentials" "" "$(header Access-Control-Allow-Credentials)"
get /t/shop/api/health
is "who is no page is told nothing of that" "" "$(header Access-Control-Allow-Origin)"
get /t/shop/api/collections/nothing/records -H "$FAR"
is "an error can be read too" "404 *" "$STATUS $(header Access-Control-Allow-Origin)"
get /t/shop/api/collections/users/records -X OPTIONS -H "$FAR" -H 'Access-Control-Request-Method: PATCH' -H 'Access-Control-Request-Headers: authorization,content-type,x-mine'
is "a preflight is answered" "204 *" "$STATUS $(header Access-Control-Allow-Origin)"
has "with methods" PATCH "$(header Access-Control-Allow-Methods)"
is "and the headers it asked for" "authorization,content-type,x-mine" "$(header Access-Control-Allow-Headers)"
get /t/shop/api/health -X OPTIONS
is "OPTIONS without a page behind it is no preflight" 405 "$STATUS"
for path in /platform/session /_/ /healthz /platform/tenants; do
	get $path -H "$FAR" -H "Authorization: $LOCAL"
	is "$path is for no other page" "" "$(header Access-Control-Allow-Origin)"
	get $path -X OPTIONS -H "$FAR" -H 'Access-Control-Request-Method: GET'
	is "nor is its preflight" "405 " "$STATUS $(header Access-Control-Allow-Origin)"
done
settings shop '{"hosts":[],"origins":["https://app.example.org"]}'
is "a list of origins is set" 200 "$STATUS"
get /t/shop/api/health -H "$FAR"
is "others may not read then" "200 " "$STATUS $(header Access-Control-Allow-Origin)"
is "and a cache is told that it depends" Origin "$(header Vary)"
get /t/shop/api/health -H 'Origin: https://app.example.org'
is "those on it may" https://app.example.org "$(header Access-Control-Allow-Origin)"
get /t/bank/api/health -H "$FAR"
is "another tenant's pages are its own business" '*' "$(header Access-Control-Allow-Origin)"
settings shop '{"hosts":[],"origins":["app.example.org"]}'
is "an origin has a scheme" 400 "$STATUS"
ask PUT /platform/tenants/shop/web '{"hosts":[],"origins":[]}' "$SHOP"
is "a tenant's superuser does not set it" 401 "$STATUS"

# ---- host names ----
settings shop '{"hosts":["shop.test","www.shop.test"],"origins":[]}'
is "a tenant gets host names" 200 "$STATUS"
settings bank '{"hosts":["www.shop.test"],"origins":[]}'
is "which no other can have" 409 "$STATUS"
for host in localhost 127.0.0.1 'a b' -x.test 'x..test' 999; do
	settings bank "{\"hosts\":[\"$host\"],\"origins\":[]}"
	[ "$host" = 'a b' ] && settings bank '{"hosts":["a/b"],"origins":[]}'
	is "'$host' is none to have" 400 "$STATUS"
done
HOST='Host: SHOP.test:8090'
get /api/collections -H "$HOST" -H "Authorization: $SHOP"
is "below it is that tenant's API" 200 "$STATUS"
get /api/collections -H 'Host: other.test' -H "Authorization: $SHOP"
is "below another name it is not" 401 "$STATUS"
for path in /platform/tenants /platform/session /metrics /_/ /t/bank/api/health /healthz; do
	get $path -H "$HOST" -H "Authorization: $LOCAL"
	is "$path is not there" 404 "$STATUS"
done

# ---- static files ----
PUBLIC=$(echo "$DATA"/tenants/*/)
for folder in $PUBLIC; do
	[ "$(basename "$folder")" = "$(tenon tenant list --json | tr '{' '\n' | sed -n 's/.*"id":"\([^"]*\)","name":"shop".*/\1/p')" ] && PUBLIC=$folder/public
done
mkdir -p "$PUBLIC/assets" "$PUBLIC/.git"
echo '<h1>the app</h1>' >"$PUBLIC/index.html"
echo 'let plain = 1' >"$PUBLIC/assets/app.js"
echo 'let squeezed = 1' | gzip >"$PUBLIC/assets/app.js.gz"
echo 'brotli, in truth' >"$PUBLIC/assets/app.js.br"
head -c 20000000 /dev/urandom >"$PUBLIC/large.bin"
: >"$PUBLIC/empty.txt"
echo 'hidden' >"$PUBLIC/.git/config"
echo 'outside' >"$PUBLIC/../outside.txt"
ln -s ../outside.txt "$PUBLIC/link.txt"
ln -s .. "$PUBLIC/up"
get / -H "$HOST"
is "the app is at the root" "200 <h1>the app</h1>" "$STATUS $ANSWER"
is "as a page" 'text/html; charset=utf-8' "$(header Content-Type)"
get /orders/17 -H "$HOST"
is "its own routes lead to it" "200 <h1>the app</h1>" "$STATUS $ANSWER"
get /assets/app.js -H "$HOST"
is "a file is itself" "200 let plain = 1" "$STATUS $ANSWER"
TAG=$(header ETag)
get /assets/app.js -H "$HOST" -H "If-None-Match: $TAG"
is "and is not sent twice" "304 " "$STATUS $ANSWER"
get /assets/app.js -H "$HOST" -H 'Accept-Encoding: gzip' --compressed
is "who takes gzip gets it" "gzip let squeezed = 1" "$(header Content-Encoding) $ANSWER"
is "and caches are told" Accept-Encoding "$(header Vary)"
get /assets/app.js -H "$HOST" -H 'Accept-Encoding: gzip, br'
is "who takes brotli gets that" "br brotli, in truth" "$(header Content-Encoding) $ANSWER"
get /assets/app.js -H "$HOST" -H 'Accept-Encoding: br;q=0, gzip;q=0'
is "who refuses both gets neither" " let plain = 1" "$(header Content-Encoding) $ANSWER"
get /empty.txt -H "$HOST"
is "an empty file is one" "200 0" "$STATUS $(header Content-Length)"
is "a large one is sent whole" "$(sha256sum <"$PUBLIC/large.bin")" "$(curl -sS -H "$HOST" "$BASE/large.bin" | sha256sum)"
get /assets/none.js -H "$HOST"
is "a file that is not there is not there" 404 "$STATUS"
for path in /link.txt /up/outside.txt /.git/config '/%2e%2e/outside.txt' '/..%2foutside.txt' /../outside.txt '/assets/..%5c..%5coutside.txt' /index.html%00.js //etc/passwd /assets//app.js; do
	get "$path" -H "$HOST"
	lacks "$path shows nothing from elsewhere" outside "$ANSWER"
	lacks "and nothing hidden" hidden "$ANSWER"
done
get /api/nothing -H "$HOST"
is "below /api/ there are no files" 404 "$STATUS"
get / -X POST -H "$HOST"
is "a file takes no POST" "405 GET, HEAD" "$STATUS $(header Allow)"
get /assets/app.js
is "where the console is, files are not" 404 "$STATUS"
get /t/shop/assets/app.js
is "nor below the prefix" 404 "$STATUS"
get / -H 'Host: www.shop.test' -X GET -I
is "HEAD has no body" 200 "$STATUS"

# ---- whose word about addresses is believed ----
address_of() { # TRACE
	ask GET "/platform/audit?trace=$1" '' "$LOCAL"
	member address
}
asked() { # what the audit trail calls the address of a request with these curl options
	get /t/shop/api/health "$@"
	address_of "$(header X-Request-Id)"
}
is "a proxy's word is believed" 203.0.113.7 "$(asked -H 'X-Forwarded-For: 203.0.113.7')"
is "up to the first it does not vouch for" 198.51.100.2 "$(asked -H 'X-Forwarded-For: 1.1.1.1, 198.51.100.2, 10.1.2.3')"
is "over all its lines" 198.51.100.2 "$(asked -H 'X-Forwarded-For: 1.1.1.1, 198.51.100.2' -H 'X-Forwarded-For: 10.1.2.3')"
is "a list that is broken says nothing" 127.0.0.1 "$(asked -H 'X-Forwarded-For: 203.0.113.7, nonsense')"
is "nor does an empty one" 127.0.0.1 "$(asked -H 'X-Forwarded-For: ,')"
is "another header neither" 127.0.0.1 "$(asked -H 'X-Real-IP: 203.0.113.7')"
for i in $(seq 1 12); do
	curl -sS -o "$WORK/answer" -w '%{http_code}\n' -H 'X-Forwarded-For: 203.0.113.9' -H 'Content-Type: application/json' \
		--data '{"identity":"x@shop.test","password":"wrong wrong"}' "$BASE/t/shop/api/collections/users/auth-with-password"
done >"$WORK/limited"
is "limits count by that address" yes "$(grep -q 429 "$WORK/limited" && echo yes)"
get /t/shop/api/collections/users/auth-with-password -H 'X-Forwarded-For: 203.0.113.10' -H 'Content-Type: application/json' --data '{"identity":"x@shop.test","password":"wrong wrong"}'
is "and another has its own share" 400 "$STATUS"
server_stop

server_start plain
tenon tenant create shop >/dev/null
LOCAL=$(cat "$DATA/run/token")
is "a server that trusts nobody believes nobody" 127.0.0.1 "$(asked -H 'X-Forwarded-For: 203.0.113.7')"
for i in $(seq 1 12); do
	curl -sS -o /dev/null -w '%{http_code}\n' -H "X-Forwarded-For: 203.0.113.$i" -H 'Content-Type: application/json' \
		--data '{"identity":"x@shop.test","password":"wrong wrong"}' "$BASE/t/shop/api/collections/users/auth-with-password"
done >"$WORK/limited"
is "and a forged header escapes no limit" yes "$(grep -q 429 "$WORK/limited" && echo yes)"
story_end
