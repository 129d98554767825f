#!/usr/bin/env bash
# filters.sh BUILD - rules and filters over relations: who is in which team may do what, and what a filter does not tell.
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
# ask METHOD PATH [BODY [TOKEN]]: sets STATUS and ANSWER
ask() {
	request "$1" "$2" "${3-}" "Authorization: ${4-}" >"$WORK/answer"
	ANSWER=$(cat "$WORK/answer")
}
# find FILTER TOKEN [SORT]: the titles of the tasks that meet it, or the status and the answer
find() {
	STATUS=$(curl -sS -G -o "$WORK/answer" -w '%{http_code}' -H "Authorization: ${2-}" --data-urlencode "filter=$1" --data-urlencode "sort=${3-title}" "$BASE/t/shop/api/collections/tasks/records?fields=title")
	ANSWER=$(cat "$WORK/answer")
	FOUND=$(printf %s "$ANSWER" | grep -o '"title":"[^"]*"' | cut -d'"' -f4 | tr '\n' ' ' || true)
	[ "$STATUS" = 200 ] || FOUND="$STATUS $ANSWER"
}
member() { printf '%s' "$ANSWER" | sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p"; }
tenon() { "$TENON" "$@" --data "$DATA"; }

server_start main
declare -A TOKEN ID
for tenant in shop bank; do
	tenon tenant create $tenant >/dev/null
	tenon superuser upsert root@$tenant.test 'correct horse' --tenant $tenant >/dev/null
	ask POST "/t/$tenant/api/collections/_superusers/auth-with-password" '{"identity":"root@'$tenant'.test","password":"correct horse"}'
	TOKEN[$tenant]=$(member token)
	for user in ann bob; do
		ask POST "/t/$tenant/api/collections/users/records" '{"email":"'$user'@x.test","password":"password of '$user'","passwordConfirm":"password of '$user'"}' "${TOKEN[$tenant]}"
		ID[$tenant.$user]=$(member id)
		ask POST "/t/$tenant/api/collections/users/auth-with-password" '{"identity":"'$user'@x.test","password":"password of '$user'"}'
		TOKEN[$tenant.$user]=$(member token)
	done
done
ROOT=${TOKEN[shop]} ANN=${TOKEN[shop.ann]} BOB=${TOKEN[shop.bob]}

make() { # WHAT JSON
	ask POST "/t/shop/api/collections${1:+/$1/records}" "$2" "$ROOT"
	[ "$STATUS" = 200 ] || is "made $1" 200 "$STATUS $ANSWER"
}
mine='team.members.id ?= @request.auth.id'
make '' '{"name":"teams","type":"base","listRule":"","viewRule":"","fields":[{"name":"name","type":"text"},{"name":"members","type":"relation","collectionId":"_pb_users_auth_","maxSelect":9}]}'
make '' '{"name":"tasks","type":"base","listRule":"'"$mine"'","viewRule":"'"$mine"'","createRule":"@request.body.team.members.id ?= @request.auth.id","updateRule":"'"$mine"' && @request.body.team:changed = false","fields":[{"name":"title","type":"text"},{"name":"tags","type":"select","maxSelect":3,"values":["red","blue","odd"]},{"name":"team","type":"relation","collectionId":"teams"},{"name":"place","type":"json"}]}'
make '' '{"name":"secrets","type":"base","fields":[{"name":"text","type":"text"},{"name":"task","type":"relation","collectionId":"tasks"}]}'
make '' '{"name":"plans","type":"base","listRule":"","viewRule":"","fields":[{"name":"due","type":"date"},{"name":"task","type":"relation","collectionId":"tasks"}],"indexes":["CREATE UNIQUE INDEX one_plan ON plans (task)"]}'
make teams '{"id":"team00000000001","name":"Builders","members":["'"${ID[shop.ann]}"'","'"${ID[shop.bob]}"'"]}'
make teams '{"id":"team00000000002","name":"Cooks","members":["'"${ID[shop.bob]}"'"]}'
make tasks '{"id":"task00000000001","title":"dig","tags":["red","odd"],"team":"team00000000001","place":{"lon":23.32,"lat":42.69}}'
make tasks '{"id":"task00000000002","title":"fry","tags":["blue"],"team":"team00000000002","place":{"lon":24.75,"lat":42.15}}'
make tasks '{"id":"task00000000003","title":"wall","team":"team00000000001"}'
make secrets '{"text":"gold","task":"task00000000001"}'
make plans '{"due":"2031-05-06 07:08:09.000Z","task":"task00000000001"}'
make plans '{"due":"2032-01-01 00:00:00.000Z","task":"task00000000002"}'

# ---- rules ----
find '' "$ANN"
is "a member sees the tasks of her team" "dig wall " "$FOUND"
find '' "$BOB"
is "who is in both sees both" "dig fry wall " "$FOUND"
find ''
is "a guest sees none" "" "$FOUND"
find '' "${TOKEN[bank.ann]}"
has "a token of another tenant is refused" "401 " "$FOUND"
T=/t/shop/api/collections/tasks/records
ask POST $T '{"title":"hers","team":"team00000000001"}' "$ANN"
is "a task for her own team" 200 "$STATUS"
ask POST $T '{"title":"theirs","team":"team00000000002"}' "$ANN"
is "none for another's" 400 "$STATUS"
ask PATCH $T/task00000000003 '{"title":"walls","team":"team00000000001"}' "$BOB"
is "a change that names the same team" 200 "$STATUS"
ask PATCH $T/task00000000003 '{"team":"team00000000002"}' "$BOB"
is "none that moves it" 404 "$STATUS"

# ---- filters ----
find "tags:each ?= 'odd' || team.name = 'Cooks'" "$BOB"
is "any of a list, or a path" "dig fry " "$FOUND"
find "tags:length = 0 && team.members.email != ''" "$BOB"
is "what is hidden of others meets no comparison" "" "$FOUND"
find "plans_via_task.due > '2031-12-31'" "$BOB"
is "a back-relation" "fry " "$FOUND"
find "plans_via_task.due != ''" "$BOB" -plans_via_task.due
is "sorted by it, for it is single" "fry dig " "$FOUND"
find "geoDistance(place.lon, place.lat, 23.3, 42.7) < 5 && strftime('%Y', plans_via_task.due) = '2031'" "$BOB"
is "functions" "dig " "$FOUND"
find "secrets_via_task.text ?~ 'g'" "$BOB"
is "records that the viewer may not view find nothing" "" "$FOUND"
find "secrets_via_task.text ?~ 'g'" "$ROOT"
is "but for a superuser" "dig " "$FOUND"
find "@collection.secrets.text ?~ 'g'" "$BOB"
has "other collections are for superusers" "403 " "$FOUND"
find "@collection.secrets.text ?~ 'g' && @collection.secrets.task ?= id" "$ROOT"
is "who may ask" "dig " "$FOUND"

# ---- what is wrong ----
find "title = 'x' && nosuch.y = 1" "$BOB"
has "an unknown field is named" '400 ' "$FOUND"
has "with its place" 'at byte 15' "$FOUND"
find "title = 'x" "$BOB"
has "so is a text without an end" 'at byte 8' "$FOUND"
find "title ~ '$(head -c 3480 /dev/zero | tr '\0' %)'" "$BOB"
is "a pattern of wildcards alone" 200 "$STATUS"
find "$(printf '(%.0s' $(seq 40))title = 'x'$(printf ')%.0s' $(seq 40))" "$BOB"
has "too many parentheses" '400 ' "$FOUND"
find '' "$BOB" 'place.lon"'
has "a sort key that is none" '400 ' "$FOUND"
ask PATCH "/t/shop/api/collections/tasks" '{"listRule":"team.nosuch = 1"}' "$ROOT"
has "a rule that means nothing is refused" '400' "$STATUS"
has "with its place as well" 'at byte 0' "$ANSWER"

server_stop
is "and the server ends well" 0 $?

[ "$failed" = 0 ] || { echo "$failed failed"; exit 1; }
echo "all as expected"
