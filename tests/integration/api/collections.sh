#!/usr/bin/env bash
# collections.sh BUILD - collections as they change: views, imports, dry runs, and writers who do not stop meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../../.."
BUILD=$1
. tests/lib/server.sh
. tests/lib/story.sh

server_start main
for tenant in shop bank; do
	tenon tenant create $tenant >/dev/null
	tenon superuser upsert root@$tenant.test 'correct horse' --tenant $tenant >/dev/null
	sign_in $tenant _superusers root@$tenant.test 'correct horse'
	declare "${tenant^^}=$(member token)"
done
C=/t/shop/api/collections

# ---- who may ----
ask GET $C/meta/scaffolds '' "$SHOP"
has "a scaffold of each type is there" '"view":{' "$ANSWER"
ask GET $C/meta/scaffolds '' "$BANK"
is "not for another tenant's superuser" "401 TN1407" "$STATUS $(member code)"
ask PUT $C/import '{"collections":[]}' "$BANK"
is "who imports nothing here either" "401 TN1407" "$STATUS $(member code)"
ask PUT $C/import '{"collections":[]}'
is "least of all a guest" 401 "$STATUS"
ask DELETE $C/users/truncate '' "$BANK"
is "or empties anything" "401 TN1407" "$STATUS $(member code)"

# ---- an import, tried before it is done ----
shop='{"collections":[
 {"id":"p_id","name":"products","listRule":"","fields":[{"id":"f_name","name":"name","type":"text"},{"id":"f_price","name":"price","type":"number"},{"id":"f_tags","name":"tags","type":"select","values":["a","b"],"maxSelect":2}]},
 {"id":"o_id","name":"orders","listRule":"product.name != \"\"","fields":[{"name":"product","type":"relation","collectionId":"p_id"},{"name":"n","type":"number"},{"name":"at","type":"geoPoint"}]},
 {"name":"sold","type":"view","listRule":"","viewQuery":"SELECT p.id, p.name, sum(o.n) AS pieces, CAST(total(o.n) * p.price AS REAL) AS money FROM products p LEFT JOIN orders o ON o.product = p.id GROUP BY p.id"}]}'
ask PUT "$C/import?dryRun=1" "$shop" "$SHOP"
has "a dry run tells what would be made" '"action":"create","id":"p_id","name":"products"' "$ANSWER"
ask GET $C/products '' "$SHOP"
is "and makes nothing" 404 "$STATUS"
ask PUT $C/import "$shop" "$SHOP"
is "then it is done" 204 "$STATUS"
ask GET /t/bank/api/collections/products '' "$BANK"
is "for this tenant alone" 404 "$STATUS"
ask POST $C/products/records '{"id":"bolt00000000000","name":"bolt","price":2.5,"tags":["a","b"]}' "$SHOP"
ask POST $C/orders/records '{"product":"bolt00000000000","n":4,"at":{"lon":13.4,"lat":52.5}}' "$SHOP"
has "a point is stored as such" '"at":{"lon":13.4,"lat":52.5}' "$ANSWER"
ask GET "$C/sold/records?filter=money%20%3E%209"
has "a guest reads the view, by its rule" '"money":10,"name":"bolt","pieces":4' "$ANSWER"
ask POST $C/sold/records '{"name":"x"}' "$SHOP"
is "nobody writes it" "400 Unsupported collection type." "$STATUS $(member message)"
ask POST $C '{"name":"leak","type":"view","viewQuery":"SELECT id, _password_hash AS h FROM users"}' "$SHOP"
has "a view of secrets is none" '"viewQuery":{"code":"validation_invalid_view_query"' "$ANSWER"

# ---- names and types ----
fields() { printf '{"fields":[{"id":"text_id","name":"id","type":"text"},%s]}' "$1"; }
renamed=$(fields '{"id":"f_name","name":"title","type":"text"},{"id":"f_price","name":"price","type":"number"},{"id":"f_tags","name":"tags","type":"select","values":["a","b"]}')
curl -sS -D "$WORK/head" -o "$WORK/answer" -X PATCH -H "Authorization: $SHOP" -H 'Content-Type: application/json' -d "$renamed" "$BASE$C/products"
has "a choice that had to go is told" 'X-Tenon-Lost: tags=1' "$(tr -d '\r' <"$WORK/head")"
ask GET $C/orders '' "$SHOP"
has "a rule of another collection follows the new name" 'product.title !=' "$ANSWER"
ask GET $C/sold/records
has "so does the view" '"pieces":4,"title":"bolt"' "$ANSWER"
ask PATCH $C/products "$(fields '{"id":"f_name","name":"title","type":"number"},{"id":"f_price","name":"price","type":"number"}')" "$SHOP"
has "a type that values do not fit is refused with one of them" '"fields":{"1":{"type":{"code":"validation_field_type_change","message":"1 of 1 values are no number' "$ANSWER"
ask DELETE $C/products '' "$SHOP"
has "what a relation points at stays" '"message":"Failed to delete collection due to existing dependency."' "$ANSWER"

# ---- the command line ----
is "the definitions go into a file" 0 "$(tenon collections export "$WORK/shop.json" --tenant shop >/dev/null 2>&1; echo $?)"
is "which is not replaced by mistake" 1 "$(tenon collections export "$WORK/shop.json" --tenant shop >/dev/null 2>"$WORK/why" || echo $?)"
has "and says how" '--force' "$(cat "$WORK/why")"
has "another tenant would get them" '"name":"sold"' "$(tenon collections import "$WORK/shop.json" --tenant bank --dry-run)"
is "gets them" 0 "$(tenon collections import "$WORK/shop.json" --tenant bank >/dev/null 2>"$WORK/why"; echo $?)"
ask GET /t/bank/api/collections/sold/records '' "$BANK"
has "without a record" '"totalItems":0' "$ANSWER"
printf '[{"name":"x","listRule":"nosuch = 1"}]' >"$WORK/bad.json"
is "a bad one is refused" 1 "$(tenon collections import "$WORK/bad.json" --tenant bank >/dev/null 2>"$WORK/why" || echo $?)"
has "in words" 'Unknown field' "$(cat "$WORK/why")"
is "wrong words are wrong usage" 2 "$(tenon collections exprt x >/dev/null 2>&1 || echo $?)"

# ---- a schema that changes under those who write ----
ask POST $C '{"id":"log_id","name":"log","createRule":"","fields":[{"id":"f_a","name":"a","type":"text"},{"id":"f_b","name":"b","type":"number"}]}' "$SHOP"
writer() { # N: writes until told to stop; what was acknowledged stands in its file
	local i=0 id status
	while [ ! -e "$WORK/stop" ] && [ "${status:-200}" = 200 ]; do
		i=$((i + 1))
		id=$(printf 'w%d%013d' "$1" $i)
		status=$(curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' \
			-d "{\"id\":\"$id\",\"a\":\"text $i\",\"b\":$i}" "$BASE/t/shop/api/collections/log_id/records") || status=000
		echo "$status $id" >>"$WORK/writer.$1"
	done
}
pids=()
for n in 1 2 3; do
	writer $n &
	pids+=($!)
done
changed=0
for round in 1 2 3 4; do
	for fields in \
		'{"id":"f_a","name":"a","type":"text"},{"id":"f_b","name":"b","type":"number"},{"id":"f_c","name":"c","type":"bool"}' \
		'{"id":"f_a","name":"b","type":"text"},{"id":"f_b","name":"a","type":"number"},{"id":"f_c","name":"c","type":"bool"}' \
		'{"id":"f_a","name":"a","type":"text"},{"id":"f_b","name":"b","type":"number"}'; do
		name=log$((round % 2))
		ask PATCH $C/log_id "{\"name\":\"$name\",\"fields\":[{\"id\":\"text_id\",\"name\":\"id\",\"type\":\"text\"},$fields]}" "$SHOP"
		[ "$STATUS" != 200 ] || changed=$((changed + 1))
		sleep 0.1
	done
done
touch "$WORK/stop"
for pid in "${pids[@]}"; do wait "$pid"; done
is "twelve changes went through" 12 $changed
cat "$WORK"/writer.* >"$WORK/writes"
is "no write was refused" 0 "$(grep -vc '^200 ' "$WORK/writes" || true)"
written=$(grep -c '^200 ' "$WORK/writes")
[ "$written" -gt 20 ] && enough=yes || enough="only $written"
is "and there were some" yes "$enough"
: >"$WORK/ids"
for ((page = 1; page <= written / 1000 + 1; page++)); do
	curl -sS -H "Authorization: $SHOP" "$BASE$C/log_id/records?perPage=1000&page=$page&fields=id" | grep -o '"id":"w[0-9]*"' | cut -d'"' -f4 >>"$WORK/ids" || true
done
is "each that was acknowledged is there" "" "$(comm -23 <(sed -n 's/^200 //p' "$WORK/writes" | sort) <(sort "$WORK/ids"))"

# ---- all records of one ----
ask DELETE $C/log_id/truncate '' "$SHOP"
is "a collection is emptied" 204 "$STATUS"
ask GET $C/log_id/records '' "$SHOP"
has "and empty" '"totalItems":0' "$ANSWER"
ask DELETE $C/sold/truncate '' "$SHOP"
is "a view has nothing of its own to lose" 400 "$STATUS"
has "the journal has each change" '"action":"collection.import"' "$(tenon audit query --tenant shop --limit 1000)"
server_stop
story_end
