#!/usr/bin/env bash
# run.sh BUILD - the browser tests: the real server, its console and a hostile plugin's page in Debian's Chromium.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=$1
. tests/lib/server.sh
email=operator@example.org password='a long enough password'

server_start console --demo
# The demo's table is there once everything serves.
for _ in $(seq 1 200); do
	grep -q 'setup=' "$WORK/console.out" && break
	sleep 0.1
done
setup=$(sed -n 's/.*#setup=\([0-9a-f]*\).*/\1/p' "$WORK/console.out")
[ -n "$setup" ] || { echo "the server printed no set-up link" >&2; cat "$WORK"/console.* >&2; exit 1; }

echo "== an operator signs in, sees the plugins and watches a call count move"
web/node.sh web/e2e/slice.mjs --base "$BASE" --setup-token "$setup" \
	--plugin-url "$BASE/t/shop/api/x/order-rules/hello" --screenshot "$BUILD/console.png" \
	--email "$email" --password "$password"
echo "== a plugin's page reaches no /platform route in that operator's browser"
web/node.sh web/e2e/origins.mjs --page "$BASE/t/shop/api/x/saboteur/html" --base "$BASE" \
	--email "$email" --password "$password"
server_stop
