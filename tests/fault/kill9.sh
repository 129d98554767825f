#!/usr/bin/env bash
# kill9.sh BUILD [RUNS] - kills the core in the middle of 64 writers, again and again on one data folder.
#
# The list of what was acknowledged is kept by another process (tests/tools/ledger.c). After each kill the journal
# is verified as it was left, the server starts again, each acknowledged record has to be there, and the journal is
# verified once more. Prints name=value lines.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=$1 runs=${2:-3}
. tests/lib/server.sh
. tests/fault/lib.sh
tenant=ledger
records=/t/$tenant/api/collections/notes/records

# member NAME: of the JSON on standard input.
member() { sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p"; }
# ask METHOD PATH BODY TOKEN: the body; ends the test when the status is not 200.
ask() {
	request "$1" "$2" "$3" "Authorization: $4" >"$WORK/answer"
	[ "$STATUS" = 200 ] || { echo "$1 $2: $STATUS $(cat "$WORK/answer")" >&2; exit 1; }
	cat "$WORK/answer"
}
sign_in() { # COLLECTION EMAIL
	request POST "/t/$tenant/api/collections/$1/auth-with-password" \
		"{\"identity\":\"$2\",\"password\":\"correct horse\"}" | member token
}

# The demo gives the server workers that have to go with it; the later starts find its plugins in the catalogue.
server_start kill9 --demo
for _ in $(seq 1 200); do
	grep -q '^ 1 read' "$WORK/kill9.out" && break
	sleep 0.1
done
port=${BASE##*:}
"$TENON" tenant create $tenant --data "$DATA" >/dev/null
"$TENON" superuser upsert root@ledger.test 'correct horse' --tenant $tenant --data "$DATA" >/dev/null
root=$(sign_in _superusers root@ledger.test)
ask POST /t/$tenant/api/collections '{"name":"notes","type":"base","listRule":null,"viewRule":null,
	"createRule":"@request.auth.id != \"\"","updateRule":null,"deleteRule":null,
	"fields":[{"name":"title","type":"text","required":true}],
	"indexes":["CREATE UNIQUE INDEX `idx_notes_title` ON `notes` (`title`)"]}' "$root" >/dev/null
ask POST /t/$tenant/api/collections/users/records \
	'{"email":"writer@ledger.test","password":"correct horse","passwordConfirm":"correct horse"}' "$root" >/dev/null
writer=$(sign_in users writer@ledger.test)

# titles FROM TO: all titles between the two, through the API, a page at a time in order.
titles() {
	local last=$1 end=$2 page
	while :; do
		page=$(ask GET "$records?perPage=1000&skipTotal=1&sort=title&filter=title%3E'$last'%26%26title%3C'$end'" \
			"" "$root" | grep -o '"title":"[^"]*"' | cut -d'"' -f4) || break
		printf '%s\n' "$page"
		[ "$(printf '%s\n' "$page" | wc -l)" = 1000 ] || break
		last=${page##*$'\n'}
	done
}
acknowledged() { [ ! -s "$WORK/run" ] && echo 0 || wc -l <"$WORK/run"; }

# start_again: the same folder and port. Sets ready_ms and read_ms, counted from before the exec.
start_again() {
	local began
	began=$(now_ms)
	"$TENON" serve --listen "127.0.0.1:$port" --data "$DATA" >"$WORK/kill9.out" 2>"$WORK/kill9.err" &
	SERVER_PID=$!
	SERVER_PIDS+=("$SERVER_PID")
	ready_ms="" read_ms=""
	while [ $(($(now_ms) - began)) -lt 20000 ]; do
		if [ -z "$ready_ms" ]; then
			! curl -fsS -o /dev/null "$BASE/readyz" 2>/dev/null || ready_ms=$(($(now_ms) - began))
		elif curl -fsS -o /dev/null "$BASE/t/shop/api/collections/products/records/product00000001" 2>/dev/null; then
			read_ms=$(($(now_ms) - began))
			return 0
		fi
		kill -0 "$SERVER_PID" 2>/dev/null || break
	done
	echo "the server did not come back: $(tail -n 5 "$WORK/kill9.err")" >&2
	exit 1
}

# larger A B
larger() { [ "$1" -ge "$2" ] && echo "$1" || echo "$2"; }

least=999999999 total=0 missing=0 refused=0 torn_before=0 torn_after=0 slowest_ready=0 slowest_read=0 strays=0 workers=99
: >"$WORK/ledger"
for run in $(seq 1 "$runs"); do
	: >"$WORK/run"
	"$TESTS/bin/ledger" 127.0.0.1 "$port" "$records" "$writer" 64 "$WORK/run" "k$run" >"$WORK/ledger.out" 2>&1 &
	ledger_pid=$!
	SERVER_PIDS+=("$ledger_pid")
	while [ ! -s "$WORK/run" ]; do
		kill -0 "$ledger_pid" 2>/dev/null || { cat "$WORK/ledger.out" >&2; exit 1; }
		sleep 0.005
	done
	sleep "$(printf '%d.%03d' $((RANDOM % 1951 + 50)) 0 | awk '{print $1 / 1000}')"
	while [ "$(acknowledged)" -lt 1000 ]; do sleep 0.01; done

	spawner=$(children_of "$SERVER_PID")
	family="$spawner $(workers_of "$SERVER_PID")"
	n=$(echo $family | wc -w)
	[ "$n" -ge "$workers" ] || workers=$n
	kill -9 "$SERVER_PID"
	wait "$SERVER_PID" 2>/dev/null || true
	sleep 0.9
	for pid in $family; do ! is_running "$pid" || strays=$((strays + 1)); done
	wait "$ledger_pid" || true
	n=$(sed -n 's/.*refused=\([0-9]*\).*/\1/p' "$WORK/ledger.out")
	refused=$((refused + ${n:-1}))

	"$TENON" audit verify --data "$DATA" >"$WORK/verify" 2>&1 || { torn_before=$((torn_before + 1)); cat "$WORK/verify" >&2; }
	start_again
	slowest_ready=$(larger "$ready_ms" "$slowest_ready")
	slowest_read=$(larger "$read_ms" "$slowest_read")

	n=$(acknowledged)
	total=$((total + n))
	[ "$n" -ge "$least" ] || least=$n
	sort "$WORK/run" >"$WORK/run.sorted"
	titles "k$run-" "k$run." | sort >"$WORK/found"
	n=$(comm -23 "$WORK/run.sorted" "$WORK/found" | wc -l)
	missing=$((missing + n))
	cat "$WORK/run.sorted" >>"$WORK/ledger"
	"$TENON" audit verify --data "$DATA" >"$WORK/verify" 2>&1 || { torn_after=$((torn_after + 1)); cat "$WORK/verify" >&2; }
done
# Nothing of an earlier run may have gone since.
titles k l | sort >"$WORK/found"
n=$(sort "$WORK/ledger" | comm -23 - "$WORK/found" | wc -l)
missing=$((missing + n))
server_stop

echo "runs=$runs"
echo "acknowledged_total=$total"
echo "acknowledged_least=$least"
echo "refused=$refused"
echo "missing=$missing"
echo "verify_failed_before_start=$torn_before"
echo "verify_failed_after_start=$torn_after"
echo "ready_ms_slowest=$slowest_ready"
echo "read_ms_slowest=$slowest_read"
echo "family_least=$workers"
echo "strays=$strays"
[ "$missing$refused$torn_before$torn_after$strays" = 00000 ]
