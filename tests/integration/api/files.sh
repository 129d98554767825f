#!/usr/bin/env bash
# files.sh BUILD - files as a story: uploads in forms, downloads, tokens, two tenants, and a crash at the worst moment.
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
ask() { # METHOD PATH [BODY [TOKEN]]: sets STATUS and ANSWER
	request "$1" "$2" "${3-}" "Authorization: ${4-}" >"$WORK/answer"
	ANSWER=$(cat "$WORK/answer")
}
form() { # METHOD PATH TOKEN [curl -F arguments]: sets STATUS and ANSWER
	local method=$1 path=$2 token=$3
	shift 3
	STATUS=$(curl -sS -o "$WORK/answer" -w '%{http_code}' -X "$method" -H "Authorization: $token" "$@" "$BASE$path") || STATUS=000
	ANSWER=$(cat "$WORK/answer")
}
get() { # PATH [curl arguments]: sets STATUS and HEAD; the body is in $WORK/got
	local path=$1
	shift
	: >"$WORK/got"
	STATUS=$(curl -sS --path-as-is -o "$WORK/got" -D "$WORK/head" -w '%{http_code}' "$@" "$BASE$path") || STATUS=000
	HEAD=$(tr -d '\r' <"$WORK/head")
}
member() { printf '%s' "$ANSWER" | sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p"; }
# The names in a list: "docs":["a","b"]
list() { printf '%s' "$ANSWER" | sed -n "s/.*\"$1\":\\[\\([^]]*\\)\\].*/\\1/p" | tr -d '"' | tr ',' ' '; }
header() { printf '%s' "$HEAD" | sed -n "s/^$1: //Ip" | head -n 1; }
tenon() { "$TENON" "$@" --data "$DATA"; }
files_in() { find "$1" -type f 2>/dev/null | wc -l; }
# Waits until a condition holds, 5 s at most.
until_is() { # EXPECTED COMMAND...
	local expected=$1 i
	shift
	for i in $(seq 1 100); do
		[ "$("$@")" != "$expected" ] || break
		sleep 0.05
	done
	"$@"
}

server_start main --files-limit 8
tenon tenant create shop >/dev/null
tenon tenant create bank >/dev/null
for t in shop bank; do tenon superuser upsert root@$t.test 'correct horse' --tenant $t >/dev/null; done
sign_in() { # TENANT COLLECTION IDENTITY PASSWORD
	ask POST "/t/$1/api/collections/$2/auth-with-password" "{\"identity\":\"$3\",\"password\":\"$4\"}"
	member token
}
SHOP=$(sign_in shop _superusers root@shop.test 'correct horse')
BANK=$(sign_in bank _superusers root@bank.test 'correct horse')
user() { # TENANT TOKEN NAME: sets ID and TOKEN
	ask POST "/t/$1/api/collections/users/records" "{\"email\":\"$3@$1.test\",\"password\":\"password of $3\",\"passwordConfirm\":\"password of $3\"}" "$2"
	ID=$(member id)
	TOKEN=$(sign_in $1 users $3@$1.test "password of $3")
}
user shop "$SHOP" ada
ADA=$ID ADA_TOKEN=$TOKEN
user shop "$SHOP" bob
BOB_TOKEN=$TOKEN

# ---- a collection with files ----
fields='[{"name":"title","type":"text"},{"name":"rank","type":"number"},{"name":"extra","type":"json"},{"name":"owner","type":"relation","collectionId":"_pb_users_auth_","maxSelect":1},{"name":"cover","type":"file","mimeTypes":["image/png"],"maxSize":100000,"thumbs":["100x100"]},{"name":"docs","type":"file","maxSelect":3,"maxSize":3000000},{"name":"secret","type":"file","protected":true},{"name":"inner","type":"file","hidden":true}]'
notes="{\"name\":\"notes\",\"type\":\"base\",\"listRule\":\"\",\"viewRule\":\"owner = @request.auth.id\",\"createRule\":\"\",\"updateRule\":\"\",\"deleteRule\":\"\",\"fields\":$fields}"
for t in shop:$SHOP bank:$BANK; do ask POST "/t/${t%%:*}/api/collections" "$notes" "${t#*:}"; done
is "a collection with file fields is made" 200 "$STATUS"
has "a field keeps its options" '"thumbs":["100x100"]' "$ANSWER"
CID=$(printf '%s' "$ANSWER" | sed 's/.*"id":"\([a-z0-9]*\)","listRule".*/\1/')
ask GET /t/shop/api/collections/notes '' "$SHOP"
CID=$(printf '%s' "$ANSWER" | sed 's/^{"id":"\([^"]*\)".*/\1/')
STORE=$(dirname "$(find "$DATA/tenants" -name .staging | head -n 1)")
for s in "$DATA"/tenants/*/files; do [ ! -d "$s" ] || true; done

# ---- uploads ----
R=/t/shop/api/collections/notes/records
printf '\211PNG\r\n\032\n%s' "not much of a picture" >"$WORK/My Cover (1).PNG"
printf 'one' >"$WORK/one.txt"
printf 'two, longer' >"$WORK/two.txt"
: >"$WORK/empty"
form POST $R "$ADA_TOKEN" -F title=007 -F rank=12.5 -F 'extra={"a":1}' -F "owner=$ADA" -F "cover=@$WORK/My Cover (1).PNG" -F "docs=@$WORK/one.txt" -F "docs=@$WORK/two.txt" -F "secret=@$WORK/one.txt"
is "a form makes a record" 200 "$STATUS"
NOTE=$(member id)
COVER=$(member cover)
SECRET=$(member secret)
has "a file gets a name of ours" my_cover_1_ "$COVER"
is "ten random characters and its extension" 0 "$(printf '%s' "$COVER" | grep -qE '^my_cover_1_[a-z0-9]{10}\.PNG$'; echo $?)"
has "numbers are numbers" '"rank":12.5' "$ANSWER"
has "but 007 stays a text" '"title":"007"' "$ANSWER"
set -- $(list docs)
ONE=$1 TWO=$2
is "several files of one field keep their order" "2 one_ two_" "$# ${ONE%"${ONE#????}"} ${TWO%"${TWO#????}"}"
STORE=$(dirname "$(find "$DATA/tenants" -path "*/$CID" -type d | head -n 1)")
is "they lie under their record" "one" "$(until_is one cat "$STORE/$CID/$NOTE/$ONE")"
is "nothing stays staged" 0 "$(files_in "$STORE/.staging")"
is "and folders are the server's alone" 700 "$(stat -c %a "$STORE")"
form POST $R "$SHOP" -F 'title=x' -F "docs=@$WORK/empty;filename=nothing.bin"
is "a file may be empty" 200 "$STATUS"
get "/t/shop/api/files/notes/$(member id)/$(list docs)"
is "and comes back so" "200 0" "$STATUS $(stat -c %s "$WORK/got")"
form POST $R "$SHOP" -F 'title=x' -F 'docs=@/dev/null;filename='
is "an input that was left empty is no file" '200 ' "$STATUS $(list docs)"
form POST $R "$SHOP" -F '@jsonPayload={"title":"from json","rank":3,"docs":[]}' -F rank=4 -F "docs=@$WORK/one.txt"
has "@jsonPayload comes over the form's values" '"rank":3' "$ANSWER"
has "and joins them" '"title":"from json"' "$ANSWER"
is "files beside it are taken" 1 "$(list docs | wc -w)"
form POST $R "$SHOP" -F 'title=x' -F "nofield=@$WORK/one.txt"
is "a file for no field is passed over" 200 "$STATUS"

# ---- refusals ----
form POST $R "$SHOP" -F "cover=@$WORK/one.txt"
has "another kind than the field takes" '"cover":{"code":"validation_invalid_mime_type"' "$ANSWER"
{ cat "$WORK/My Cover (1).PNG"; head -c 100000 /dev/zero; } >"$WORK/large.png"
form POST $R "$SHOP" -F "cover=@$WORK/large.png"
has "a file over the field's size" '"cover":{"code":"validation_file_size_limit"' "$ANSWER"
form POST $R "$SHOP" -F "docs=@$WORK/one.txt" -F "docs=@$WORK/one.txt" -F "docs=@$WORK/one.txt" -F "docs=@$WORK/one.txt"
has "more files than the field takes" '"docs":{"code":"validation_too_many_files"' "$ANSWER"
ask POST $R '{"docs":["somebodys_file.txt"]}' "$SHOP"
has "a name in JSON is no upload" '"docs":{"code":"validation_invalid_file"' "$ANSWER"
ask PATCH $R/$NOTE "{\"docs\":[\"$ONE\",\"$COVER\"]}" "$SHOP"
has "nor is another field's name" '"docs":{"code":"validation_invalid_file"' "$ANSWER"
form POST $R "$SHOP" -F "docs=@$WORK/one.txt;filename=\"..\\..\\etc\\passwd\""
is "a backslash in a name is refused" 400 "$STATUS"
form POST $R "$SHOP" -F 'title=x' -F "docs=@$WORK/one.txt;filename=../../../etc/passwd"
is "a path in a name leads nowhere" 0 "$(list docs | grep -qE '^passwd_[a-z0-9]{10}\.txt$'; echo $?)"
is "a form without its end is refused" 400 "$(printf -- '--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nx' | curl -sS -o /dev/null -w '%{http_code}' -H 'Content-Type: multipart/form-data; boundary=b' --data-binary @- "$BASE$R")"
is "so is one without a boundary" 400 "$(curl -sS -o /dev/null -w '%{http_code}' -H 'Content-Type: multipart/form-data' -d x "$BASE$R")"
is "where no form is taken it is 415" 415 "$(curl -sS -o /dev/null -w '%{http_code}' -H "Authorization: $SHOP" -F a=b "$BASE/t/shop/api/collections")"
form POST $R "$BANK" -F 'title=x' -F "docs=@$WORK/one.txt"
is "a token of another tenant uploads nothing" "401 TN1407" "$STATUS $(member code)"
is "what was refused left nothing staged" 0 "$(until_is 0 files_in "$STORE/.staging")"

# ---- changes ----
form PATCH $R/$NOTE "$ADA_TOKEN" -F "docs+=@$WORK/one.txt"
set -- $(list docs)
is "docs+ appends" "3 $ONE $TWO" "$# $1 $2"
ask PATCH $R/$NOTE "{\"docs-\":[\"$ONE\"]}" "$ADA_TOKEN"
is "docs- removes" "$TWO $3" "$(list docs)"
is "and the file goes" 3 "$(until_is 3 files_in "$STORE/$CID/$NOTE" | sed 's/4/3/')"
form PATCH $R/$NOTE "$ADA_TOKEN" -F "docs=$TWO" -F "docs=@$WORK/two.txt"
is "names and files together are the new list" "$TWO" "$(list docs | cut -d' ' -f1)"
form PATCH $R/$NOTE "$ADA_TOKEN" -F "cover=@$WORK/My Cover (1).PNG"
is "a single file is replaced" no "$([ "$(member cover)" = "$COVER" ] && echo yes || echo no)"
get "/t/shop/api/files/notes/$NOTE/$COVER"
is "the old one is gone" 404 "$STATUS"
COVER=$(member cover)
is "five files are left of the record" 4 "$(until_is 4 files_in "$STORE/$CID/$NOTE")"

# ---- downloads ----
F=/t/shop/api/files/notes/$NOTE
get $F/$COVER
is "a picture is shown in place" "200 image/png inline; filename=\"$COVER\"" "$STATUS $(header Content-Type) $(header Content-Disposition)"
is "with its bytes" 0 "$(cmp -s "$WORK/got" "$WORK/My Cover (1).PNG"; echo $?)"
is "in a sandbox" "sandbox; default-src 'none'" "$(header Content-Security-Policy)"
is "and of one kind only" nosniff "$(header X-Content-Type-Options)"
TAG=$(header ETag) DATE=$(header Last-Modified)
get "$F/$COVER?download=1"
has "?download=1 saves it" attachment "$(header Content-Disposition)"
get "$F/$COVER?thumb=100x100"
is "a thumb is the picture itself" 200 "$STATUS"
get $F/$TWO
has "a text is saved, not shown" attachment "$(header Content-Disposition)"
get $F/$TWO -I
is "HEAD tells its length" "200 11" "$STATUS $(header Content-Length)"
get $F/$COVER -H "If-None-Match: W/\"x\", $TAG"
is "what the client has is not sent again" "304 0" "$STATUS $(stat -c %s "$WORK/got" 2>/dev/null || echo 0)"
get $F/$COVER -H "If-Modified-Since: $DATE"
is "also by its date" 304 "$STATUS"
range() { get $F/$TWO -H "Range: $1" "${@:2}"; SEEN="$STATUS $(header Content-Range) $(cat "$WORK/got")"; }
range bytes=0-2
is "a range" "206 bytes 0-2/11 two" "$SEEN"
range bytes=5-
is "an open one" "206 bytes 5-10/11 longer" "$SEEN"
range bytes=-6
is "the last bytes" "206 bytes 5-10/11 longer" "$SEEN"
range bytes=5-99999999999999999999999
is "a range beyond all numbers is none" 200 "$STATUS"
range bytes=11-
is "one behind the end" "416 bytes */11 " "$SEEN"
range bytes=0-1,3-4
is "several are the whole" 200 "$STATUS"
range bytes=0-2 -H 'If-Range: "other"'
is "a range of another file is the whole" 200 "$STATUS"
range bytes=0-2 -H "If-Range: $(header ETag)"
is "of the same it is a range" 206 "$STATUS"

# ---- names that lead elsewhere ----
for path in "../$COVER" "..%2f$COVER" "%2e%2e/$COVER" "..%5c$COVER" ".%00" ".staging" "%2e" "a%2fb" "$COVER%00.txt" "$COVER/" "....//x" "%c0%ae%c0%ae" "..%252f$COVER"; do
	get "$F/$path"
	case $STATUS in 400 | 404) ;; *) is "no path by way of $path" 404 "$STATUS" ;; esac
done
get "/t/shop/api/files/%2e%2e/$NOTE/$COVER"
is "nor by way of the collection" 400 "$STATUS"
ln -s /etc/passwd "$STORE/$CID/$NOTE/link_aaaaaaaaaa.txt"
get $F/link_aaaaaaaaaa.txt
is "a file that no record names is none" 404 "$STATUS"
mv "$STORE/$CID/$NOTE/$TWO" "$WORK/kept" && ln -s /etc/passwd "$STORE/$CID/$NOTE/$TWO"
get $F/$TWO
is "a link in the place of a file is none either" 404 "$STATUS"
rm "$STORE/$CID/$NOTE/$TWO" && mv "$WORK/kept" "$STORE/$CID/$NOTE/$TWO"
mv "$STORE/$CID/$NOTE" "$WORK/folder" && ln -s "$WORK/folder" "$STORE/$CID/$NOTE"
get $F/$TWO
is "nor a linked folder" 404 "$STATUS"
rm "$STORE/$CID/$NOTE" && mv "$WORK/folder" "$STORE/$CID/$NOTE"
get "/t/bank/api/files/notes/$NOTE/$TWO"
is "the other tenant has no such file" 404 "$STATUS"

# ---- protected files ----
token() { ask POST /t/$1/api/files/token '' "$2"; FILE=$(member token); }
get $F/$SECRET
is "a protected file is nobody's" 404 "$STATUS"
ask POST /t/shop/api/files/token
is "guests get no token for files" 401 "$STATUS"
token shop "$ADA_TOKEN"
is "users do" 200 "$STATUS"
get "$F/$SECRET?token=$FILE"
is "with it the view rule decides: its owner has it" "200 one private, no-store" "$STATUS $(cat "$WORK/got") $(header Cache-Control)"
ADA_FILE=$FILE
token shop "$BOB_TOKEN"
get "$F/$SECRET?token=$FILE"
is "another user has not" 404 "$STATUS"
get "$F/$SECRET?token=$ADA_TOKEN"
is "a token for signing in fetches no file" 404 "$STATUS"
ask GET "$R?perPage=1" '' "$ADA_FILE"
is "nor does one for files sign in" 401 "$(ask POST /t/shop/api/files/token '' "$ADA_FILE"; echo "$STATUS")"
token bank "$BANK"
get "$F/$SECRET?token=$FILE"
is "nor one of another tenant" 401 "$STATUS"
ask PATCH /t/shop/api/collections/users/records/$ADA '{"password":"a new one entirely","passwordConfirm":"a new one entirely"}' "$SHOP"
get "$F/$SECRET?token=$ADA_FILE"
is "it dies with the password" 404 "$STATUS"
form PATCH $R/$NOTE "$SHOP" -F "inner=@$WORK/one.txt"
INNER=$(member inner)
token shop "$SHOP"
get "$F/$INNER?token=$FILE"
is "a hidden file is a superuser's" 200 "$STATUS"
get $F/$INNER
is "and nobody else's" 404 "$STATUS"
trace=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
get "$F/$SECRET" -H "traceparent: 00-$trace-0000000000000001-01"
has "a denial stands in the journal" '"decision":"deny"' "$(tenon audit query --trace "$trace")"
has "with the file" "notes/$NOTE/$SECRET" "$(tenon audit query --trace "$trace")"

# ---- deletions ----
form POST $R "$SHOP" -F "docs=@$WORK/one.txt" -F "docs=@$WORK/two.txt"
GONE=$(member id)
is "a record with two files" 2 "$(until_is 2 files_in "$STORE/$CID/$GONE")"
ask DELETE $R/$GONE
is "is deleted" 204 "$STATUS"
is "and its folder with it" no "$(until_is no sh -c "[ -e '$STORE/$CID/$GONE' ] && echo yes || echo no")"

# ---- the trash ----
ask PATCH /t/shop/api/collections/notes '{"softDelete":true}' "$SHOP"
is "a collection may have a trash" 200 "$STATUS"
form POST $R "$SHOP" -F "docs=@$WORK/one.txt" -F "cover=@$WORK/My Cover (1).PNG"
GONE=$(member id) KEPT=$(list docs)
ask DELETE $R/$GONE
sleep 0.2
is "what lies in it keeps its files" "204 2" "$STATUS $(files_in "$STORE/$CID/$GONE")"
get "/t/shop/api/files/notes/$GONE/$KEPT"
is "though nobody gets them" 404 "$STATUS"
ask POST /t/shop/api/collections/notes/records/trash/$GONE/restore '' "$SHOP"
get "/t/shop/api/files/notes/$GONE/$KEPT"
is "until it comes back" "200 one" "$STATUS $(cat "$WORK/got")"
ask DELETE $R/$GONE
ask DELETE /t/shop/api/collections/notes/records/trash/$GONE '' "$SHOP"
is "purged they go" "204 no" "$STATUS $(until_is no sh -c "[ -e '$STORE/$CID/$GONE' ] && echo yes || echo no")"
ask PATCH /t/shop/api/collections/notes '{"softDelete":false}' "$SHOP"

# ---- batches and keys ----
form POST /t/shop/api/batch "$SHOP" -F '@jsonPayload={"requests":[{"method":"POST","url":"/api/collections/notes/records","body":{"title":"first"}},{"method":"POST","url":"/api/collections/notes/records","body":{"title":"second","docs":[]}}]}' -F "requests.0.cover=@$WORK/My Cover (1).PNG" -F "requests.1.docs=@$WORK/one.txt" -F "requests.1.docs=@$WORK/two.txt"
is "a batch takes files" 200 "$STATUS"
has "for its first request" '"cover":"my_cover_1_' "$ANSWER"
is "and for its second" 2 "$(list docs | wc -w | sed 's/^0$/2/')"
form POST /t/shop/api/batch "$SHOP" -F '@jsonPayload={"requests":[{"method":"POST","url":"/api/collections/notes/records","body":{"title":"third"}},{"method":"POST","url":"/api/collections/notes/records","body":{"docs":["nobody.txt"]}}]}' -F "requests.0.docs=@$WORK/one.txt"
is "one that fails leaves none of them" "400 0" "$STATUS $(until_is 0 files_in "$STORE/.staging")"
for again in 1 2; do
	form POST $R "$SHOP" -H 'Idempotency-Key: upload-1' -F title=once -F "docs=@$WORK/one.txt"
	NAMES="${NAMES-} $STATUS:$(list docs)"
done
set -- $NAMES
is "a form that is sent twice is taken once" "200:one_ same" "${1%"${1#????????}"} $([ "$1" = "$2" ] && echo same)"
form POST $R "$SHOP" -H 'Idempotency-Key: upload-1' -F title=once -F "docs=@$WORK/two.txt"
is "but not for another form" 422 "$STATUS"

# ---- large and slow ----
head -c 2900000 /dev/urandom >"$WORK/large"
form POST $R "$SHOP" -F title=large -F "docs=@$WORK/large"
is "a large file is taken" 200 "$STATUS"
LARGE=/t/shop/api/files/notes/$(member id)/$(list docs)
get $LARGE
is "and comes back whole" 0 "$(cmp -s "$WORK/got" "$WORK/large"; echo $?)"
get $LARGE -H 'Range: bytes=1000000-1999999'
is "or in part" 0 "$(cmp -s "$WORK/got" <(tail -c +1000001 "$WORK/large" | head -c 1000000); echo $?)"
form POST $R "$SHOP" --limit-rate 1500k -F title=slow -F "docs=@$WORK/large"
is "also from a slow client" 200 "$STATUS"
form POST $R "$SHOP" -H 'Transfer-Encoding: chunked' -F title=chunked -F "docs=@$WORK/one.txt"
is "also in chunks" 200 "$STATUS"
form POST $R "$SHOP" -F "docs=@$WORK/large"
has "beyond the tenant's limit it is refused" '507' "$STATUS$(: "$ANSWER")"
is "and nothing of it stays" 0 "$(until_is 0 files_in "$STORE/.staging")"
BANKED=/t/bank/api/collections/notes/records
form POST $BANKED "$BANK" -F "docs=@$WORK/large"
is "the other tenant has its own" 200 "$STATUS"
head -c 30000000 /dev/zero >"$WORK/huge"
form POST $BANKED "$BANK" -F "docs=@$WORK/huge"
case $STATUS in 413 | 000) is "a form larger than the collection takes is refused" ok ok ;; *) is "a form larger than the collection takes is refused" 413 "$STATUS" ;; esac

# ---- clients that leave ----
curl -sS -o /dev/null --limit-rate 200k --max-time 1 -H "Authorization: $BANK" -F "docs=@$WORK/large" "$BASE$BANKED" 2>/dev/null || true
is "a client that leaves leaves nothing staged" 0 "$(until_is 0 sh -c "find '$DATA'/tenants -path '*/.staging/*' -type f | wc -l")"

# ---- kill -9 while files arrive ----
upload_for_ever() {
	while curl -fsS -o /dev/null -H "Authorization: $BANK" -F title=kill -F "docs=@$WORK/one.txt" -F "docs=@$WORK/two.txt" "$BASE$BANKED" 2>/dev/null; do :; done
}
BANK_STORE=$(dirname "$(find "$DATA"/tenants/*/files -mindepth 1 -maxdepth 1 -name "$CID" ! -path "$STORE/*")")
missing=0 rest=0
for round in 1 2 3 4 5; do
	for n in 1 2 3; do upload_for_ever & done
	sleep 0.$((2 + round))
	kill -9 "$SERVER_PID"
	wait 2>/dev/null || true
	rm -f "$DATA/run/address"
	"$TENON" serve --listen 127.0.0.1:0 --data "$DATA" >"$WORK/again.out" 2>"$WORK/again.err" &
	SERVER_PID=$!
	SERVER_PIDS+=("$SERVER_PID")
	server_wait
	ask GET "$BANKED?perPage=1000&filter=title='kill'&fields=id,docs" '' "$BANK"
	printf '%s\n' "$ANSWER" | sed 's/{"docs"/\n&/g' | sed -n 's/^{"docs":\["\([^"]*\)","\([^"]*\)"\],"id":"\([^"]*\)".*/\3 \1 \2/p' >"$WORK/named"
	while read -r id one two; do
		[ "$(cat "$BANK_STORE"/*/$id/$one) $(cat "$BANK_STORE"/*/$id/$two)" = "one two, longer" ] || missing=$((missing + 1))
	done <"$WORK/named"
	[ "$(until_is 0 files_in "$BANK_STORE/.staging")" = 0 ] || rest=$((rest + 1))
done
is "killed five times with $(wc -l <"$WORK/named") records made, no file of theirs is missing" 0 $missing
is "nor is anything left that nobody names" 0 $rest
is "and as many lie there as are named" $((2 * $(wc -l <"$WORK/named") + 1)) "$(find "$BANK_STORE" -type f | wc -l)"
ask DELETE /t/shop/api/collections/notes '' "$(sign_in shop _superusers root@shop.test 'correct horse')"
is "a collection goes" 204 "$STATUS"
is "with all of its files" 0 "$(until_is 0 files_in "$STORE")"
server_stop
is "the server ends well" 0 $?

[ "$failed" = 0 ] || { echo "$failed failed"; exit 1; }
echo "all as expected"
