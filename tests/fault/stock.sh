#!/usr/bin/env bash
# stock.sh BUILD - 200 order lines at once for a product that is there 10 times. Prints name=value lines.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=$1
. tests/lib/server.sh

server_start stock --demo
for _ in $(seq 1 200); do
	grep -q '^ 2 refused' "$WORK/stock.out" && break
	sleep 0.1
done
token=$(sed -n "s/^ 2 refused.*-H 'Authorization: \([^']*\)'.*/\1/p" "$WORK/stock.out")
shop=$BASE/t/shop/api/collections
user="Authorization: $token"

request POST /t/shop/api/collections/products/records \
	'{"id":"scarce000000001","name":"scarce","sku":"TST-001","price":1,"stock":10,"active":true}' "$user" >/dev/null
[ "$STATUS" = 200 ] || { echo "making the product: $STATUS" >&2; exit 1; }
curl -sS -Z --parallel-immediate --parallel-max 200 -o /dev/null -w '%{http_code}\n' -X POST -H "$user" \
	-H 'Content-Type: application/json' \
	--data-binary '{"order":"order0000000001","product":"scarce000000001","quantity":1,"unit_price":1}' \
	"$shop/order_lines/records?n=[1-200]" >"$WORK/statuses" 2>"$WORK/curl.err" || cat "$WORK/curl.err" >&2

made=$(grep -c '^200$' "$WORK/statuses" || true)
refused=$(grep -c '^400$' "$WORK/statuses" || true)
stock=$(request GET /t/shop/api/collections/products/records/scarce000000001 | sed -n 's/.*"stock":\(-\{0,1\}[0-9]*\).*/\1/p')
lines=$(request GET "/t/shop/api/collections/order_lines/records?perPage=1&filter=product%3D'scarce000000001'" '' "$user" |
	sed -n 's/.*"totalItems":\([0-9]*\).*/\1/p')
server_stop
echo "succeeded=$made"
echo "refused=$refused"
echo "asked=$(wc -l <"$WORK/statuses")"
echo "stock=$stock"
echo "lines=$lines"
[ "$made $refused $stock $lines" = "10 190 0 10" ]
