#!/usr/bin/env bash
# run.sh BUILD - the API as a story: the real server, two tenants, and everybody who may or may not.
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
member() { printf '%s' "$ANSWER" | sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p"; }
tenon() { "$TENON" "$@" --data "$DATA"; }

server_start main
LOCAL=$(cat "$DATA/run/token")

# ---- tenants and accounts, over the command line ----
is "a fresh server has the tenant default" 1 "$(tenon tenant list | grep -c '^default ')"
tenon tenant create shop >/dev/null
tenon tenant create bank >/dev/null
is "a name that is taken is refused" 1 "$(tenon tenant create shop >/dev/null 2>&1 || echo $?)"
is "a wrong word is wrong usage" 2 "$(tenon tenant crate shop >/dev/null 2>&1 || echo $?)"
is "so is an unknown option" 2 "$(tenon tenant list --frob >/dev/null 2>&1 || echo $?)"
tenon superuser upsert root@shop.test 'correct horse' --tenant shop >/dev/null
tenon superuser upsert root@bank.test 'correct horse' --tenant bank >/dev/null
is "a short password is refused" 1 "$(tenon superuser upsert x@shop.test short --tenant shop >/dev/null 2>&1 || echo $?)"
tenon operator upsert op@example.org 'long enough' >/dev/null

sign_in() { # TENANT COLLECTION IDENTITY PASSWORD
	ask POST "/t/$1/api/collections/$2/auth-with-password" "{\"identity\":\"$3\",\"password\":\"$4\"}"
}
sign_in shop _superusers root@shop.test 'correct horse'
is "a superuser signs in" 200 "$STATUS"
SHOP=$(member token)
sign_in bank _superusers root@bank.test 'correct horse'
BANK=$(member token)
sign_in shop _superusers root@shop.test 'wrong'
WRONG="$STATUS $(member message)"
is "a wrong password is refused" "400 Failed to authenticate." "$WRONG"
sign_in shop _superusers nobody@shop.test 'wrong'
is "an unknown account reads the same" "$WRONG" "$STATUS $(member message)"
sign_in bank _superusers root@shop.test 'correct horse'
is "an account of one tenant is none in another" 400 "$STATUS"

# ---- collections ----
notes='{"name":"notes","type":"base","listRule":"@request.auth.id != \"\"","viewRule":"owner = @request.auth.id","createRule":"owner = @request.auth.id","updateRule":"owner = @request.auth.id","deleteRule":null,"fields":[{"name":"title","type":"text","required":true,"max":20},{"name":"rank","type":"number"},{"name":"owner","type":"relation","collectionId":"_pb_users_auth_","maxSelect":1}]}'
ask POST /t/shop/api/collections "$notes" "$SHOP"
is "a superuser makes a collection" 200 "$STATUS"
ask POST /t/shop/api/collections "$notes" "$SHOP"
is "not twice" 400 "$STATUS"
ask POST /t/shop/api/collections "$notes"
is "nobody else does" 401 "$STATUS"
ask POST /t/shop/api/collections "$notes" "$BANK"
is "least of all another tenant's superuser" "401 TN1407" "$STATUS $(member code)"
ask GET /t/bank/api/collections/notes '' "$BANK"
is "the other tenant does not have it" 404 "$STATUS"

# ---- users and rules ----
user() { # TENANT TOKEN EMAIL
	ask POST "/t/$1/api/collections/users/records" \
		"{\"email\":\"$3\",\"password\":\"password of $3\",\"passwordConfirm\":\"password of $3\"}" "$2"
	member id
}
ADA=$(user shop "$SHOP" ada@shop.test)
BOB=$(user shop "$SHOP" bob@shop.test)
EVE=$(user bank "$BANK" eve@bank.test)
sign_in shop users ada@shop.test 'password of ada@shop.test'
is "a user signs in" 200 "$STATUS"
ADA_TOKEN=$(member token)
sign_in shop users bob@shop.test 'password of bob@shop.test'
BOB_TOKEN=$(member token)
sign_in bank users eve@bank.test 'password of eve@bank.test'
EVE_TOKEN=$(member token)
case $ANSWER in *'"password"'* | *tokenKey*) is "a secret of an account never leaves" no yes ;; *) is "a secret of an account never leaves" no no ;; esac

R=/t/shop/api/collections/notes/records
ask POST $R "{\"title\":\"first\",\"rank\":2,\"owner\":\"$ADA\"}" "$ADA_TOKEN"
is "a record is made" 200 "$STATUS"
NOTE=$(member id)
is "its id has 15 characters" 15 ${#NOTE}
ask POST $R "{\"title\":\"not mine\",\"owner\":\"$BOB\"}" "$ADA_TOKEN"
is "not against the create rule" 400 "$STATUS"
ask POST $R "{\"rank\":1,\"owner\":\"$ADA\"}" "$ADA_TOKEN"
has "a missing title is named" '"title":{"code":"validation_required"' "$ANSWER"
ask POST $R "{\"title\":\"a title of more than twenty\",\"owner\":\"$ADA\"}" "$ADA_TOKEN"
has "one that is too long as well" '"title":{"code":"validation_max_text_constraint"' "$ANSWER"
ask GET $R/$NOTE '' "$ADA_TOKEN"
is "its owner sees it" "200 first" "$STATUS $(member title)"
ask GET $R/$NOTE '' "$BOB_TOKEN"
is "another user does not" 404 "$STATUS"
ask GET $R/$NOTE
is "a guest does not" 404 "$STATUS"
ask GET $R/$NOTE '' "$EVE_TOKEN"
is "a token of another tenant is refused" "401 TN1407" "$STATUS $(member code)"
ask GET $R '' "$BOB_TOKEN"
has "the list rule lets signed-in users list" '"totalItems":1' "$ANSWER"
ask GET $R
has "and gives guests an empty page" '"totalItems":0' "$ANSWER"
ask PATCH $R/$NOTE '{"rank":7}' "$ADA_TOKEN"
has "an owner changes it" '"rank":7' "$ANSWER"
ask PATCH $R/$NOTE '{"rank":8}' "$BOB_TOKEN"
is "nobody else does" 404 "$STATUS"
ask DELETE $R/$NOTE '' "$ADA_TOKEN"
is "a null rule is for superusers" 403 "$STATUS"

# ---- mass assignment ----
ask PATCH $R/$NOTE '{"rank":9,"id":"aaaaaaaaaaaaaaa","collectionId":"x","frob":1}' "$ADA_TOKEN"
is "unknown and read-only fields take no effect" "200 $NOTE" "$STATUS $(member id)"
curl -sS -D "$WORK/head" -o /dev/null -X PATCH -H "Authorization: $ADA_TOKEN" -H 'Content-Type: application/json' -d '{"frob":1}' "$BASE$R/$NOTE"
has "they are named" 'X-Tenon-Ignored: frob' "$(tr -d '\r' <"$WORK/head")"
is "or refused, if the client wishes" 400 "$(curl -sS -o /dev/null -w '%{http_code}' -X PATCH -H "Authorization: $ADA_TOKEN" -H 'Tenon-Strict: 1' -H 'Content-Type: application/json' -d '{"frob":1}' "$BASE$R/$NOTE")"

# ---- lists ----
for n in 1 2 3 4 5; do ask POST $R "{\"title\":\"n$n\",\"rank\":$n,\"owner\":\"$ADA\"}" "$ADA_TOKEN"; done
ask GET "$R?perPage=2&page=2&sort=-rank&filter=(rank%20%3E%201%20%26%26%20rank%20%3C%209)" '' "$ADA_TOKEN"
has "filter, sort and page" '"page":2,"perPage":2,"totalItems":4,"totalPages":2' "$ANSWER"
ask GET "$R?filter=rank%20%3E%3E%201" '' "$ADA_TOKEN"
is "a broken filter is 400" 400 "$STATUS"
ask GET "$R?filter=secret%20%3D%201" '' "$ADA_TOKEN"
is "so is one over an unknown field" 400 "$STATUS"
ask GET "$R?page=99999999999999999999" '' "$ADA_TOKEN"
case $STATUS in 200 | 400) is "a page beyond all numbers wraps nowhere" ok ok ;; *) is "a page beyond all numbers wraps nowhere" ok "$STATUS" ;; esac

# ---- bad requests ----
ask POST $R '{"title":"a","title":"b"}' "$ADA_TOKEN"
has "a key that is there twice is named with its place" 'at byte' "$ANSWER"
ask POST $R '{"title":' "$ADA_TOKEN"
is "half a body is 400" 400 "$STATUS"
is "another type of body is 415" 415 "$(curl -sS -o /dev/null -w '%{http_code}' -H "Authorization: $ADA_TOKEN" -H 'Content-Type: text/xml' -d '<a/>' "$BASE$R")"
ask GET /t/nobody/api/health
is "an unknown tenant" "404 TN1406" "$STATUS $(member code)"
ask PUT $R '{}' "$ADA_TOKEN"
is "a method that the path does not take" 405 "$STATUS"
has "with those it takes" 'GET, HEAD, POST' "$(curl -sS -o /dev/null -D - -X PUT "$BASE$R" | tr -d '\r')"
ask GET /nowhere
is "an unknown path" 404 "$STATUS"
is "every refusal has a trace id of 32 digits" 32 "$(printf %s "$(member traceId)" | wc -c)"

# ---- bounds ----
pairs=$(seq -s '&' -f 'a%g=1' 64)
ask GET "$R?$pairs" '' "$ADA_TOKEN"
is "64 query parameters are taken" 200 "$STATUS"
ask GET "$R?$pairs&filter=title%3D%27none%27" '' "$ADA_TOKEN"
is "one more is refused, not passed over" 400 "$STATUS"
ask POST /t/shop/api/collections '{"name":"big","type":"base","listRule":"","viewRule":"","createRule":"n > 0","updateRule":"","fields":[{"name":"a","type":"text","max":2000000},{"name":"b","type":"text","max":2000000},{"name":"c","type":"text","max":2000000},{"name":"n","type":"number"}]}' "$SHOP"
B=/t/shop/api/collections/big/records
ask POST $B '{"n":1}'
BIG=$(member id)
patch_file() { # FIELD FILE
	printf '{"%s":"%s"}' "$1" "$(cat "$2")" >"$WORK/patch"
	STATUS=$(curl -sS -o "$WORK/answer" -w '%{http_code}' -X PATCH -H 'Content-Type: application/json' --data-binary "@$WORK/patch" "$BASE$B/$BIG")
}
head -c 450000 /dev/zero | tr '\0' x >"$WORK/text"
for field in a b c; do patch_file $field "$WORK/text"; done
is "a record grows beyond a mebibyte" 200 "$STATUS"
ask PATCH "$B/$BIG?fields=n" '{"n+":2}'
is "and can still be changed" '200 {"n":3}' "$STATUS $ANSWER"
head -c 350000 /dev/zero | sed 's/\x0/\\"/g' >"$WORK/text"
patch_file a "$WORK/text"
is "also by a body full of escapes" 200 "$STATUS"
head -c 1040000 /dev/zero | tr '\0' x >"$WORK/text"
for field in a b c; do patch_file $field "$WORK/text"; done
ask POST $B '{"n":1}'
BIG=$(member id)
for field in a b; do patch_file $field "$WORK/text"; done
ask GET "$B?perPage=500"
ANSWER=
is "an answer beyond all bounds is the request's fault" 400 "$STATUS"
ask GET "$B?perPage=500&fields=id"
is "which can ask for less" 200 "$STATUS"

# ---- tokens die with the password ----
ask PATCH "/t/shop/api/collections/users/records/$BOB" '{"password":"a new one entirely","passwordConfirm":"a new one entirely"}' "$SHOP"
is "a superuser gives a user a new password" 200 "$STATUS"
ask GET $R '' "$BOB_TOKEN"
has "and the old token makes a guest" '"totalItems":0' "$ANSWER"
ask POST /t/shop/api/collections/users/auth-refresh '{}' "$BOB_TOKEN"
is "who can refresh nothing" 401 "$STATUS"
ask POST /t/shop/api/collections/users/auth-refresh '{}' "$ADA_TOKEN"
is "while a living one is refreshed" 200 "$STATUS"

# ---- operators ----
ask GET /platform/tenants
is "the platform is for operators" 401 "$STATUS"
ask GET /platform/tenants '' "$SHOP"
is "not for superusers" 401 "$STATUS"
ask GET /platform/tenants '' "$LOCAL"
is "the data folder's token is an operator's" 200 "$STATUS"
curl -sS -D "$WORK/head" -o "$WORK/session" -H 'Content-Type: application/json' -d '{"email":"op@example.org","password":"long enough"}' "$BASE/platform/signin"
cookie=$(sed -n 's/^Set-Cookie: \([^;]*\).*/\1/p' "$WORK/head" | tr -d '\r')
csrf=$(sed -n 's/.*"csrf":"\([0-9a-f]*\)".*/\1/p' "$WORK/session")
has "an operator's cookie is HttpOnly and SameSite=Strict" 'HttpOnly; SameSite=Strict' "$(cat "$WORK/head")"
op() { curl -sS -o /dev/null -w '%{http_code}' -H "Cookie: $cookie" -H 'Content-Type: application/json' "$@"; }
is "a cookie reads" 200 "$(op "$BASE/platform/tenants")"
is "it does not write without the page's token" 403 "$(op -d '{"name":"evil"}' "$BASE/platform/tenants")"
is "nor when another site asks" 403 "$(op -H "X-Tenon-CSRF: $csrf" -H 'Sec-Fetch-Site: cross-site' -d '{"name":"evil"}' "$BASE/platform/tenants")"
is "it writes with it" 200 "$(op -H "X-Tenon-CSRF: $csrf" -d '{"name":"good"}' "$BASE/platform/tenants")"
curl -sS -D "$WORK/head" -o /dev/null -H "Cookie: $cookie" -H "X-Tenon-CSRF: $csrf" -H 'Content-Type: application/json' -d '{}' "$BASE/platform/signout"
has "signed out" ' 204 ' "$(head -n 1 "$WORK/head")"
has "the browser forgets the cookie" 'tenon_session=; Path=/platform; HttpOnly; SameSite=Strict; Max-Age=0' "$(tr -d '\r' <"$WORK/head")"
is "it is nobody's" 401 "$(op "$BASE/platform/tenants")"

head -c 2000000 /dev/zero >"$WORK/upload"
is "a stranger's upload is refused at its head" 401 "$(curl -sS -o /dev/null -w '%{http_code}' --max-time 5 -H 'Expect: 100-continue' --data-binary "@$WORK/upload" "$BASE/platform/tenants/shop/plugins")"
is "and not taken for an operator's because of its length" 401 "$(curl -sS -o /dev/null -w '%{http_code}' --max-time 5 -H 'Expect:' --data-binary "@$WORK/upload" "$BASE/platform/tenants/shop/plugins" || true)"

# ---- suspended ----
tenon tenant suspend bank >/dev/null
ask GET /t/bank/api/health
is "a suspended tenant answers 503" "503 TN1506" "$STATUS $(member code)"
ask GET /t/shop/api/health
is "and the others go on" 200 "$STATUS"
tenon tenant resume bank >/dev/null
ask GET /t/bank/api/health
is "resumed it answers" 200 "$STATUS"

# ---- plugins that are none ----
printf 'not a plugin' >"$WORK/none.so"
is "a file that is no plugin is refused" 1 "$(tenon plugin deploy "$WORK/none.so" --tenant shop >/dev/null 2>"$WORK/why" || echo $?)"
has "in words" 'ELF' "$(cat "$WORK/why")"
ask GET /t/shop/api/x/none/x
is "and does not exist" 404 "$STATUS"

# ---- the journal ----
denied=$(tenon audit query --tenant shop --denied --limit 1000 | grep -c 'token of another tenant')
is "each foreign token stands in the journal" 2 "$denied"
# records_of TRACE: how many requests of this trace the journal has
records_of() { tenon audit query --trace "$1" | grep -c '"kind":"request"' || true; }
# trace METHOD PATH [BODY [TOKEN]]: asks with a trace id of our own
trace() {
	TRACE=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
	curl -sS -o /dev/null -X "$1" -H "traceparent: 00-$TRACE-0000000000000001-01" -H 'Content-Type: application/json' -H "Authorization: ${4-}" ${3:+--data-binary "$3"} "$BASE$2" || true
	RECORD=$(tenon audit query --trace "$TRACE")
}
trace GET $R/aaaaaaaaaaaaaaa '' "$SHOP"
case $RECORD in *'"deny"'*) denied=yes ;; *) denied=no ;; esac
is "what is not there is no denial" no "$denied"
trace GET "$R/$NOTE"
has "what a rule hides is one" '"decision":"deny"' "$RECORD"
trace POST $R "{\"title\":\"not mine\",\"owner\":\"$BOB\"}" "$ADA_TOKEN"
has "so is a create rule unmet" '"decision":"deny"' "$RECORD"
has "and the actor stands there" "user:users/$ADA" "$RECORD"
trace POST $R "@$WORK/upload" "$ADA_TOKEN"
is "a body too large leaves its record" 1 "$(records_of "$TRACE")"
has "with its status" '"status":413' "$RECORD"
tenon audit query --limit 1000 >"$WORK/journal"
grep -qE 'correct horse|long enough|password of' "$WORK/journal" && secret=yes || secret=no
is "no password does" no "$secret"
grep -qF "$SHOP" "$WORK/journal" && secret=yes || secret=no
is "nor a token" no "$secret"
tenon audit verify >/dev/null
is "and it is whole" 0 $?
has "metrics count the requests" 'tenon_requests_total{class="2xx"}' "$(curl -sS "$BASE/metrics")"

# ---- one server per folder; commands without a server ----
is "a second server on the folder is refused" 1 "$("$TENON" serve --data "$DATA" --listen 127.0.0.1:0 >/dev/null 2>"$WORK/why" || echo $?)"
has "and told who holds it" "$SERVER_PID" "$(cat "$WORK/why")"
server_stop
is "a stopped server ends well" 0 $?
is "a command without a server does its work" 0 "$(tenon tenant create later >/dev/null 2>&1; echo $?)"
is "which stands" 1 "$(tenon tenant list | grep -c '^later ')"
tenon tenant create later >/dev/null 2>"$WORK/why" || true
has "a refusal reads as a sentence" 'tenon:   name: Value must be unique.' "$(cat "$WORK/why")"
bad=0
pids=()
for n in 1 2 3 4; do
	tenon tenant create "beside-$n" >/dev/null 2>&1 &
	pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || bad=$((bad + 1)); done
is "several at once wait for one another" 0 $bad
is "and leave no address behind" "" "$(ls "$DATA/run")"
is "a plugin needs a server, and is told so" 1 "$(tenon plugin list 2>"$WORK/why" || echo $?)"
has "by name" 'tenon serve' "$(cat "$WORK/why")"

[ "$failed" = 0 ] || { echo "$failed failed"; exit 1; }
echo "all as expected"
