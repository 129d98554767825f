#!/usr/bin/env bash
# Two servers whose data differ only in what the asker may not read answer 500 fixed requests alike: lists, filters, sorts,
# cursors, groups, expand, back-relations, fields, ETags, exports, refused and accepted writes. And when one of those fields
# is shown, they do not.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../lib.sh"
source "$here/../../lib/server.sh"
set +e

options=()
[ "$(id -u)" = 0 ] || options=(--allow-missing cgroup)
server_start first --log-level warn "${options[@]}"
first=$BASE first_data=$DATA
server_start second --log-level warn "${options[@]}"
second=$BASE second_data=$DATA

# fresh BASE DATA TENANT: "URL,TOKEN" of a new tenant's superuser.
fresh() {
	"$TENON" tenant create "$3" --data "$2" >/dev/null
	"$TENON" superuser upsert root@hidden.test 'correct horse' --tenant "$3" --data "$2" >/dev/null
	local token
	token=$(curl -fsS "$1/t/$3/api/collections/_superusers/auth-with-password" -H 'Content-Type: application/json' \
		-d '{"identity":"root@hidden.test","password":"correct horse"}' | sed -n 's/.*"token":"\([^"]*\)".*/\1/p')
	echo "$1/t/$3,$token"
}
# compare TENANT FIELD: what hidden.mjs prints.
compare() {
	node "$here/hidden.mjs" "$(fresh "$first" "$first_data" "$1")" "$(fresh "$second" "$second_data" "$1")" "$2"
}

plain=$(compare plain '')
row "hidden values: two servers that differ in nothing else answer alike" "hidden.mjs FIRST SECOND" \
	"requests=500 differing=0" "${plain% good=*}"
within "hidden values: of these requests are not refused" "hidden.mjs FIRST SECOND" "at least 300" "${plain#* good=}" ">=" 300
for field in pay code rival perks secret spy data rating score email; do
	seen=$(compare "show-$field" "$field")
	case $seen in
	requests=500\ differing=0\ * | '') verdict="alike ($seen)" ;;
	*) verdict="not alike" ;;
	esac
	row "hidden values: shown, $field is noticed" "hidden.mjs FIRST SECOND $field" "not alike" "$verdict"
done
