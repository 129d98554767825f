#!/usr/bin/env bash
# reading.sh BUILD - what is read of records: cursors, groups, picked and expanded parts, tags, exports, rules of fields.
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
# ask METHOD PATH [BODY [TOKEN [HEADER]]]: sets STATUS and ANSWER, and $WORK/head
ask() {
	local args=(-sS -g -D "$WORK/head" -o "$WORK/answer" -w '%{http_code}' -X "$1" -H "Authorization: ${4-}" -H "${5-X-None: 1}")
	[ -z "${3-}" ] || args+=(-H 'Content-Type: application/json' --data-binary "$3")
	: >"$WORK/answer"
	STATUS=$(curl "${args[@]}" "$BASE$2") || STATUS=000
	ANSWER=$(cat "$WORK/answer")
}
member() { printf '%s' "$ANSWER" | sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p"; }
header() { tr -d '\r' <"$WORK/head" | sed -n "s/^$1: //p"; }
tenon() { "$TENON" "$@" --data "$DATA"; }

server_start main
declare -A TOKEN
for tenant in shop bank; do
	tenon tenant create $tenant >/dev/null
	tenon superuser upsert root@$tenant.test 'correct horse' --tenant $tenant >/dev/null
	ask POST "/t/$tenant/api/collections/_superusers/auth-with-password" '{"identity":"root@'$tenant'.test","password":"correct horse"}'
	TOKEN[$tenant]=$(member token)
	ask POST "/t/$tenant/api/collections" '{"name":"teams","type":"base","listRule":"","viewRule":"","fields":[{"name":"name","type":"text"}]}' "${TOKEN[$tenant]}"
	ask POST "/t/$tenant/api/collections" '{"name":"staff","type":"base","listRule":"","viewRule":"","updateRule":"","fields":[
		{"name":"name","type":"text"},{"name":"bio","type":"editor"},{"name":"note","type":"text"},{"name":"team","type":"relation","collectionId":"teams"},
		{"name":"pay","type":"number","readRule":"@request.auth.id != \"\"","writeRule":"@request.auth.verified = true"}]}' "${TOKEN[$tenant]}"
	[ "$STATUS" = 200 ] || ask POST "/t/$tenant/api/collections" '{"name":"staff","type":"base","listRule":"","viewRule":"","updateRule":"","fields":[
		{"name":"name","type":"text"},{"name":"bio","type":"text"},{"name":"note","type":"text"},{"name":"team","type":"relation","collectionId":"teams"},
		{"name":"pay","type":"number","readRule":"@request.auth.id != \"\"","writeRule":"@request.auth.verified = true"}]}' "${TOKEN[$tenant]}"
done
SHOP=${TOKEN[shop]} BANK=${TOKEN[bank]}
S=/t/shop/api/collections/staff/records
for n in 1 2; do ask POST /t/shop/api/collections/teams/records "{\"id\":\"team0000000000$n\",\"name\":\"Team $n\"}" "$SHOP"; done
for n in $(seq 10 34); do
	ask POST $S "{\"id\":\"staf000000000$n\",\"name\":\"Name $((n % 3))\",\"bio\":\"<p>One &amp; two of $n</p>\",\"note\":\"=1+$n, \\\"x\\\"\",\"team\":\"team0000000000$((n % 2 + 1))\",\"pay\":$n}" "$SHOP"
done
is "records are there" 200 "$STATUS"
ask POST /t/shop/api/collections/users/records '{"email":"ann@x.test","password":"password of ann","passwordConfirm":"password of ann"}' "$SHOP"
ask POST /t/shop/api/collections/users/auth-with-password '{"identity":"ann@x.test","password":"password of ann"}'
ANN=$(member token)

# ---- cursors ----
cursor='' seen=0
while :; do
	ask GET "$S?perPage=10&sort=-name&fields=id&cursor=$cursor"
	seen=$((seen + $(printf %s "$ANSWER" | grep -o staf | wc -l)))
	cursor=$(member nextCursor)
	[ -n "$cursor" ] || break
	last=$cursor
done
is "cursors meet every record once" "200 25" "$STATUS $seen"
has "the last page says that it is" '"nextCursor":null' "$ANSWER"
ask GET "$S?perPage=10&sort=-name&cursor=${last}A"
is "a cursor that was changed is refused" 400 "$STATUS"
ask GET "$S?perPage=10&sort=name&cursor=$last"
has "so is one of another sort" validation_invalid_cursor "$ANSWER"
ask GET "/t/bank/api/collections/staff/records?perPage=10&sort=-name&cursor=$last"
is "and one of another tenant" 400 "$STATUS"

# ---- groups ----
ask GET "$S?aggregate[sum]=pay&aggregate[count]=*&groupBy=team.name&sort=team.name" '' "$ANN"
has "groups are counted and added up" '"items":[{"team.name":"Team 1","count":13,"sum":{"pay":286}},{"team.name":"Team 2","count":12,"sum":{"pay":264}}]' "$ANSWER"
ask GET "$S?aggregate[sum]=pay&aggregate[count]=pay"
has "for a stranger there is nothing to add up" '"items":[{"count":{"pay":0},"sum":{"pay":0}}]' "$ANSWER"

# ---- parts ----
ask GET "$S/staf00000000010?fields=bio:excerpt(9,true),expand.team.name&expand=team"
is "parts are picked, texts cut, relations followed" '{"bio":"One & two...","expand":{"team":{"name":"Team 1"}}}' "$ANSWER"
ask GET "/t/shop/api/collections/teams/records/team00000000001?expand=staff_via_team.team&fields=expand.staff_via_team.id"
is "relations are followed backwards" 13 "$(printf %s "$ANSWER" | grep -o '"id"' | wc -l)"

# ---- tags ----
ask GET $S/staf00000000010
tag=$(header ETag)
is "a record has a tag" 24 ${#tag}
ask GET $S/staf00000000010 '' '' "If-None-Match: $tag"
is "what is known is not sent again" "304 " "$STATUS $ANSWER"
is "with its tag" "$tag" "$(header ETag)"
ask GET $S/staf00000000010 '' "$ANN" "If-None-Match: $tag"
is "who sees more has another tag" 200 "$STATUS"
has "and sees more" '"pay":10' "$ANSWER"

# ---- rules of fields ----
ask GET "$S?filter=pay>0"
has "what may not be read cannot be asked for" '"totalItems":0' "$ANSWER"
ask PATCH $S/staf00000000010 '{"pay":1,"name":"New"}' "$ANN"
is "what may not be set is passed over" "200 pay" "$STATUS $(header X-Tenon-Ignored)"
has "and the rest is done" '"name":"New"' "$ANSWER"
ask PATCH $S/staf00000000010 '{"pay":1}' "$ANN" 'Tenon-Strict: 1'
is "or refused, if the client wishes" 400 "$STATUS"
ask PATCH $S/staf00000000010 '{"pay":1}' "$SHOP"
has "superusers pass" '"pay":1' "$ANSWER"
ask PATCH $S/staf00000000010 '{"pay":10}' "$BANK"
is "another tenant's do not" 401 "$STATUS"

ask POST /t/shop/api/collections '{"name":"members","type":"auth","viewRule":null,"fields":[{"name":"grade","type":"number","hidden":true},{"name":"debt","type":"number","readRule":"@request.auth.verified = true"},{"name":"friend","type":"relation","collectionId":"teams","hidden":true}]}' "$SHOP"
ask POST /t/shop/api/collections/members/records '{"id":"member000000001","email":"eve@x.test","password":"password of eve","passwordConfirm":"password of eve","grade":77,"debt":88,"friend":"team00000000001"}' "$SHOP"
ask POST '/t/shop/api/collections/members/auth-with-password?expand=friend' '{"identity":"eve@x.test","password":"password of eve"}'
has "who signs in is told who he is" '"email":"eve@x.test"' "$ANSWER"
EVE=$(member token)
hides() { case $ANSWER in *'"grade"'* | *'"debt"'* | *'"friend"'*) echo "$ANSWER" ;; *) echo hidden ;; esac; }
is "and nothing that is hidden from him" hidden "$(hides)"
ask POST /t/shop/api/collections/members/auth-refresh '{}' "$EVE"
is "nor when he comes again" "200 hidden" "$STATUS $(hides)"

# ---- exports ----
ask GET "$S/export?format=csv&fields=id,note,pay&sort=id&filter=id<=\"staf00000000011\""
printf 'id,note,pay\r\nstaf00000000010,"=1+10, ""x""",\r\nstaf00000000011,"=1+11, ""x""",\r\n' >"$WORK/wanted"
is "a list is a file" same "$(cmp -s "$WORK/wanted" "$WORK/answer" && echo same || cat "$WORK/answer")"
is "with a name" 'attachment; filename="staff.csv"' "$(header Content-Disposition)"
ask GET "$S/export?format=csv&formulas=prefix&fields=note&filter=id=\"staf00000000011\""
has "formulas are disarmed if wished" "\"'=1+11, \"\"x\"\"\"" "$ANSWER"
ask GET "$S/export?format=json&fields=id,pay&sort=id" '' "$ANN"
is "as JSON too" 25 "$(printf %s "$ANSWER" | grep -o '"pay"' | wc -l)"
ask GET "$S/export?format=xls"
is "another format is 400" 400 "$STATUS"
ask GET "$S/export?sort=@random"
is "and so is no order" 400 "$STATUS"
rows='' n=100
while [ $n -lt 900 ]; do
	rows="$rows{\"name\":\"$(head -c 3000 /dev/zero | tr '\0' x) $n\"},"
	n=$((n + 1))
	[ $((n % 100)) != 0 ] || { printf '[%s]' "${rows%,}" >"$WORK/rows"; ask POST $S "@$WORK/rows" "$SHOP"; rows=''; }
done
is "many are made" 200 "$STATUS"
is "a long file comes in parts, whole" 826 "$(curl -sS "$BASE$S/export?format=csv" | wc -l)"
is "also for a slow reader" 826 "$(curl -sS --limit-rate 8M "$BASE$S/export?format=csv" | wc -l)"
curl -sS --max-time 1 --limit-rate 10k -o /dev/null "$BASE$S/export" 2>/dev/null || true
ask GET $S/staf00000000010
is "one who leaves hurts nobody" 200 "$STATUS"
is "the command line writes a file" 0 "$(tenon export staff "$WORK/staff.csv" --tenant shop >/dev/null 2>&1; echo $?)"
is "with all in it" 826 "$(wc -l <"$WORK/staff.csv")"
is "that is its owner's" 600 "$(stat -c %a "$WORK/staff.csv")"
is "a wrong collection is told" 1 "$(tenon export nothing "$WORK/no.csv" --tenant shop 2>"$WORK/why" || echo $?)"
is "and leaves no file" '' "$(ls "$WORK" | grep '^no' || true)"
is "operators alone take that way" 401 "$(curl -sS -o /dev/null -w '%{http_code}' -H "Authorization: $SHOP" "$BASE/platform/tenants/shop/collections/staff/export")"
has "an export stands in the journal" '"action":"record.export"' "$(tenon audit query --tenant shop --limit 1000)"
server_stop
is "and the server ends well" 0 $?

[ "$failed" = 0 ] || { echo "$failed failed"; exit 1; }
echo "all as expected"
