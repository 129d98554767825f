#!/usr/bin/env bash
# reload.sh BUILD [COUNT] - replaces a plugin COUNT times (100) under load; prints name=value lines.
#
# wrk asks without pause whether every answer is good; hammer also asks which build answered: none may be older
# than the last one whose deployment had ended before the request was sent. What the server holds (workers, open
# files, memory) is measured without load: after a warm-up of load and five deployments, and at the end.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=$1 count=${2:-100}
. tests/lib/server.sh
. tests/fault/lib.sh
path=/t/shop/api/x/order-rules/build
plugins=$TESTS/plugins/reload

cmake --build "$TESTS" --target reload_plugins >"$WORK/build.log" 2>&1 || { tail "$WORK/build.log" >&2; exit 1; }

server_start reload --demo
for _ in $(seq 1 200); do
	grep -q '^ 1 read' "$WORK/reload.out" && break
	sleep 0.1
done
host=${BASE#http://} port=${BASE##*:}
host=${host%:*}
floor=$WORK/floor
echo 0 >"$floor"

# deploy NUMBER: the floor is raised only after the deployment has ended.
deploy() {
	"$TENON" plugin deploy "$plugins/order-rules-$1.so" --tenant shop --grant-all --wait --data "$DATA" >/dev/null
	echo "$1" >"$floor.new"
	mv "$floor.new" "$floor"
}
load_begin() {
	wrk -t1 -c64 -d900 --timeout 10s "$BASE$path" >"$WORK/wrk" 2>&1 &
	wrk_pid=$!
	"$TESTS/bin/hammer" "$host" "$port" "$path" 8 900 "$floor" >"$WORK/hammer" 2>&1 &
	hammer_pid=$!
	SERVER_PIDS+=("$wrk_pid" "$hammer_pid")
	sleep 1
}
load_end() {
	kill -INT "$wrk_pid" "$hammer_pid"
	wait "$wrk_pid" || true
	wait "$hammer_pid" || true
}
# quiet: waits until drained workers are gone and connections closed, at most 40 s (a drain takes up to 35 s).
quiet() {
	local before="" now i
	for i in $(seq 1 40); do
		sleep 1
		now="$(workers_of "$SERVER_PID" | wc -l) $(open_files_of "$SERVER_PID")"
		[ "$now" != "$before" ] || [ "$i" -lt 4 ] || return 0
		before=$now
	done
}
measure() {
	quiet
	echo "workers_$1=$(workers_of "$SERVER_PID" | wc -l)"
	echo "open_files_$1=$(open_files_of "$SERVER_PID")"
	echo "rss_kib_$1=$(rss_kib_of "$SERVER_PID")"
}

load_begin
for number in 1001 1002 1003 1004 1005; do deploy "$number"; done
sleep 2
load_end
measure before

load_begin
began=$(now_ms)
deployed=0
for number in $(seq 1006 $((1005 + count))); do
	deploy "$number"
	deployed=$((deployed + 1))
done
took=$(($(now_ms) - began))
sleep 1
load_end
measure after
server_stop

echo "deployed=$deployed"
echo "deploy_ms_mean=$((took / deployed))"
echo "wrk_requests=$(sed -n 's/ *\([0-9]*\) requests in .*/\1/p' "$WORK/wrk")"
bad=$(sed -n 's/ *Non-2xx or 3xx responses: //p' "$WORK/wrk")
echo "wrk_bad_status=${bad:-0}"
errors=$(sed -n 's/ *Socket errors: //p' "$WORK/wrk")
echo "wrk_errors=${errors:-none}"
cat "$WORK/hammer" | tr ' ' '\n' | sed -n 's/^\([a-z_]*=[0-9]*\)$/hammer_\1/p'

[ "$deployed" = "$count" ] && [ -z "$bad" ] && [ -z "$errors" ] &&
	grep -q 'bad_status=0 stale=0 broken=0' "$WORK/hammer"
