#!/usr/bin/env bash
# realtime.sh BUILD - who hears of what: two tenants, clients that listen, and everything they must not be told.
set -euo pipefail
cd "$(dirname "$0")/../../.."
BUILD=$1
. tests/lib/server.sh
. tests/lib/story.sh

LISTENERS=()
stop_listeners() { [ ${#LISTENERS[@]} = 0 ] || kill "${LISTENERS[@]}" 2>/dev/null || true; }
trap 'stop_listeners; server_cleanup' EXIT

# listen NAME TENANT [HEADER]: opens a stream into $WORK/NAME; its client id is then in CLIENT
listen() {
	curl -sN -H "${3-X-None: 1}" "$BASE/t/$2/api/realtime" >"$WORK/$1" 2>/dev/null &
	LISTENERS+=($!)
	wait_for "$1" 'PB_CONNECT'
	CLIENT=$(sed -n '1s/^id://p' "$WORK/$1")
}
# wait_for NAME TEXT: until the stream has it, or five seconds have passed
wait_for() {
	local i
	for i in $(seq 1 100); do
		grep -qF -- "$2" "$WORK/$1" 2>/dev/null && return 0
		sleep 0.05
	done
	return 0
}
# subscribe TENANT CLIENT TOKEN TOPIC...
subscribe() {
	local tenant=$1 client=$2 token=$3 list=
	shift 3
	for topic in "$@"; do list="$list,\"$topic\""; done
	ask POST "/t/$tenant/api/realtime" "{\"clientId\":\"$client\",\"subscriptions\":[${list#,}]}" "$token"
}
# heard NAME: the stream so far. What was written before is behind a record of its own that all who listen
# to "marks" hear: so nothing is waited for that must not come.
heard() { cat "$WORK/$1"; }
mark() {
	local n=$1
	shift
	ask POST /t/shop/api/collections/marks/records "{\"name\":\"mark-$n\"}"
	for listener in "$@"; do wait_for "$listener" "mark-$n"; done
}

server_start main --realtime-clients-per-address 40
for tenant in shop bank; do
	tenon tenant create $tenant >/dev/null
	tenon superuser upsert root@$tenant.test 'correct horse' --tenant $tenant >/dev/null
done
sign_in shop _superusers root@shop.test 'correct horse'
SHOP=$(member token)
sign_in bank _superusers root@bank.test 'correct horse'
BANK=$(member token)

# ---- collections: one for all, one with owners, one whose relation is somebody's own ----
base='"type":"base","createRule":"","updateRule":"","deleteRule":""'
for tenant in shop bank; do
	[ $tenant = shop ] && token=$SHOP || token=$BANK
	ask POST /t/$tenant/api/collections "{\"name\":\"marks\",$base,\"listRule\":\"\",\"viewRule\":\"\",\"fields\":[{\"name\":\"name\",\"type\":\"text\"}]}" "$token"
done
ask POST /t/shop/api/collections "{\"name\":\"notes\",$base,\"listRule\":\"owner = @request.auth.id && owner != ''\",\"viewRule\":\"owner = @request.auth.id && owner != ''\",\"fields\":[{\"name\":\"title\",\"type\":\"text\"},{\"name\":\"secret\",\"type\":\"text\",\"hidden\":true},{\"name\":\"n\",\"type\":\"number\"},{\"name\":\"owner\",\"type\":\"relation\",\"collectionId\":\"_pb_users_auth_\",\"maxSelect\":1}]}" "$SHOP"
is "the collection with owners is made" 200 "$STATUS"
NOTES=$(printf '%s' "$ANSWER" | sed -n 's/^{"id":"\([^"]*\)".*/\1/p')
ask POST /t/shop/api/collections "{\"name\":\"links\",$base,\"listRule\":\"\",\"viewRule\":\"\",\"fields\":[{\"name\":\"name\",\"type\":\"text\"},{\"name\":\"note\",\"type\":\"relation\",\"collectionId\":\"$NOTES\",\"maxSelect\":1}]}" "$SHOP"
is "and the one with a relation" 200 "$STATUS"

user() { # TENANT TOKEN NAME
	ask POST "/t/$1/api/collections/users/records" "{\"email\":\"$3@$1.test\",\"password\":\"password of $3\",\"passwordConfirm\":\"password of $3\"}" "$2"
	member id
}
ADA=$(user shop "$SHOP" ada)
BOB=$(user shop "$SHOP" bob)
user bank "$BANK" eve >/dev/null
sign_in shop users ada@shop.test 'password of ada'
ADA_TOKEN=$(member token)
sign_in shop users bob@shop.test 'password of bob'
BOB_TOKEN=$(member token)
sign_in bank users eve@bank.test 'password of eve'
EVE_TOKEN=$(member token)

# ---- connecting, and setting topics ----
listen guest shop
GUEST=$CLIENT
has "a client is told its id" "data:{\"clientId\":\"$GUEST\"}" "$(heard guest)"
subscribe shop "$GUEST" '' 'marks/*' 'notes/*' 'links/*?options=%7B%22query%22%3A%7B%22expand%22%3A%22note%22%7D%7D'
is "a guest subscribes" 204 "$STATUS"
subscribe shop no-such-client '' 'marks/*'
is "an unknown client is a 404" "404 Missing or invalid client id." "$STATUS $(member message)"
ask POST /t/bank/api/realtime "{\"clientId\":\"$GUEST\",\"subscriptions\":[\"marks/*\"]}"
is "so is one of another tenant" 404 "$STATUS"
subscribe shop "$GUEST" "$EVE_TOKEN" 'marks/*'
is "another tenant's token is refused" "401 TN1407" "$STATUS $(member code)"
ask POST /t/shop/api/realtime '{"subscriptions":["marks/*"]}'
has "a client id is wanted" '"clientId":{"code":"validation_required"' "$ANSWER"
ask POST /t/shop/api/realtime '[1]'
is "a body that is no object is refused" 400 "$STATUS"
subscribe shop "$GUEST" '' "$(printf 'a%.0s' $(seq 1 2501))"
has "so is a topic that is too long" '"subscriptions":{"code":"validation_length_too_long"' "$ANSWER"
subscribe shop "$GUEST" '' 'marks/*\nevent:forged'
is "or that would end its line" 400 "$STATUS"
subscribe shop "$GUEST" '' 'marks/*?options=%7Bbroken'
is "or whose options are none" 400 "$STATUS"
subscribe shop "$GUEST" '' $(seq 1 1001)
is "or the thousand-and-first" 400 "$STATUS"

listen ada shop
subscribe shop "$CLIENT" "$ADA_TOKEN" 'marks/*' 'notes/*' users/$ADA 'links/*?options=%7B%22query%22%3A%7B%22expand%22%3A%22note%22%7D%7D'
is "ada subscribes" 204 "$STATUS"
subscribe shop "$CLIENT" "$BOB_TOKEN" 'notes/*'
is "nobody else takes her connection over" 403 "$STATUS"
subscribe shop "$CLIENT" '' 'notes/*'
is "not even as a guest" 403 "$STATUS"
listen bob shop
subscribe shop "$CLIENT" "$BOB_TOKEN" 'marks/*' 'notes/*' 'notes' "$NOTES/*" users/$BOB
listen root shop
subscribe shop "$CLIENT" "$SHOP" 'marks/*' 'notes/*?options=%7B%22query%22%3A%7B%22filter%22%3A%22n%20%3E%205%22%2C%22fields%22%3A%22id%2Csecret%22%7D%7D'
listen eve bank
subscribe bank "$CLIENT" "$EVE_TOKEN" 'marks/*' 'notes/*' "$NOTES/*"
is "the neighbour subscribes to the same names" 204 "$STATUS"

# ---- events, and who is told ----
ask POST /t/shop/api/collections/notes/records "{\"title\":\"for ada\",\"secret\":\"hush\",\"n\":7,\"owner\":\"$ADA\"}" "$SHOP"
NOTE=$(member id)
mark 1 guest ada bob root
has "the owner hears of her note" '"action":"create","record":{"collectionId"' "$(heard ada)"
has "with what is in it" '"title":"for ada"' "$(heard ada)"
lacks "but for what is hidden" hush "$(heard ada)"
lacks "bob hears nothing of it" "for ada" "$(heard bob)"
lacks "nor does a guest" "for ada" "$(heard guest)"
has "a superuser does, with the fields he asked for" "data:{\"action\":\"create\",\"record\":{\"id\":\"$NOTE\",\"secret\":\"hush\"}}" "$(heard root)"
ask PATCH /t/shop/api/collections/notes/records/$NOTE '{"n":3}'
ask POST /t/shop/api/collections/links/records "{\"name\":\"a link\",\"note\":\"$NOTE\"}"
LINK=$(member id)
mark 2 guest ada bob root
has "an update is one" '"action":"update"' "$(heard ada)"
lacks "of which a filter keeps its owner free" '"action":"update"' "$(heard root)"
has "the owner gets a relation expanded" '"expand":{"note":{' "$(heard ada)"
has "a guest hears of the link" '"name":"a link"' "$(heard guest)"
lacks "but is shown nothing through it" "for ada" "$(heard guest)"
ask DELETE /t/shop/api/collections/notes/records/$NOTE
is "the note goes" 204 "$STATUS"
mark 3 guest ada bob root
has "its owner hears of that" '"action":"delete"' "$(grep -F "$NOTE" "$WORK/ada")"
lacks "bob does not" "$NOTE" "$(heard bob)"
is "a guest hears of it only as the link's value" 0 "$(grep -F "$NOTE" "$WORK/guest" | grep -cv links || true)"
has "the link has lost it" '"note":""' "$(grep -F "$LINK" "$WORK/guest" | tail -n 1)"
ask POST /t/shop/api/collections/notes/records "{\"title\":\"for bob\",\"owner\":\"$BOB\"}"
mark 4 ada bob
is "each of three names of a collection is told" 3 "$(grep -c 'for bob' "$WORK/bob")"
has "under the name that was asked for" "event:$NOTES/*" "$(heard bob)"
lacks "ada hears nothing of it" "for bob" "$(heard ada)"
lacks "the neighbour has heard of nothing at all" "event:notes" "$(heard eve)"
is "not even of marks" 0 "$(grep -c mark- "$WORK/eve" || true)"
ask PATCH /t/shop/api/collections/users/records/$ADA '{"emailVisibility":false}' "$SHOP"
mark 5 ada bob
has "her own record is told to her with its address" '"email":"ada@shop.test"' "$(heard ada)"
lacks "and to nobody with a secret" tokenKey "$(heard ada)"

# ---- a rule changes while they listen ----
ask PATCH /t/shop/api/collections/notes '{"listRule":""}' "$SHOP"
is "the list rule is opened" 200 "$STATUS"
ask POST /t/shop/api/collections/notes/records '{"title":"open to all"}'
mark 6 guest bob
has "a guest hears of what follows" "open to all" "$(heard guest)"
ask PATCH /t/shop/api/collections/notes '{"listRule":null}' "$SHOP"
ask POST /t/shop/api/collections/notes/records '{"title":"closed again"}'
mark 7 guest bob root
lacks "and of nothing once it is closed" "closed again" "$(heard guest)"

# ---- coming back ----
LAST=$(sed -n 's/^id://p' "$WORK/guest" | tail -n 1)
ask POST /t/shop/api/collections/marks/records '{"name":"missed one"}'
ask POST /t/shop/api/collections/notes/records "{\"title\":\"missed, not yours\",\"owner\":\"$ADA\"}"
ask POST /t/shop/api/collections/marks/records '{"name":"missed two"}'
listen again shop "Last-Event-ID: $LAST"
subscribe shop "$CLIENT" '' 'marks/*' 'notes/*'
wait_for again 'missed two'
is "who comes back hears what he missed, once" 2 "$(grep -c '"name":"missed' "$WORK/again")"
lacks "but nothing that he might not see" 'not yours' "$(heard again)"
lacks "and nothing that he had heard" '"mark-7"' "$(heard again)"
listen lost shop "Last-Event-ID: 0123456789abcdef"
subscribe shop "$CLIENT" '' 'marks/*'
wait_for lost TN_RESYNC
has "a place that is not known is said to be lost" 'event:TN_RESYNC' "$(heard lost)"

# ---- authority ends ----
ask PATCH /t/shop/api/collections/users/records/$ADA '{"password":"another password","passwordConfirm":"another password","oldPassword":"password of ada"}' "$ADA_TOKEN"
is "ada changes her password" 200 "$STATUS"
wait_for ada TN_CLOSE
has "her old token's connection ends" '{"reason":"auth"}' "$(heard ada)"
ask DELETE /t/shop/api/collections/users/records/$BOB '' "$SHOP"
is "bob's account goes" 204 "$STATUS"
wait_for bob TN_CLOSE
has "and so does his connection" '{"reason":"auth"}' "$(heard bob)"
tenon tenant suspend bank >/dev/null
ask POST /t/bank/api/realtime '{}'
is "a suspended tenant takes no topics" 503 "$STATUS"
tenon tenant resume bank >/dev/null

# ---- limits ----
many=0
for i in $(seq 1 45); do
	curl -sN -o /dev/null "$BASE/t/bank/api/realtime" 2>/dev/null &
	LISTENERS+=($!)
done
for i in $(seq 1 40); do
	sleep 0.05
	STATUS=$(curl -s -m 1 -o "$WORK/full" -w '%{http_code}' "$BASE/t/bank/api/realtime" || true)
	[ "$STATUS" = 429 ] && break
done
is "one address has so many connections" "429 yes" "$STATUS $(grep -q 'from this address' "$WORK/full" && echo yes)"
stop_listeners
for i in $(seq 1 60); do
	STATUS=$(curl -s -m 1 -o /dev/null -w '%{http_code}' "$BASE/t/bank/api/realtime" || true)
	[ "$STATUS" = 200 ] && break
	sleep 0.05
done
is "and others when they are gone" 200 "$STATUS"
is "the server stops with a client that listens" 0 "$(
	listen last shop
	rc=0
	kill -TERM "$SERVER_PID"
	for i in $(seq 1 100); do kill -0 "$SERVER_PID" 2>/dev/null || break; sleep 0.1; done
	kill -0 "$SERVER_PID" 2>/dev/null && rc=1
	echo $rc
)"
story_end
