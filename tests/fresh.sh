#!/usr/bin/env bash
# fresh.sh - what a newcomer does: ./dev run on a bare machine, each command of its table, Ctrl-C, and again
#
# Meant for a machine that has nothing installed yet; runs on any other too. Works on the tree it stands in: it
# changes a line of plugins/order-rules and puts it back. Prints one line for each claim and exits 0 when all hold.
set -euo pipefail
set -m # job control: what is started here gets a process group of its own, as from a terminal
cd "$(dirname "$(readlink -f "$0")")/.."
work=$(mktemp -d)
data=${TENON_DATA:-build/demo-data}
source=plugins/order-rules/order_rules.c
cp "$source" "$work/source"
failed=0 run=

clean() {
	cmp -s "$work/source" "$source" || cp "$work/source" "$source"
	[ -z "$run" ] || { kill -TERM "$run" && wait "$run"; } 2>/dev/null || true
	rm -rf "$work"
}
trap clean EXIT

# is CLAIM EXPECTED SEEN
is() {
	if [ "$2" = "$3" ]; then
		echo "ok    $1: $3"
	else
		echo "FAIL  $1: expected '$2', saw '$3'"
		failed=$((failed + 1))
	fi
}

# start SECONDS: ./dev run, until its table ends.
start() {
	local began=$SECONDS
	: >"$work/table"
	# Who started this may have had Ctrl-C ignored, and what is ignored at the start no shell can trap.
	env --default-signal=INT ./dev run >"$work/table" 2>"$work/log" &
	run=$!
	until grep -q '^ Ctrl-C' "$work/table"; do
		if ! kill -0 "$run" 2>/dev/null || [ $((SECONDS - began)) -gt "$1" ]; then
			echo "FAIL  ./dev run prints its table within $1 s"
			cat "$work/table" "$work/log"
			exit 1
		fi
		sleep 0.05
	done
}

# stop: Ctrl-C. Sets ENDED to the exit status of ./dev run.
stop() {
	ENDED=0
	kill -INT -- "-$run" # as a terminal does: to the whole group
	wait "$run" || ENDED=$?
	run=
}

# printed NUMBER: the command of that line of the table, without its number, title and outcome.
printed() {
	sed -n "s/^ $1 \(read\|refused\|crash it\|rob it\|prove\) *//p" "$work/table" | sed 's/   *\(→\|(then\).*//'
}
# answer NUMBER: what the printed command prints.
answer() { bash -c "$(printed "$1")" 2>/dev/null || true; }
count() { grep -o "$1" | wc -l; }

start 900
base=$(sed -n 's/^Tenon [0-9.]*  \(http:[^ ]*\) .*/\1/p' "$work/table")
grep -v '#setup\|Authorization' "$work/table" | sed 's/^/      /'
is "the table names the address" http://127.0.0.1:8090 "$base"
is "the sandbox's self-test" "self-test 55/55 refused" "$(grep -o 'self-test [0-9/]* refused' "$work/table")"
is "the demo's data" "4 collections, 412 records" "$(grep -o '[0-9]* collections, [0-9]* records' "$work/table")"

answer 1 >"$work/1"
is "1 reads two records" 2 "$(count '"collectionName":"products"' <"$work/1")"
answer 2 >"$work/2"
is "2 is refused" '"status":400' "$(grep -o '"status":[0-9]*' "$work/2")"
is "2 says how many there are" "39 in stock" "$(grep -o -m 1 '[0-9]* in stock' "$work/2" | head -n 1)"
answer 3 | tr -d '\r' >"$work/3"
is "3 crashes a worker" 502 "$(sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p' "$work/3")"
is "3 has a trace id" 1 "$(grep -cE '"traceId":"[0-9a-f]{32}"' "$work/3")"
is "1 still works" same "$(answer 1 | cmp -s - "$work/1" && echo same || echo different)"
is "4 is robbed of nothing" "3 tries, 3 refused" "$(answer 4 | grep -o '[0-9]* tries, [0-9]* refused')"

# 5: requests go on while a saved line is built and deployed.
: >"$work/5"
(
	while [ ! -e "$work/enough" ]; do
		curl -sS -o "$work/5-body" -w '%{http_code}\n' "$base/t/shop/api/x/order-rules/hello" >>"$work/5" 2>&1 || true
	done
) &
loop=$!
sed -i 's/A tenon fits its mortise and holds the frame/A tenon fits its mortise, and holds the frame/' "$source"
new=0
for _ in $(seq 1 600); do
	new=$(curl -sS "$base/t/shop/api/x/order-rules/hello" | count 'mortise, and holds' || true)
	[ "$new" = 0 ] || break
	sleep 0.1
done
sleep 1
touch "$work/enough"
wait "$loop" || true
is "5 serves the line that was saved" 16 "$new"
is "5 drops requests meanwhile" 0 "$(grep -vc '^200$' "$work/5" || true)"
echo "      $(wc -l <"$work/5") requests were answered while the line was built and deployed"

is "6 verifies the journal of the running server" 0 "$(bash -c "$(printed 6)" >/dev/null 2>&1 && echo 0 || echo $?)"

curl -sS -D "$work/head" -o "$work/page" "$(sed -n 's/^ console *\(http[^ ]*\)#setup=[0-9a-f]* .*/\1/p' "$work/table")"
is "the console's link opens" 200 "$(sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p' "$work/head")"
is "the console has its policy" 1 "$(grep -ciE "^content-security-policy: *default-src 'none'" "$work/head")"

stop
is "Ctrl-C ends with status" 0 "$ENDED"

# The journal of the stopped server, with one bit changed.
cp -a "$data" "$work/data"
is "6 verifies the stopped server's journal" 0 "$(build/bin/tenon audit verify --data "$work/data" >/dev/null 2>&1 && echo 0 || echo $?)"
segment=$(ls "$work"/data/audit/lane-01-*.seg | head -n 1)
byte=$(od -An -tu1 -j 300 -N 1 "$segment" | tr -d ' ')
chmod u+w "$segment"
printf "\\$(printf %o $((byte ^ 1)))" | dd of="$segment" bs=1 seek=300 conv=notrunc status=none
is "6 sees a flipped bit" broken "$(build/bin/tenon audit verify --data "$work/data" >"$work/broken" 2>&1 && echo whole || echo broken)"

began=$(date +%s%N)
start 60
took=$((($(date +%s%N) - began) / 1000000))
echo "      the second start took $took ms"
is "a second ./dev run takes under 5 s" yes "$([ "$took" -lt 5000 ] && echo yes || echo no)"
is "the second start reads the same" same "$(answer 1 | cmp -s - "$work/1" && echo same || echo different)"
stop
is "Ctrl-C ends with status" 0 "$ENDED"
[ "$failed" = 0 ]
