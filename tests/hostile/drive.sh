#!/usr/bin/env bash
# drive.sh BUILD - commits each sin in a real server, beside a neighbour under load, and prints what was seen.
#
# HOSTILE_ROUNDS (1) times: the neighbour alone, the neighbour beside all sins, the neighbour alone.
# Prints lines of NAME<TAB>SEEN; what should be seen stands as literals in tests/prove/slice/30-hostile.sh, which
# reads them. Two tenants: "attacker" commits the sins one after another, "victim" runs a plugin without any under
# wrk -c16 all the time. For each sin SEEN is, separated by "; ":
#
#   what the client got      status and error code, or the body
#   what the journal says    N x ACTION: reason, of the one worker that sinned
#   how the request closed   N x plugin.call STATUS in the journal
#   what came after          the plugin serves again, or what serves instead
#   what is left behind      workers that no deployment owns, after at most 3 s
set -euo pipefail
BUILD=$1
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../lib/server.sh
source "$here/../lib/server.sh"
TESTS=$BUILD
[ ! -d "$BUILD/test/plugins" ] || TESTS=$BUILD/test
ROUNDS=${HOSTILE_ROUNDS:-1}
ALONE_S=5
BESIDE_S=10 # at least
PASSWORD=correct-horse-battery

see() { printf '%s\t%s\n' "$1" "$2"; }
# The attacker's own programs would run on a machine of their own: here they give way to all that is measured.
cli() { nice -n 19 "$TENON" "$@" --data "$DATA"; }
curl() { nice -n 19 curl "$@"; }
# member NAME <json: the first member of that name, a string or a number
member() { sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" | head -n 1; }

# ---- the neighbour under load ----

cat >"$WORK/report.lua" <<'LUA'
done = function(summary, latency)
	local e = summary.errors
	local out = io.open(os.getenv("REPORT"), "w")
	out:write(string.format("%d %d %d\n", latency:percentile(99), summary.requests,
		e.connect + e.read + e.write + e.status + e.timeout))
	out:close()
end
LUA

# load REPORT SECONDS: p99 in microseconds, requests, failures
load() {
	REPORT=$1 wrk -t1 -c16 -d"$2"s -s "$WORK/report.lua" "$BASE/t/victim/api/x/neighbour/well" >"$1.log" 2>&1
}

# ---- one sin ----

worker_of() { cli plugin show "$1" --tenant attacker --json | member workerPid; }

# Workers that run beside those that the deployments own; waits until there are none.
strays() {
	local spawner all owned n
	spawner=$(pgrep -P "$tenon_pid")
	for _ in $(seq 1 30); do
		all=$(pgrep -c -P "$spawner" || true)
		owned=$(cli plugin list --json | grep -o '"instances":1' | wc -l)
		n=$((all - owned))
		[ "$n" != 0 ] || break
		sleep 0.1
	done
	echo "$n strays"
}

# journal ACTION PID: "N x ACTION: reason" of the records about that worker
journal() {
	local lines denied=()
	[ "$1" != http.fetch ] || denied=(--denied)
	lines=$(cli audit query --tenant attacker --action "$1" "${denied[@]}" --limit 1000 | grep "\"pid\":$2," || true)
	echo "$(grep -c . <<<"$lines" || true) x $1: $(member reason <<<"$lines")"
}

# serves PLUGIN ROUTE: whether it answers 200 within 5 s
serves() {
	local i
	for i in $(seq 1 100); do
		STATUS=$(curl -s -o /dev/null -w '%{http_code}' "$BASE/t/attacker/api/x/$1/$2" || true)
		[ "$STATUS" != 200 ] || { echo "serves again"; return; }
		sleep 0.05
	done
	echo "answers $STATUS"
}

# closing TRACE: how the journal closes the request of that trace id
closing() {
	local lines
	lines=$(cli audit query --tenant attacker --trace "$1" --limit 100 | grep '"kind":"request"' || true)
	echo "$(grep -c . <<<"$lines" || true) x $(member action <<<"$lines") $(member status <<<"$lines")"
}

# sin NAME FILE PLUGIN ROUTE ACTION: a fresh deployment, the sin, what is seen. ACTION is what the journal says about
# the worker; "" when nothing, as it lives.
sin() {
	local name=$1 file=$2 plugin=$3 route=$4 action=$5 pid status trace got told="" after
	cli plugin deploy "$file" --tenant attacker --grant-all >/dev/null
	pid=$(worker_of "$plugin")
	status=$(curl -s -m 20 -D "$WORK/head" -o "$WORK/answer" -w '%{http_code}' \
		"$BASE/t/attacker/api/x/$plugin/$route" || true)
	trace=$(sed -n 's/^X-Request-Id: *\([0-9a-f]*\).*/\1/Ip' "$WORK/head")
	case $status in
	2*) got="$status $(cat "$WORK/answer")" ;;
	*) got="$status $(member code <"$WORK/answer")" ;;
	esac
	after=$(serves "$plugin" well)
	[ "$(worker_of "$plugin")" = "$pid" ] && after="$after, same worker" || after="$after, new worker"
	[ -z "$action" ] || told="; $(journal "$action" "$pid")"
	see "$name" "$got$told; $(closing "$trace"); $after; $(strays)"
}

# early NAME FILE: a file that sins while it is loaded. What was deployed before must go on serving.
early() {
	local name=$1 file=$2 before refusal after code=0
	cli plugin deploy "$saboteur" --tenant attacker --grant-all >/dev/null
	before=$(worker_of saboteur)
	refusal=$(cli plugin deploy "$file" --tenant attacker --grant-all 2>&1 >/dev/null) || code=$?
	local told
	told=$(cli audit query --trace "$(sed -n 's/.*trace id \([0-9a-f]\{32\}\).*/\1/p' <<<"$refusal" | head -n 1)" \
		--action plugin.deploy --denied | grep '"kind":"admin"' || true)
	after=$(serves saboteur well)
	[ "$(worker_of saboteur)" = "$before" ] && after="$after, same worker" || after="$after, new worker"
	see "$name" "exit $code $(sed -n '1s/^tenon: //p' <<<"$refusal"); $(
	)$(grep -c . <<<"$told" || true) x plugin.deploy deny: $(member reason <<<"$told"); saboteur $after; $(strays)"
}

# ---- the two tenants ----

"$TESTS/bin/canary" >"$WORK/canary" &
canary_pid=$!
SERVER_PIDS+=("$canary_pid")
for _ in $(seq 1 100); do [ -s "$WORK/canary" ] && break || sleep 0.05; done
read -r first second <"$WORK/canary"
# The port of the first hop is only known now: it stands in the manifest as five digits.
LC_ALL=C sed "s/\"port\": 54321/\"port\": $(printf %5s "$first")/" "$TESTS/plugins/hostile/redirect.so" >"$WORK/redirect.so"

server_start main --egress-allow "127.0.0.1/32:$first"
tenon_pid=$SERVER_PID
for tenant in attacker victim; do
	cli tenant create $tenant >/dev/null
	cli superuser upsert "admin@$tenant.example" "$PASSWORD" --tenant $tenant >/dev/null
done
cli plugin deploy "$TESTS/plugins/hostile/neighbour.so" --tenant victim --grant-all >/dev/null

# A token of one tenant at the other's door.
request POST /t/victim/api/collections/_superusers/auth-with-password \
	"{\"identity\":\"admin@victim.example\",\"password\":\"$PASSWORD\"}" >"$WORK/token"
token=$(member token <"$WORK/token")
request GET /t/victim/api/collections "" "Authorization: $token" >/dev/null
own=$STATUS
request GET /t/attacker/api/collections "" "Authorization: $token" >"$WORK/foreign"
see token "at home $own; at the attacker's $STATUS $(member code <"$WORK/foreign")"

# ---- alone, beside the sins, alone ----

saboteur=$BUILD/plugins/saboteur-1.0.0.so hostile=$TESTS/plugins/hostile

sins() {
	sin socket "$saboteur" saboteur socket plugin.exit
	sin execve "$saboteur" saboteur execve plugin.exit
	sin fork "$saboteur" saboteur fork ""
	sin passwd "$hostile/passwd.so" passwd sin ""
	sin loop "$saboteur" saboteur loop plugin.exit
	sin segfault "$saboteur" saboteur crash plugin.exit
	sin segment "$hostile/segment.so" segment sin ipc.violation
	sin memory "$saboteur" saboteur oom plugin.exit
	sin exit "$saboteur" saboteur exit plugin.exit
	early early-exit "$hostile/early-exit.so"
	early early-socket "$hostile/early-socket.so"
	sin int80 "$saboteur" saboteur int80 plugin.exit
	sin seccomp "$saboteur" saboteur seccomp plugin.exit
	sin redirect "$WORK/redirect.so" redirect sin http.fetch
}

# round N: appends "p99 failures requests" of the three windows to figures, what the sins showed to sins.N
round() {
	local load_pid began
	load "$WORK/before" $ALONE_S
	load "$WORK/beside" 280 &
	load_pid=$!
	SERVER_PIDS+=("$load_pid")
	began=$(date +%s)
	sleep 1
	sins >"$WORK/sins.$1"
	while [ $(($(date +%s) - began)) -lt $BESIDE_S ]; do sleep 0.2; done
	pkill -INT -P "$load_pid"
	wait "$load_pid"
	load "$WORK/after" $ALONE_S
	cat "$WORK/before" "$WORK/beside" "$WORK/after" | tr '\n' ' ' >>"$WORK/figures"
	echo >>"$WORK/figures"
}

load "$WORK/warm" 2
for n in $(seq 1 "$ROUNDS"); do round "$n"; done
# Each line once: what differs from round to round shows as two.
cat "$WORK"/sins.* | awk '!seen[$0]++'
# Not beside the load: until its 2 s are over a constructor that loops has a processor, and nothing holds it back yet.
early early-loop "$hostile/early-loop.so"
see canary "$(grep -c touched "$WORK/canary" || true) connections"

# ---- afterwards ----

kill -0 "$tenon_pid" 2>/dev/null && see server "the same process" || see server "gone"
verify=0
cli audit verify >"$WORK/verify" || verify=$?
see verify "exit $verify"
see failures "$(awk '{ n += $3 + $6 + $9 } END { print n }' "$WORK/figures")"
# The middle round's figures: p99 beside the sins by the mean of the two windows alone.
awk '{ printf "%.2f %d %d %d\n", 2 * $4 / ($1 + $7), $1, $4, $7 }' "$WORK/figures" | sort -n |
	awk '{ line[NR] = $0 } END { print line[int((NR + 1) / 2)] }' >"$WORK/middle"
read -r ratio before_us beside_us after_us <"$WORK/middle"
see p99 "$ratio"
see p99-figures "alone $before_us us, beside the sins $beside_us us, alone $after_us us; the middle one of $ROUNDS"
rc=0
server_stop || rc=$?
kill "$canary_pid"
wait "$canary_pid" 2>/dev/null || true
see stop "exit $rc, $(pgrep -c -f "$DATA" || true) processes left"
