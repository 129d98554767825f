# server.sh - start, ask and stop a real server, for tests written in shell. Source it.
#
#   server_start NAME [serve options]   a server on a free port with a data folder of its own;
#                                       sets BASE (http://127.0.0.1:PORT), DATA, SERVER_PID
#   server_stop                         ends it and waits; its exit status is returned
#   request METHOD PATH [BODY [HEADER]] prints the body; the status is in $STATUS
#
# Needs BUILD (the folder with bin/) and curl. Everything lives under $WORK, which is removed at exit.

set -euo pipefail
: "${BUILD:?the build folder}"
BUILD=$(cd "$BUILD" && pwd)
TENON=$BUILD/bin/tenon
WORK=$(mktemp -d /tmp/tenon-test.XXXXXX)
SERVER_PIDS=()

server_cleanup() {
	local pid
	for pid in "${SERVER_PIDS[@]:-}"; do
		[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
	done
	rm -rf "$WORK"
}
trap server_cleanup EXIT

server_start() {
	local name=$1
	shift
	DATA=$WORK/$name
	"$TENON" serve --listen 127.0.0.1:0 --data "$DATA" "$@" >"$WORK/$name.out" 2>"$WORK/$name.err" &
	SERVER_PID=$!
	SERVER_PIDS+=("$SERVER_PID")
	server_wait
}

# Waits until the server has written its address and answers.
server_wait() {
	local i
	for i in $(seq 1 600); do
		if [ -s "$DATA/run/address" ]; then
			BASE=$(cat "$DATA/run/address")
			! curl -fsS -o /dev/null "$BASE/readyz" 2>/dev/null || return 0
		fi
		kill -0 "$SERVER_PID" 2>/dev/null || { echo "the server ended: $(tail -n 5 "$WORK"/*.err)" >&2; return 1; }
		sleep 0.05
	done
	echo "the server was not ready within 30 s" >&2
	return 1
}

server_stop() {
	local rc=0
	kill -TERM "$SERVER_PID"
	wait "$SERVER_PID" || rc=$?
	return $rc
}

# STATUS is set in the calling shell, so call it as: request GET /x >out
request() {
	local method=$1 path=$2 body=${3-} header=${4-X-None: 1}
	local args=(-sS -o "$WORK/body" -w '%{http_code}' -X "$method" -H "$header")
	[ -z "$body" ] || args+=(-H 'Content-Type: application/json' --data-binary "$body")
	STATUS=$(curl "${args[@]}" "$BASE$path") || STATUS=000
	cat "$WORK/body" 2>/dev/null || true
}
