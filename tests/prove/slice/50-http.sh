#!/usr/bin/env bash
# Bad HTTP from raw bytes against a whole server: each case whole, byte by byte and randomly split.
# The numbers of the rows are those of tests/integration/http/raw_cases.c and docs/security.md.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../lib.sh"
source "$here/../../lib/server.sh"
set +e
TESTS=$BUILD
[ ! -d "$BUILD/test/bin" ] || TESTS=$BUILD/test

# Two loops, so that 10,000 connections are more than are taken on every machine.
# As many descriptors as 8,192 connections need: row 28 opens more than are taken.
printf '#!/bin/sh\nexec prlimit --nofile=%d "%s" "$@"\n' 8448 "$TENON" >"$WORK/tenon"
chmod +x "$WORK/tenon"
TENON=$WORK/tenon server_start http --loops 2 || exit 1
"$TENON" plugin deploy "$TESTS/plugins/hostile/echo.so" --grant-all --data "$DATA" >/dev/null || exit 1
"$TENON" superuser upsert admin@http.example correct-horse-battery --data "$DATA" >/dev/null || exit 1
port=${BASE##*:}
seen=$WORK/raw
"$TESTS/bin/http_raw" --port "$port" --path /api/x/echo/echo --big /api/x/echo/big >"$seen"

# cases ROW: "passed of all: the statuses seen", in the order in which they first came
cases() {
	awk -v row="$1" '$2 == "row" && $3 == row {
		n++; passed += $1 == "PASS"; status = $0; sub(/.* seen /, "", status); sub(/[, ].*/, "", status)
		if (!(status in had)) { had[status] = 1; list = list " " status } }
		END { printf "%d of %d:%s\n", passed, n, list }' "$seen"
}

table() { row "HTTP row $1: $2" "http_raw --port (row $1)" "$3" "$(cases "$1")"; }

table 1 "Content-Length and Transfer-Encoding" "6 of 6: 400"
table 2 "two lengths" "6 of 6: 400"
table 3 "a blank before the colon of a framing header" "9 of 9: 400"
table 4 "codings that are not chunked" "12 of 12: 400"
table 5 "Transfer-Encoding twice, and in HTTP/1.0" "6 of 6: 400"
table 12 "paths that decode to something else" "45 of 45: 400"
table 14 "absolute form, authority form, OPTIONS *, CONNECT" "12 of 12: 400 501"
table 17 "methods that are none" "12 of 12: 501"
table 18 "no Host, two, or one that is none" "18 of 18: 400"
table 24 "long targets" "9 of 9: 414"
table 30 "expectations" "6 of 6: 417"
table 31 "upgrades" "6 of 6: 200"

# one NAME: what was seen of a case that is run once
one() { sed -n "s/^PASS row [0-9]* *$1 .* seen \(.*\)/\1/p" "$seen" | sed 's/closed after [0-9]* ms/closed/'; }
slow() { row "HTTP row 27: $1" "http_raw --port (row 27), within 10 s" "$2" "$(one "$1")"; }
slow "headers, byte by byte" "408, closed, others 200"
slow "request line, byte by byte" "408, closed, others 200"
slow "body, byte by byte" "408, closed, others 200"
slow "chunked body, byte by byte" "408, closed, others 200"
slow "slow reader, 160 bytes a second" "closed, others 200"
flood=$(one "10000 idle connections, 1250 requests in between")
row "HTTP row 28: 10,000 idle connections where 8,192 are taken" "http_raw --port (row 28)" \
	"10000 opened, 1250 served" "$(sed 's/[0-9]* closed, //' <<<"$flood")"
within "HTTP row 28: the oldest of them are closed" "http_raw --port (row 28)" "at least 1808" \
	"$(sed -n 's/.* \([0-9]*\) closed.*/\1/p' <<<"$flood")" ">=" 1808

# ---- JSON ----

request POST /api/collections/_superusers/auth-with-password \
	'{"identity":"admin@http.example","password":"correct-horse-battery"}' >"$WORK/token"
token=$(sed -n 's/.*"token":"\([^"]*\)".*/\1/p' "$WORK/token")
request POST /api/collections '{"name":"notes","type":"base","fields":[{"name":"title","type":"text"},
	{"name":"n","type":"number"},{"name":"j","type":"json"},{"name":"made","type":"autodate","onCreate":true}],
	"listRule":"","viewRule":"","createRule":"","updateRule":"","deleteRule":""}' "Authorization: $token" >/dev/null
records=/api/collections/notes/records

# json NAME BODY-FILE EXPECTED: what a POST of that body is told
json() {
	local status
	status=$(curl -s -o "$WORK/told" -w '%{http_code}' -H 'Content-Type: application/json' \
		--data-binary @"$2" "$BASE$records")
	row "HTTP row 33: $1" "POST $records" "$3" \
		"$status $(sed -n 's/.*not JSON that can be taken: \([^"]*\)\.".*/\1/p' "$WORK/told")"
}
body() { printf "$1" >"$WORK/json"; echo "$WORK/json"; }
repeat() { head -c "$2" /dev/zero | sed "s/\x00/$1/g"; }

json "depth 33" "$(body "{\"j\":$(repeat '\[' 32)$(repeat ']' 32)}")" "400 too deeply nested, at byte 36"
json "depth 100,000" "$(body "{\"j\":$(repeat '\[' 100000)")" "400 too deeply nested, at byte 36"
json "10,001 nodes" "$(body "{\"j\":[$(repeat '1,' 9999)1]}")" "400 too many values, at byte 20002"
json "a key twice" "$(body '{"title":"a","title":"b"}')" "400 a key that its object has already, at byte 13"
json "a key twice, once escaped" "$(body '{"title":"a","t\\u0069tle":"b"}')" \
	"400 a key that its object has already, at byte 13"
json "\\u0000 in a key" "$(body '{"title\\u0000":1}')" "400 a NUL in a key, at byte 7"
json "NaN" "$(body '{"n":NaN}')" "400 not a number as JSON writes it, at byte 5"
json "1e400" "$(body '{"n":1e400}')" "400 a number out of range, at byte 5"
json "2^70" "$(body '{"n":1180591620717411303424}')" "400 a number out of range, at byte 5"
json "half a surrogate pair" "$(body '{"title":"\\ud800"}')" "400 half a surrogate pair, at byte 10"
json "a byte order mark" "$(body '\xef\xbb\xbf{}')" "400 a byte order mark, at byte 0"
json "single quotes" "$(body "{'title':1}")" "400 a character that may not stand here, at byte 1"
json "trailing bytes" "$(body '{"title":"x"} x')" "400 something after the value, at byte 14"
json "cut off" "$(body '{"title":"x"')" "400 the text ends inside a value, at byte 12"
json "overlong UTF-8" "$(body '{"title":"\xc0\xae"}')" "400 not UTF-8, at byte 10"

"$TESTS/bin/json_raw" --port "$port" --path "$records" >"$WORK/suite"
row "HTTP row 34: the JSON table as bodies, all as they should be" "json_raw --port" "wrong 0 of 207" \
	"$(grep '^wrong' "$WORK/suite")"
row "HTTP row 34: what RFC 8259 allows and is refused" "json_raw --port" \
	"y_object_duplicated_key y_object_duplicated_key_and_value y_object_escaped_null_in_key" \
	"$(sed -n 's/^refused //p' "$WORK/suite" | sort | tr '\n' ' ' | sed 's/ $//')"

# ---- ids and fields ----

for id in 99999999999999999999 18446744073709551616 -1 1e3 0x1 %2b1; do
	request GET "$records/$id" >/dev/null
	row "HTTP row 39: $id as an id" "GET $records/$id" "404" "$STATUS"
done
request POST $records '{"id":"aaaaaaaaaaaaaaa","title":"first"}' >/dev/null
for page in 99999999999999999999 18446744073709551617 4294967297; do
	request GET "$records?page=$page&perPage=1" >"$WORK/page"
	# Wrapped round, the last two would be page 1 and show the record.
	case "$STATUS $(cat "$WORK/page")" in
	200*'"page":1,'* | 200*'"items":[]'* | 400*) verdict="not wrapped" ;;
	*) verdict="$STATUS $(cat "$WORK/page")" ;;
	esac
	row "HTTP row 39: page $page" "GET $records?page=$page" "not wrapped" "$verdict"
done
request POST $records '{"title":"ok","made":"2000-01-01 00:00:00.000Z","collectionId":"zz","collectionName":"_superusers",
	"nosuch":1,"rowid":5,"_rowid_":5}' >"$WORK/made"
row "HTTP row 42: fields that are not the caller's to set" "POST $records" "200 notes, made today, nothing else" \
	"$STATUS $(sed -n 's/.*"collectionName":"\([^"]*\)".*/\1/p' "$WORK/made"), made $(
		grep -q "\"made\":\"$(date -u +%Y-%m-%d)" "$WORK/made" && echo today || echo otherwise), $(
		grep -qE 'nosuch|rowid|"zz"' "$WORK/made" && echo more || echo nothing else)"
request POST /api/collections/users/records '{"email":"m@http.example","password":"correct-horse-1",
	"passwordConfirm":"correct-horse-1","verified":true,"tokenKey":"x"}' "Authorization: $token" >/dev/null
request POST /api/collections/_superusers/records '{"email":"m@http.example","password":"correct-horse-1",
	"passwordConfirm":"correct-horse-1"}' >/dev/null
row "HTTP row 42: a guest who would be a superuser" "POST /api/collections/_superusers/records" "403" "$STATUS"

# ---- all rows ----

row "HTTP: no second request ever runs" "http_raw --port; tenon audit query" "0 answers too many, 0 in the journal" \
	"$(grep -cE 'SMUGGLED' "$seen") answers too many, $(
		"$TENON" audit query --data "$DATA" --action unrouted --limit 1000 | grep -c smuggled) in the journal"
row "HTTP: every case of every row" "http_raw --port" "0 failed" "$(grep -c '^FAIL' "$seen") failed"
# 501 and 505 say what is not done; a 5xx is any other.
row "HTTP: no 5xx but in row 22" "http_raw --port" "0" \
	"$(grep -v 'row 22' "$seen" | sed 's/.* seen //' | grep -cE '^5(0[0234]|[1-9])')"
within "HTTP: closed within 10 s, the slowest in ms" "http_raw --port" "at most 10000" \
	"$(sed -n 's/.*closed after \([0-9]*\) ms.*/\1/p' "$seen" | sort -n | tail -n 1)" "<=" 10000
row "HTTP: other clients are served meanwhile" "http_raw --port" "0 not served" \
	"$(grep -c 'others not served' "$seen") not served"
kill -0 "$SERVER_PID" 2>/dev/null
row "HTTP: the server is the process that it was" "kill -0" "0" "$?"
server_stop
row "HTTP: and ends when told to" "kill -TERM" "0" "$?"
