#!/usr/bin/env bash
# run.sh BUILD - PocketBase's JavaScript SDK against a real server with two tenants and a mail server of its own.
set -euo pipefail
cd "$(dirname "$0")/../../.."
BUILD=$1
. tests/lib/server.sh
email=root@example.org password='correct horse'
here=tests/e2e/sdk modules=$BUILD/sdk
$here/install.sh "$modules"
cp $here/*.mjs "$modules/"

tools=$BUILD/bin
[ -x "$tools/sink" ] || tools=$BUILD/test/bin
mkdir "$WORK/mail"
"$tools/sink" "$WORK/mail" >"$WORK/sink" &
SERVER_PIDS+=($!)
for _ in $(seq 1 100); do [ -s "$WORK/sink" ] && break || sleep 0.05; done
port=$(cat "$WORK/sink")

server_start sdk --mail-allow "127.0.0.1/32:$port"
for tenant in shop other; do
	"$TENON" tenant create $tenant --data "$DATA" >/dev/null
	"$TENON" superuser upsert $email "$password" --tenant $tenant --data "$DATA" >/dev/null
done
rc=0
web/node.sh "$modules/suite.mjs" --base "$BASE/t/shop" --other "$BASE/t/other" --email $email --password "$password" \
	--refused docs/pocketbase.md --mail "$WORK/mail" --mail-port "$port" || rc=$?
server_stop
exit $rc
