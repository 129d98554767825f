#!/usr/bin/env bash
# writes.sh BUILD - many writes at once, and each of them once: batches, arrays, keys, imports, guards.
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
# has WHAT PART TEXT
has() {
	case $3 in
	*"$2"*) echo "ok    $1" ;;
	*)
		echo "FAIL  $1: '$2' is not in '$3'"
		failed=$((failed + 1))
		;;
	esac
}
# ask METHOD PATH [BODY [TOKEN [HEADER...]]]: sets STATUS and ANSWER, and $WORK/head
ask() {
	local method=$1 path=$2 body=${3-} token=${4-}
	shift $(($# < 4 ? $# : 4))
	local args=(-sS -D "$WORK/head" -o "$WORK/answer" -w '%{http_code}' -X "$method" -H "Authorization: $token")
	[ -z "$body" ] || args+=(-H "Content-Type: ${TYPE:-application/json}" --data-binary "$body")
	local header
	for header in "$@"; do args+=(-H "$header"); done
	STATUS=$(curl "${args[@]}" "$BASE$path") || STATUS=000
	ANSWER=$(cat "$WORK/answer")
}
member() { printf '%s' "$ANSWER" | sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p"; }
tenon() { "$TENON" "$@" --data "$DATA"; }
# total COLLECTION: how many records the shop has there
total() {
	ask GET "/t/shop/api/collections/$1/records?perPage=1" '' "$SHOP"
	printf '%s' "$ANSWER" | sed -n 's/.*"totalItems":\([0-9]*\).*/\1/p'
}

server_start main
for tenant in shop bank; do
	tenon tenant create $tenant >/dev/null
	tenon superuser upsert root@$tenant.test 'correct horse' --tenant $tenant >/dev/null
	ask POST "/t/$tenant/api/collections/_superusers/auth-with-password" "{\"identity\":\"root@$tenant.test\",\"password\":\"correct horse\"}"
	declare "${tenant^^}=$(member token)"
done

ask POST /t/shop/api/collections '{"name":"books","type":"base","listRule":"","viewRule":"","createRule":"","updateRule":"","deleteRule":"","fields":[{"name":"title","type":"text","required":true,"max":30},{"name":"n","type":"number"},{"name":"day","type":"date"},{"name":"tags","type":"select","values":["a","b","c"],"maxSelect":3}],"indexes":["CREATE UNIQUE INDEX `idx_title` ON `books` (`title`)"]}' "$SHOP"
is "a collection" 200 "$STATUS"
ask POST /t/shop/api/collections '{"name":"secrets","type":"base","fields":[{"name":"title","type":"text"}]}' "$SHOP"
R=/api/collections/books/records
ask PATCH /t/shop/api/settings '{"rateLimits":{"enabled":false}}' "$SHOP"
is "no limits, for now" 200 "$STATUS"

# ---- batches ----
ask POST /t/shop/api/batch "{\"requests\":[{\"method\":\"POST\",\"url\":\"$R?fields=id,title\",\"body\":{\"id\":\"book00000000001\",\"title\":\"one\",\"frob\":1}},{\"method\":\"PATCH\",\"url\":\"$R/book00000000001\",\"body\":{\"n+\":2}},{\"method\":\"put\",\"url\":\"$R\",\"body\":{\"id\":\"book00000000002\",\"title\":\"two\"}},{\"method\":\"PUT\",\"url\":\"$R\",\"body\":{\"id\":\"book00000000001\",\"n+\":5}},{\"method\":\"DELETE\",\"url\":\"$R/book00000000002\"}]}"
is "a batch is done" 200 "$STATUS"
has "with each answer in its place" '[{"status":200,"body":{"id":"book00000000001","title":"one"}},{"status":200,"body":{' "$ANSWER"
has "what was deleted has none" '{"status":204,"body":null}]' "$ANSWER"
has "later requests see earlier ones" '"n":7' "$ANSWER"
has "and ignored members are named" 'X-Tenon-Ignored: frob' "$(tr -d '\r' <"$WORK/head")"
is "the rest stands" 1 "$(total books)"
ask POST /t/shop/api/batch "{\"requests\":[{\"method\":\"POST\",\"url\":\"$R\",\"body\":{\"title\":\"three\"}},{\"method\":\"POST\",\"url\":\"$R\",\"body\":{\"n\":1}}]}"
is "one that fails takes all back" "400 1" "$STATUS $(total books)"
ask POST /t/shop/api/batch "{\"requests\":[{\"method\":\"POST\",\"url\":\"$R\",\"body\":{\"title\":\"three\"}},{\"method\":\"POST\",\"url\":\"$R\",\"body\":{\"n\":1}}]}"
has "and is named as PocketBase names it" '"message":"Batch transaction failed.","data":{"requests":{"1":{"code":"batch_request_failed","message":"Batch request failed.","response":{"status":400,"message":"Failed to create record.","data":{"title":{"code":"validation_required"' "$ANSWER"
ask POST /t/shop/api/batch '{"requests":[{"method":"POST","url":"/api/collections/secrets/records","body":{"title":"x"}}]}'
has "rules hold inside a batch" '"0":{"code":"batch_request_failed","message":"Batch request failed.","response":{"status":403' "$ANSWER"
ask POST /t/shop/api/batch '{"requests":[{"method":"POST","url":"/api/collections/secrets/records","headers":{"Authorization":"'"$SHOP"'"},"body":{"title":"x"}}]}'
is "and nobody signs in there" 400 "$STATUS"
ask POST /t/shop/api/batch '{"requests":[{"method":"GET","url":"/api/collections/books/records"}]}'
has "a request that is no write is none" '"requests":{"0":{"code":"batch_request_failed"' "$ANSWER"
for url in /api/collections/books /api/x/y "$R/a/b" "http://evil.test$R" "/t/bank$R" "$R/%2e%2e"; do
	ask POST /t/shop/api/batch "{\"requests\":[{\"method\":\"PATCH\",\"url\":\"$url\",\"body\":{}}]}"
	is "nor is $url" 400 "$STATUS"
done
ask POST /t/shop/api/batch '{"requests":[]}'
has "an empty one is refused" '"requests":{"code":"validation_required","message":"Cannot be blank."' "$ANSWER"
many=$(for n in $(seq 51); do printf ',{"method":"DELETE","url":"%s/x"}' $R; done)
ask POST /t/shop/api/batch "{\"requests\":[${many:1}]}"
has "so is one of more than 50" '"requests":{"code":"validation_length_too_long"' "$ANSWER"
ask PATCH /t/shop/api/settings '{"batch":{"maxRequests":2}}' "$SHOP"
two="{\"method\":\"DELETE\",\"url\":\"$R/x\"},{\"method\":\"DELETE\",\"url\":\"$R/x\"}"
ask POST /t/shop/api/batch "{\"requests\":[$two,{\"method\":\"DELETE\",\"url\":\"$R/x\"}]}"
has "or than the settings say" 'no more than 2' "$ANSWER"
ask PATCH /t/shop/api/settings '{"batch":{"maxRequests":50,"enabled":false}}' "$SHOP"
ask POST /t/shop/api/batch "{\"requests\":[$two]}"
is "which can forbid them" "403 Batch requests are not allowed." "$STATUS $(member message)"
ask PATCH /t/shop/api/settings '{"batch":{"enabled":true}}' "$SHOP"
for body in '[]' '{"requests":{}}' '{"requests":[null]}' '{"requests":[[]]}' '{"requests":[{"method":1,"url":2}]}' '"x"' '{"requests":[{"method":"POST","url":"'$R'","headers":[],"body":{}}]}' '{"requests":[{"method":"POST","url":"'$R'","body":[1]}]}'; do
	ask POST /t/shop/api/batch "$body"
	is "a body that is none: $body" 400 "$STATUS"
done
ask POST /t/shop/api/batch "{\"requests\":[{\"method\":\"POST\",\"url\":\"$R\",\"body\":{\"title\":\"x\"}}]}" "$BANK"
is "another tenant's token is refused" 401 "$STATUS"
ask POST /t/bank/api/batch "{\"requests\":[{\"method\":\"POST\",\"url\":\"$R\",\"body\":{\"title\":\"x\"}}]}" "$BANK"
has "and his own has no such collection" '"response":{"status":404' "$ANSWER"

# ---- arrays ----
ask POST /t/shop$R '[{"id":"book00000000010","title":"ten"},{"id":"book00000000011","title":"eleven","n":1},{"title":"twelve"}]'
is "an array of records is made" "200 4" "$STATUS $(total books)"
ask POST /t/shop$R '[{"title":"thirteen"},{"title":"ten"}]'
is "all of it or nothing" "400 4" "$STATUS $(total books)"
ask POST /t/shop$R '[{"title":"thirteen"},{"title":"ten"}]'
has "the one that fails is named" '"message":"Failed to create records.","data":{"records":{"1":{' "$ANSWER"
has "with its field" '"title":{"code":"validation_not_unique"' "$ANSWER"
ask PATCH /t/shop$R '[{"id":"book00000000010","n":10},{"id":"book00000000011","n+":10}]'
has "an array of changes" '"n":11' "$ANSWER"
ask PATCH /t/shop$R '[{"id":"book00000000010","n":99},{"n":10}]'
has "each names its record" '"1":{"code":"batch_request_failed"' "$ANSWER"
ask GET "/t/shop$R/book00000000010?fields=n"
is "or none is changed" '{"n":10}' "$ANSWER"
ask PATCH /t/shop$R '{"n":1}'
is "without an id only arrays" 400 "$STATUS"
ask DELETE /t/shop$R '["book00000000010","nosuch000000000"]'
is "an array of ids" "400 4" "$STATUS $(total books)"
ask DELETE /t/shop$R '["book00000000010","book00000000011"]'
is "is deleted whole" "204 2" "$STATUS $(total books)"
ask DELETE /t/shop$R '[{"id":"x"}]'
is "of ids alone" 400 "$STATUS"
for body in '[]' '[1]' '[[]]' '[null]'; do
	ask POST /t/shop$R "$body"
	is "an array of none: $body" 400 "$STATUS"
done
{ printf '['; for n in $(seq 1001); do printf '{"title":"t%s"},' $n; done; printf '{"title":"last"}]'; } >"$WORK/many"
ask POST /t/shop$R "@$WORK/many"
is "more than a thousand are too many" 400 "$STATUS"

# ---- each request once ----
key() { ask "$1" "$2" "$3" "${5-}" "Idempotency-Key: $4"; }
key POST /t/shop$R '{"title":"once"}' key-1
FIRST="$STATUS $ANSWER"
key POST /t/shop$R '{"title":"once"}' key-1
is "the same request with the same key is answered the same" "$FIRST" "$STATUS $ANSWER"
has "and says so" 'Idempotency-Replayed: true' "$(tr -d '\r' <"$WORK/head")"
is "it was done once" 3 "$(total books)"
key POST /t/shop$R '{"title":"other"}' key-1
is "the key does not fit another request" "422 TN1422" "$STATUS $(member code)"
key POST /t/shop$R '{"title":"once"}' key-1 "$SHOP"
is "of somebody else it is another key" 400 "$STATUS"
key POST /t/shop$R '{"n":1}' key-2
is "what was refused is not kept" 400 "$STATUS"
key POST /t/shop$R '{"title":"mended"}' key-2
is "so the key is free" 200 "$STATUS"
ID=$(member id)
key DELETE "/t/shop$R/$ID" '' key-3
key DELETE "/t/shop$R/$ID" '' key-3
is "a delete sent twice" 204 "$STATUS"
key POST /t/shop/api/batch "{\"requests\":[{\"method\":\"POST\",\"url\":\"$R\",\"body\":{\"title\":\"batch once\"}}]}" key-4
FIRST="$STATUS $ANSWER"
key POST /t/shop/api/batch "{\"requests\":[{\"method\":\"POST\",\"url\":\"$R\",\"body\":{\"title\":\"batch once\"}}]}" key-4
is "a batch sent twice" "$FIRST" "$STATUS $ANSWER"
key POST /t/shop$R '[{"title":"array once"}]' key-5
FIRST="$STATUS $ANSWER"
key POST /t/shop$R '[{"title":"array once"}]' key-5
is "an array sent twice" "$FIRST" "$STATUS $ANSWER"
key POST /t/shop$R '{"title":"long key"}' "$(head -c 256 /dev/zero | tr '\0' k)"
is "a key of more than 255 characters is none" 400 "$STATUS"
for n in 1 2 3 4 5 6; do
	curl -sS -o /dev/null -w '%{http_code}\n' -H 'Idempotency-Key: race' -H 'Content-Type: application/json' -d '{"title":"raced"}' "$BASE/t/shop$R" >>"$WORK/raced" &
done
wait $(jobs -p | grep -v "^$SERVER_PID$") || true
is "of those that race none but the first writes" "" "$(grep -vE '^(200|409)$' "$WORK/raced" || true)"
ask GET "/t/shop$R?filter=title='raced'"
has "once" '"totalItems":1' "$ANSWER"

# ---- a write of what was seen ----
tag() { sed -n 's/^ETag: //p' "$WORK/head" | tr -d '\r'; }
ask GET /t/shop$R/book00000000001
TAG=$(tag)
ask PATCH /t/shop$R/book00000000001 '{"n":20}' '' "If-Match: $TAG"
is "the record is still the one that was seen" 200 "$STATUS"
NEW=$(tag)
ask PATCH /t/shop$R/book00000000001 '{"n":21}' '' "If-Match: $TAG"
is "now it is not" "412 TN1412" "$STATUS $(member code)"
ask DELETE /t/shop$R/book00000000001 '' '' "If-Match: $TAG"
is "nor for a delete" 412 "$STATUS"
ask PATCH /t/shop$R/book00000000001 '{"n":22}' '' "If-Match: $NEW"
is "what a change answers has the next tag" 200 "$STATUS"
ask POST /t/shop/api/batch "{\"requests\":[{\"method\":\"PATCH\",\"url\":\"$R/book00000000001\",\"headers\":{\"If-Match\":\"\\\"x\\\"\"},\"body\":{\"n\":1}}]}"
has "in a batch each request has its own" '"response":{"status":412' "$ANSWER"

# ---- revisions and the trash ----
ask PATCH /t/shop/api/collections/books '{"revisions":3,"softDelete":true}' "$SHOP"
has "a collection keeps revisions and a trash" '"revisions":3,"softDelete":true' "$ANSWER"
B=/t/shop$R/book00000000001
ask PATCH $B '{"title":"uno"}'
ask PATCH $B '{"title":"eins"}'
ask GET $B/revisions '' "$SHOP"
has "a record's revisions, the newest first" '{"items":[{"revision":2,' "$ANSWER"
has "with what it was" '"title":"uno"' "$ANSWER"
ask GET $B/revisions
is "are for superusers" 401 "$STATUS"
ask GET "/t/bank$R/book00000000001/revisions" '' "$SHOP"
is "of this tenant" 401 "$STATUS"
ask POST $B/revert '{"revision":1}' "$SHOP"
is "a record is made again what it was" "200 one" "$STATUS $(member title)"
ask POST $B/revert '{"revision":99}' "$SHOP"
is "there is no revision 99" 404 "$STATUS"
ask DELETE $B
is "a deleted record" 204 "$STATUS"
ask GET $B
is "is gone" 404 "$STATUS"
ask GET /t/shop$R/trash '' "$SHOP"
has "into the trash" '"id":"book00000000001"' "$ANSWER"
ask GET /t/shop$R/trash
is "which is for superusers" 401 "$STATUS"
ask POST /t/shop$R/trash/book00000000001/restore '' "$SHOP"
is "it comes back" "200 one" "$STATUS $(member title)"
ask DELETE $B
ask DELETE /t/shop$R/trash/book00000000001 '' "$SHOP"
is "or goes for good" 204 "$STATUS"
ask POST /t/shop$R/trash/book00000000001/restore '' "$SHOP"
is "and stays gone" 404 "$STATUS"

ask POST /t/shop/api/collections '{"name":"scans","type":"base","listRule":"","viewRule":"","createRule":"","deleteRule":"","softDelete":true,"fields":[{"name":"page","type":"file","maxSelect":2}]}' "$SHOP"
printf 'one page' >"$WORK/page.txt"
ANSWER=$(curl -sS -F "page=@$WORK/page.txt" -F id=scan00000000001 "$BASE/t/shop/api/collections/scans/records")
PAGE=$(printf '%s' "$ANSWER" | sed -n 's/.*"page":\["\([^"]*\)".*/\1/p')
page() { curl -sS -o "$WORK/answer" -w '%{http_code} ' "$BASE/t/shop/api/files/scans/scan00000000001/$PAGE"; [ ! -s "$WORK/answer" ] || head -c 8 "$WORK/answer"; }
is "a record with a file" "200 one page" "$(page)"
ask DELETE /t/shop/api/collections/scans/records/scan00000000001
case $(page) in 404*) seen=404 ;; *) seen=other ;; esac
is "in the trash its file is not served" 404 $seen
ask POST /t/shop/api/collections/scans/records/trash/scan00000000001/restore '' "$SHOP"
is "it comes back with it" "200 one page" "$(page)"
ask DELETE /t/shop/api/collections/scans/records/scan00000000001
ask DELETE /t/shop/api/collections/scans/records/trash '' "$SHOP"
is "purged" 204 "$STATUS"
for n in $(seq 50); do [ -n "$(find "$DATA/tenants" -name "$PAGE*")" ] || break; sleep 0.1; done
is "the file is gone too" "" "$(find "$DATA/tenants" -name "$PAGE*")"

# ---- imports ----
I=/t/shop$R/import
before=$(total books)
printf 'id,title,n,day,tags,frob\r\nbook00000000020,"imp ""one""",1.5,2026-01-02,"[""a"",""c""]",x\r\n,imp two,,,b,\r\n' >"$WORK/good.csv"
TYPE=text/csv ask POST "$I?dryRun=1" "@$WORK/good.csv"
has "a dry run counts" '{"rows":2,"created":2,"updated":0,"dryRun":true,"ignored":"frob"}' "$ANSWER"
is "and writes nothing" $before "$(total books)"
TYPE=text/csv ask POST "$I" "@$WORK/good.csv"
is "an import writes" "200 $((before + 2))" "$STATUS $(total books)"
ask GET "/t/shop$R/book00000000020?fields=title,n,day,tags"
is "what stands in the file" '{"day":"2026-01-02 00:00:00.000Z","n":1.5,"tags":["a","c"],"title":"imp \"one\""}' "$ANSWER"
TYPE=text/csv ask POST "$I" "@$WORK/good.csv"
is "not twice" 400 "$STATUS"
TYPE=text/csv ask POST "$I?mode=upsert" $'id,n\nbook00000000020,7\n'
has "an upsert changes" '"created":0,"updated":1' "$ANSWER"
TYPE=text/csv ask POST "$I" $'title,n,day\nok,1,\n,2,\nimp two,x,\nlast,3,not a day\n'
is "wrong rows are listed" 400 "$STATUS"
has "with line and column" '{"line":3,"row":2,"column":"title","code":"validation_required"' "$ANSWER"
has "each of them" '{"line":4,"row":3,"column":"n","code":"validation_invalid_value"' "$ANSWER"
has "to the last" '{"line":5,"row":4,"column":"day","code":"validation_invalid_value"' "$ANSWER"
is "and nothing is written" $((before + 2)) "$(total books)"
TYPE=text/csv ask POST "$I" $'title,n\na"b,1\n'
has "broken CSV is named with its place" '"line":2,"byte":2' "$ANSWER"
for text in 'title,title' $'title,n\na\n' $'title\na,b\n' $',\n' $'title\n"open'; do
	TYPE=text/csv ask POST "$I" "$text"
	is "no table: ${text@Q}" 400 "$STATUS"
done
ask POST "$I?format=json" '[{"title":"json one"},{"title":"json one"}]'
has "JSON as well" '"line":1,"row":2,"column":"title","code":"validation_not_unique"' "$ANSWER"
ask POST "$I" '[{"title":"json one"},{"title":"json two","tags":["a"]}]'
has "is imported" '"created":2' "$ANSWER"
ask POST "$I" '{"title":"x"}'
is "an object is no array" 400 "$STATUS"
ask POST "$I?format=xml" '[]'
is "an unknown format is refused" 400 "$STATUS"
ask POST /t/shop/api/collections/secrets/records/import '[{"title":"x"}]'
is "rules hold" 403 "$STATUS"
ask POST "$I" '[{"title":"x"}]' "$BANK"
is "another tenant's token" 401 "$STATUS"
head -c 5000000 /dev/zero | tr '\0' ' ' >"$WORK/large"
is "more than 4 MiB is too large" 413 "$(curl -sS -o /dev/null -w '%{http_code}' -H 'Content-Type: text/csv' --data-binary "@$WORK/large" "$BASE$I" || true)"
{ echo title; seq -f 'row %g' 20000; } >"$WORK/many.csv"
is "the command line imports" 0 "$(tenon import books "$WORK/many.csv" --tenant shop >/dev/null; echo $?)"
is "20,000 rows" $((before + 20004)) "$(total books)"
is "and tells what is wrong" 1 "$(tenon import books "$WORK/many.csv" --tenant shop >/dev/null 2>"$WORK/why" || echo $?)"
has "by line" 'line 2, title: Value must be unique.' "$(cat "$WORK/why")"
is "an import without a file is wrong usage" 2 "$(tenon import books >/dev/null 2>&1 || echo $?)"

# ---- limits ----
ask PATCH /t/shop/api/settings '{"rateLimits":{"enabled":true,"rules":[{"label":"*:create","maxRequests":5,"duration":60,"audience":""}]}}' "$SHOP"
ask POST /t/shop$R '[{"title":"l1"},{"title":"l2"},{"title":"l3"},{"title":"l4"}]'
is "each record of an array counts" 200 "$STATUS"
ask POST /t/shop/api/batch "{\"requests\":[{\"method\":\"POST\",\"url\":\"$R\",\"body\":{\"title\":\"l5\"}},{\"method\":\"POST\",\"url\":\"$R\",\"body\":{\"title\":\"l6\"}}]}"
is "and each of a batch" 429 "$STATUS"
ask PATCH /t/shop/api/settings '{"rateLimits":{"enabled":false}}' "$SHOP"

# ---- a plugin that guards all three ----
ask POST /t/shop/api/collections '{"name":"guarded","type":"base","listRule":"","viewRule":"","createRule":"","updateRule":"","deleteRule":"","fields":[{"name":"title","type":"text"},{"name":"locked","type":"bool"}]}' "$SHOP"
tenon plugin deploy "$BUILD/plugins/test/guard.so" --tenant shop --grant-all --wait >/dev/null
G=/api/collections/guarded/records
ask POST /t/shop$G '{"title":"forbidden"}'
has "the hook before a create refuses" 'not that title' "$ANSWER"
ask POST /t/shop$G '{"id":"guard0000000001","title":"free"}'
is "or lets it" 200 "$STATUS"
ask PATCH /t/shop$G/guard0000000001 '{"locked":true}'
is "the one before an update sees what was and what would be" 200 "$STATUS"
ask PATCH /t/shop$G/guard0000000001 '{"title":"x"}'
has "and refuses" 'it is locked' "$ANSWER"
ask DELETE /t/shop$G/guard0000000001
has "so does the one before a delete" '"locked":{"code":"locked","message":"it is locked"' "$ANSWER"
ask POST /t/shop/api/batch "{\"requests\":[{\"method\":\"POST\",\"url\":\"$G\",\"body\":{\"title\":\"fine\"}},{\"method\":\"DELETE\",\"url\":\"$G/guard0000000001\"}]}"
has "in a batch too" '"1":{"code":"batch_request_failed","message":"Batch request failed.","response":{"status":400,"message":"it is locked"' "$ANSWER"
is "which takes all back" 1 "$(total guarded)"
ask POST /t/shop$G/import '[{"title":"x"}]'
has "an import does not pass them by" 'Plugins guard this collection' "$ANSWER"
ask POST "/t/shop$G/import?skipHooks=1" '[{"title":"x"}]'
is "for nobody" 400 "$STATUS"
ask POST "/t/shop$G/import?skipHooks=1" '[{"title":"forbidden"}]' "$SHOP"
is "but a superuser who says so" 200 "$STATUS"

tenon audit verify >/dev/null
is "the journal is whole" 0 $?
server_stop
is "the server ends well" 0 $?
[ $failed = 0 ]
