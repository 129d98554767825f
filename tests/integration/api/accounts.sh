#!/usr/bin/env bash
# accounts.sh BUILD - accounts as a story: letters, keys, limits and logs of two tenants, with a mail server that listens.
set -euo pipefail
cd "$(dirname "$0")/../../.."
BUILD=$1
. tests/lib/server.sh
failed=0
is() {
	if [ "$2" = "$3" ]; then echo "ok    $1"; else
		echo "FAIL  $1: expected '$2', saw '$3'"
		failed=$((failed + 1))
	fi
}
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
member() { printf '%s' "$ANSWER" | sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p"; }
tenon() { "$TENON" "$@" --data "$DATA"; }
letters() { find "$WORK/letters" -type f -name '0*' | wc -l; }
# letter N: waits until that many have come
letter() {
	local i
	for i in $(seq 1 100); do
		[ "$(letters)" -lt "$1" ] || break
		sleep 0.05
	done
	LETTER=$(sed -e ':a;/=\r$/{N;s/=\r\n//;ba}' -e 's/=3D/=/g' "$WORK/letters/$(printf %06d "$1")" 2>/dev/null | tr -d '\r')
	TOKEN=$(printf '%s' "$LETTER" | sed -n 's/.*\/auth\/confirm-[a-z-]*\/\([A-Za-z0-9_.-]*\)".*/\1/p' | head -n 1)
}

mkdir "$WORK/letters"
"$BUILD/bin/sink" "$WORK/letters" >"$WORK/port" &
SERVER_PIDS+=($!)
for _ in $(seq 1 100); do [ -s "$WORK/port" ] && break || sleep 0.05; done
PORT=$(cat "$WORK/port")
server_start main --mail-allow "127.0.0.1/32:$PORT"
for tenant in shop bank; do
	tenon tenant create $tenant >/dev/null
	tenon superuser upsert root@$tenant.test 'correct horse' --tenant $tenant >/dev/null
	ask POST /t/$tenant/api/collections/_superusers/auth-with-password "{\"identity\":\"root@$tenant.test\",\"password\":\"correct horse\"}"
	[ $tenant = shop ] && SHOP=$(member token) || BANK=$(member token)
done
U=/t/shop/api/collections/users

# ---- settings ----
ask GET /t/shop/api/settings '' "$BANK"
is "settings are of one tenant" "401 TN1407" "$STATUS $(member code)"
ask GET /t/shop/api/settings
is "and for superusers" 401 "$STATUS"
ask PATCH /t/shop/api/settings "{\"meta\":{\"appName\":\"Tee & <Kaffee>\",\"appURL\":\"https://shop.test\"},\"smtp\":{\"host\":\"127.0.0.1\",\"port\":$PORT,\"password\":\"\"}}" "$SHOP"
is "they are changed in part" 200 "$STATUS"
ask PATCH /t/shop/api/settings '{"smtp":{"enabled":true,"host":"a b"}}' "$SHOP"
has "what is wrong is named" '"smtp":{"host":{"code":"validation_is_host"' "$ANSWER"
ask POST /t/shop/api/settings/test/email '{"email":"ops@shop.test","template":"verification"}' "$SHOP"
is "without a mail server no letter can be tried" 400 "$STATUS"
ask PATCH /t/shop/api/settings '{"smtp":{"enabled":true}}' "$SHOP"
ask POST /t/shop/api/settings/test/email '{"email":"ops@shop.test","template":"verification"}' "$SHOP"
is "with one it is sent" 204 "$STATUS"
letter 1
has "escaped where it is HTML" 'at Tee &amp; &lt;Kaffee&gt;' "$LETTER"
ask POST /t/shop/api/settings/test/email '{"email":"a@b.c\r\nBcc: d@e.f","template":"verification"}' "$SHOP"
is "an address that says more is none" 400 "$STATUS"
ask PATCH /t/bank/api/settings '{"smtp":{"enabled":true,"host":"127.0.0.1","port":1}}' "$BANK"
ask POST /t/bank/api/settings/test/email '{"email":"ops@bank.test","template":"verification"}' "$BANK"
has "a private mail server that no operator allowed is refused" 'not allowed' "$ANSWER"

# ---- verification ----
ask POST $U/records '{"email":"ada@shop.test","password":"password of ada","passwordConfirm":"password of ada"}' "$SHOP"
ADA=$(member id)
ask POST /t/bank/api/collections/users/records '{"email":"ada@shop.test","password":"password of ada","passwordConfirm":"password of ada"}' "$BANK"
ask POST $U/request-verification '{"email":"nobody@shop.test"}'
NOBODY="$STATUS $ANSWER"
ask POST $U/request-verification '{"email":"ada@shop.test"}'
is "who has an account and who has none read the same" "$NOBODY" "$STATUS $ANSWER"
letter 2
has "but one of them gets a letter" 'RCPT TO:<ada@shop.test>' "$LETTER"
has "with a link to the app" 'https://shop.test/auth/confirm-verification/' "$LETTER"
ask POST $U/request-verification '{"email":"ada@shop.test"}'
is "a second one soon after is answered alike" 204 "$STATUS"
ask POST $U/request-verification '{"email":"not an address"}'
has "what is no address is told so" '"email":{"code":"validation_is_email"' "$ANSWER"
VERIFY=$TOKEN
ask POST /t/bank/api/collections/users/confirm-verification "{\"token\":\"$VERIFY\"}"
has "a token of one tenant is none of another's" '"token":{"code":"validation_invalid_token"' "$ANSWER"
ask POST $U/confirm-password-reset "{\"token\":\"$VERIFY\",\"password\":\"another one\",\"passwordConfirm\":\"another one\"}"
is "nor one for another purpose" 400 "$STATUS"
ask GET $U/records/$ADA '' "$VERIFY"
is "nor does it sign a request" 404 "$STATUS"
ask POST $U/confirm-verification "{\"token\":\"${VERIFY%?}\"}"
is "nor a part of it" 400 "$STATUS"
ask POST $U/confirm-verification "{\"token\":\"$VERIFY\"}"
is "the right one verifies" 204 "$STATUS"
ask GET $U/records/$ADA '' "$SHOP"
has "the address" '"verified":true' "$ANSWER"

# ---- a new password ----
ask POST $U/auth-with-password '{"identity":"ada@shop.test","password":"password of ada"}'
OLD=$(member token)
ask POST $U/request-password-reset '{"email":"ada@shop.test"}'
letter 3
RESET=$TOKEN
ask POST $U/confirm-password-reset "{\"token\":\"$RESET\",\"password\":\"short\",\"passwordConfirm\":\"short\"}"
has "a short password is refused" '"password":{"code":"validation_min_text_constraint"' "$ANSWER"
ask POST $U/confirm-password-reset "{\"token\":\"$RESET\",\"password\":\"second password\",\"passwordConfirm\":\"second passwort\"}"
has "so are two that differ" '"passwordConfirm":{"code":"validation_values_mismatch"' "$ANSWER"
ask POST $U/confirm-password-reset "{\"token\":\"$RESET\",\"password\":\"second password\",\"passwordConfirm\":\"second password\"}"
is "a good one is taken" 204 "$STATUS"
ask POST $U/confirm-password-reset "{\"token\":\"$RESET\",\"password\":\"third password\",\"passwordConfirm\":\"third password\"}"
is "once" 400 "$STATUS"
ask POST $U/auth-refresh '{}' "$OLD"
is "tokens of before are nobody's" 401 "$STATUS"
ask POST $U/auth-with-password '{"identity":"ada@shop.test","password":"second password"}'
is "and the new password signs in" 200 "$STATUS"
NEW=$(member token)

# ---- another address ----
ask POST $U/request-email-change '{"newEmail":"lovelace@shop.test"}'
is "an address is changed by who is signed in" 401 "$STATUS"
ask POST $U/request-email-change '{"newEmail":"lovelace@shop.test"}' "$SHOP"
is "as an account of this collection" 403 "$STATUS"
ask POST $U/request-email-change '{"newEmail":"lovelace@shop.test"}' "$NEW"
letter 4
has "the letter goes to the new address" 'RCPT TO:<lovelace@shop.test>' "$LETTER"
CHANGE=$TOKEN
ask POST $U/confirm-email-change "{\"token\":\"$CHANGE\",\"password\":\"wrong\"}"
has "its token needs the password" '"password":{"code":"validation_invalid_password"' "$ANSWER"
ask POST $U/confirm-email-change "{\"token\":\"$CHANGE\",\"password\":\"second password\"}"
is "and then it is changed" 204 "$STATUS"
ask POST $U/confirm-email-change "{\"token\":\"$CHANGE\",\"password\":\"second password\"}"
is "once" 400 "$STATUS"
ask POST $U/auth-refresh '{}' "$NEW"
is "tokens die with an address too" 401 "$STATUS"

# ---- impersonation ----
ask POST $U/impersonate/$ADA '{"duration":60}' "$NEW"
is "who is no superuser is nobody else" 401 "$STATUS"
ask POST $U/impersonate/$ADA '{"duration":60}' "$BANK"
is "nor one of another tenant" "401 TN1407" "$STATUS $(member code)"
ask POST $U/impersonate/$ADA '{"duration":60}' "$SHOP"
AS=$(member token)
ask GET $U/records/$ADA '' "$AS"
is "a superuser acts as a user" "200 lovelace@shop.test" "$STATUS $(member email)"
ask POST $U/auth-refresh '{}' "$AS"
is "with a token that is not renewed" "$AS" "$(member token)"
ask POST $U/auth-with-otp '{"otpId":"x","password":"y"}'
is "what is off says so" 403 "$STATUS"

# ---- who may sign in ----
ask PATCH /t/shop/api/collections/users '{"authRule":"verified = false"}' "$SHOP"
ask POST $U/auth-with-password '{"identity":"lovelace@shop.test","password":"second password"}'
is "the authRule decides" 403 "$STATUS"
ask PATCH /t/shop/api/collections/users '{"authRule":"","passwordAuth":{"enabled":false}}' "$SHOP"
ask POST $U/auth-with-password '{"identity":"lovelace@shop.test","password":"second password"}'
has "passwords can be switched off" 'not configured to allow password authentication' "$ANSWER"
ask GET $U/auth-methods
has "and are not offered then" '"password":{"enabled":false' "$ANSWER"
ask PATCH /t/shop/api/collections/users '{"passwordAuth":{"enabled":true}}' "$SHOP"

# ---- limits ----
statuses=
for n in 1 2 3 4; do
	ask POST $U/auth-with-password '{"identity":"eve@shop.test","password":"a guess"}'
	statuses="$statuses $STATUS"
done
is "a third guess at once is too many" " 400 400 429 429" "$statuses"
curl -sS -D "$WORK/head" -o /dev/null -H 'Content-Type: application/json' -H 'X-Forwarded-For: 203.0.113.9' -d '{"identity":"EVE@shop.test","password":"a guess"}' "$BASE$U/auth-with-password"
has "whoever one says to be" ' 429 ' "$(head -n 1 "$WORK/head")"
has "the answer says when to come again" 'Retry-After: ' "$(cat "$WORK/head")"
has "and what the limit is" 'RateLimit-Limit: 2' "$(cat "$WORK/head")"
ask POST /t/bank/api/collections/users/auth-with-password '{"identity":"eve@shop.test","password":"a guess"}'
is "another tenant's limit is its own" 400 "$STATUS"
ask PATCH /t/shop/api/settings '{"rateLimits":{"rules":[{"label":"users:list","maxRequests":2,"duration":60,"audience":"@guest"}]}}' "$SHOP"
statuses=
for n in 1 2 3; do
	ask GET $U/records
	statuses="$statuses $STATUS"
done
is "rules are a superuser's to set" " 200 200 429" "$statuses"
ask GET $U/records '' "$AS"
is "an audience is held to its own" 200 "$STATUS"
ask GET "/t/shop/api/collections/_pb_users_auth_/records"
is "an id is no way around a name" 429 "$STATUS"
ask GET "/t/shop/api/collections/%75sers/records"
is "nor is another spelling" 429 "$STATUS"
ask PATCH /t/shop/api/settings '{"rateLimits":{"rules":[{"label":"GET /api/collections/users/","maxRequests":1,"duration":60}]}}' "$SHOP"
ask GET $U/auth-methods
ask GET "/t/shop/api/collections/%75sers/auth-methods"
is "paths are held to limits as well" 429 "$STATUS"

# ---- a flood of sign-ins ----
ask PATCH /t/shop/api/settings '{"rateLimits":{"enabled":false}}' "$SHOP"
urls=()
for n in $(seq 1 30); do urls+=(-o /dev/null "$BASE$U/auth-with-password"); done
stdbuf -oL curl -sS -Z --parallel-immediate --parallel-max 60 -w '%{http_code}\n' -H 'Content-Type: application/json' \
	-d '{"identity":"nobody@shop.test","password":"a guess"}' "${urls[@]}" 2>/dev/null >"$WORK/flood" &
FLOOD=$!
until [ -s "$WORK/flood" ]; do kill -0 $FLOOD 2>/dev/null || break; sleep 0.01; done
got=0
for n in 1 2 3 4 5; do
	ask GET $U/records/$ADA '' "$SHOP"
	[ "$STATUS" != 200 ] || got=$((got + 1))
done
under_way=$((30 - $(wc -l <"$WORK/flood")))
is "others are served while sign-ins wait for their turn" "5 yes" "$got $([ $under_way -gt 0 ] && echo yes || echo no)"
wait $FLOOD
is "each is refused, or told that the server is busy" 30 "$(grep -cE '^(400|503)$' "$WORK/flood")"
ask PATCH /t/shop/api/settings '{"rateLimits":{"enabled":true}}' "$SHOP"

# ---- API keys ----
ask POST /t/shop/api/keys '{"name":"reader","scopes":["records:users:list,view"],"expiresInDays":1}' "$SHOP"
is "a superuser makes a key" 200 "$STATUS"
KEY=$(member key) KEY_ID=$(member id)
ask GET $U/records/$ADA '' "Bearer $KEY"
is "it does what its scopes say" 200 "$STATUS"
ask PATCH $U/records/$ADA '{"name":"x"}' "$KEY"
is "and nothing else" 403 "$STATUS"
ask GET "$U/records?filter=@collection._superusers.email~'root'" '' "$KEY"
is "not by way of a filter" 403 "$STATUS"
ask GET "$U/records?expand=x" '' "$KEY"
is "nor of an expand" 403 "$STATUS"
ask GET /t/shop/api/settings '' "$KEY"
is "nor elsewhere" 403 "$STATUS"
ask POST /t/shop/api/keys '{"name":"more","scopes":["all"]}' "$KEY"
is "it makes no keys" 403 "$STATUS"
ask GET /t/bank/api/collections/users/records '' "$KEY"
is "another tenant does not know it" 401 "$STATUS"
has "the journal names it" "key:$KEY_ID" "$(tenon audit query --tenant shop --limit 40)"
ask GET /t/shop/api/keys '' "$SHOP"
case $ANSWER in *"$KEY"* | *'"hash"'*) seen=yes ;; *) seen=no ;; esac
is "nobody sees it again" no $seen
ask DELETE /t/shop/api/keys/$KEY_ID '' "$SHOP"
ask GET $U/records/$ADA '' "$KEY"
is "revoked it is nobody at once" 401 "$STATUS"
ALL=$(tenon token create --scope all --expires 1d --tenant shop)
ask GET /t/shop/api/settings '' "$ALL"
is "one made on the command line works" 200 "$STATUS"
AS_ADA=$(tenon token create --scope all --tenant shop --as users/$ADA)
ask GET $U/records '' "$AS_ADA"
has "one for an account is that account" '"totalItems":1' "$ANSWER"
ask GET /t/shop/api/settings '' "$AS_ADA"
is "and no superuser" 403 "$STATUS"
is "a scope that is none is refused" 1 "$(tenon token create --scope everything --tenant shop >/dev/null 2>&1 || echo $?)"

# ---- logs, jobs, what is not there ----
ask GET "/t/shop/api/logs?perPage=5&sort=-created&filter=data.status=429" '' "$SHOP"
has "a tenant's logs are filtered" '"status":429' "$ANSWER"
LOG=$(printf '%s' "$ANSWER" | sed -n 's/.*"items":\[{"id":"\([^"]*\)".*/\1/p')
ask GET "/t/shop/api/logs/$LOG" '' "$SHOP"
is "one of them is found" "200 $LOG" "$STATUS $(member id)"
ask GET "/t/bank/api/logs/$LOG" '' "$BANK"
is "by its own tenant" 404 "$STATUS"
ask GET /t/bank/api/logs?perPage=500 '' "$BANK"
case $ANSWER in *"$ADA"*) seen=yes ;; *) seen=no ;; esac
is "which sees nothing of another's" no $seen
ask GET '/t/shop/api/logs?filter=frob=1' '' "$SHOP"
is "a filter that is none is 400" 400 "$STATUS"
ask GET /t/shop/api/logs/stats '' "$SHOP"
has "they are counted by the hour" '"total":' "$ANSWER"
ask GET /t/shop/api/crons '' "$SHOP"
has "jobs are listed" '"forgetAnswers"' "$ANSWER"
ask POST /t/shop/api/crons/forgetAnswers '' "$SHOP"
is "and run" 204 "$STATUS"
ask POST /t/shop/api/crons/nothing '' "$SHOP"
is "but those that there are" 404 "$STATUS"
ask GET /t/shop/api/backups '' "$SHOP"
is "backups are refused in words" 400 "$STATUS"
ask PATCH /t/shop/api/settings '{"batch":{"maxRequests":1}}' "$SHOP"
ask POST /t/shop/api/batch '{"requests":[{"method":"POST","url":"/api/collections/users/records"},{"method":"POST","url":"/api/collections/users/records"}]}' "$SHOP"
has "batches are as long as the settings say" 'validation_length_too_long' "$ANSWER"

# ---- nothing secret is written down ----
tenon audit query --limit 1000 >"$WORK/journal"
grep -qE 'second password|password of ada|lovelace@|eve@' "$WORK/journal" && seen=yes || seen=no
is "no password or address stands in the journal" no $seen
grep -qF -e "$RESET" -e "$KEY" "$WORK/journal" "$WORK/main.err" && seen=yes || seen=no
is "nor a token or a key" no $seen
is "no more letters came than were asked for" 4 "$(letters)"
tenon audit verify >/dev/null
is "the journal is whole" 0 $?
server_stop
is "the server ends well" 0 $?
[ $failed = 0 ] || { echo "$failed failed"; exit 1; }
echo "all as expected"
