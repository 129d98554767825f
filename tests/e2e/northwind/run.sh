#!/usr/bin/env bash
# run.sh BUILD DATA - the Northwind shop on a real server: prints what northwind.mjs saw.
set -euo pipefail
cd "$(dirname "$0")/../../.."
BUILD=$1 data=$2
. tests/lib/server.sh
password='correct horse'
server_start northwind
"$TENON" tenant create shop --data "$DATA" >/dev/null
"$TENON" superuser upsert root@northwind.test "$password" --tenant shop --data "$DATA" >/dev/null
token=$(request POST /t/shop/api/collections/_superusers/auth-with-password \
	"{\"identity\":\"root@northwind.test\",\"password\":\"$password\"}" | sed -n 's/.*"token":"\([^"]*\)".*/\1/p')
plugin=$(ls -t "$BUILD"/plugins/order-rules-[0-9]*.so | head -n 1)
web/node.sh tests/e2e/northwind/northwind.mjs --base "$BASE/t/shop" --token "$token" --data "$data" \
	--deploy "'$TENON' plugin deploy '$plugin' --tenant shop --grant-all --wait --data '$DATA'"
server_stop
