#!/usr/bin/env bash
# Each sin has its one outcome and its one audit record, and the neighbour does not notice.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../lib.sh"
drive=$here/../../hostile/drive.sh
seen_file=$(mktemp)
trap 'rm -f "$seen_file"' EXIT
HOSTILE_ROUNDS=${HOSTILE_ROUNDS:-3} "$drive" "$BUILD" >"$seen_file" || exit 1

seen() { sed -n "s/^$1\t//p" "$seen_file"; }

# sin NAME WHAT EXPECTED
sin() { row "hostile: $2" "tests/hostile/drive.sh ($1)" "$3" "$(seen "$1")"; }

# Only root is told by the kernel which call a process was killed for.
killed_for() {
	if [ "$(id -u)" = 0 ]; then
		echo "the worker was killed for the forbidden system call $1"
	else
		echo "the worker was killed by signal 31 (Bad system call)"
	fi
}

died="serves again, new worker; 0 strays"
lived="serves again, same worker; 0 strays"

sin socket "socket(AF_INET)" \
	"502 TN1502; 1 x plugin.exit: $(killed_for 41); 1 x plugin.call 502; $died"
sin execve "execve(/bin/sh)" \
	"502 TN1502; 1 x plugin.exit: $(killed_for 59); 1 x plugin.call 502; $died"
sin fork "fork()" \
	"200 {\"tried\":\"fork\",\"result\":-1,\"errno\":\"EPERM\"}; 1 x plugin.call 200; $lived"
sin passwd "open(/etc/passwd) by six roads" \
	"200 {\"roads\":6,\"refused\":6,\"absent\":6}; 1 x plugin.call 200; $lived"
sin loop "an endless loop" \
	"504 TN1504; 1 x plugin.exit: the worker was killed: it does not answer: a call keeps the processor; 1 x plugin.call 504; $died"
sin segfault "a write to address 16" \
	"502 TN1502; 1 x plugin.exit: the worker was killed by signal 11 (Segmentation fault); 1 x plugin.call 502; $died"
sin segment "random bytes over the whole shared segment" \
	"502 TN1502; 1 x ipc.violation: a frame or an index that cannot be; 1 x plugin.call 502; $died"
sin memory "1 GiB taken and touched" \
	"502 TN1502; 1 x plugin.exit: the worker passed its memory limit of 64 MiB; 1 x plugin.call 502; $died"
sin exit "exit(0) in a call" \
	"502 TN1502; 1 x plugin.exit: the worker exited with status 0; 1 x plugin.call 502; $died"
sin early-exit "exit(0) in a constructor" \
	"exit 1 load failed: the worker exited with status 0; 1 x plugin.deploy deny: load failed: the worker exited with status 0; saboteur $lived"
sin early-socket "socket(AF_INET) in a constructor" \
	"exit 1 load failed: $(killed_for 41); 1 x plugin.deploy deny: load failed: $(killed_for 41); saboteur $lived"
sin early-loop "an endless loop in a constructor" \
	"exit 1 load failed: not ready within 2 s; 1 x plugin.deploy deny: load failed: not ready within 2 s; saboteur $lived"
sin int80 "int 0x80" \
	"502 TN1502; 1 x plugin.exit: $(killed_for 20); 1 x plugin.call 502; $died"
sin seccomp "a second seccomp filter" \
	"502 TN1502; 1 x plugin.exit: $(killed_for 317); 1 x plugin.call 502; $died"
sin redirect "an upstream that redirects to 127.0.0.1" \
	"200 {\"direct\":0,\"directStatus\":200,\"hop\":-7,\"hopStatus\":0}; 1 x http.fetch: redirect; 1 x plugin.call 200; $lived"
sin canary "where the redirect led" "0 connections"

sin token "a token of one tenant at the other's" "at home 200; at the attacker's 401 TN1407"
sin server "the server is the process that it was" "the same process"
sin verify "the journal is whole" "exit 0"
sin stop "the server ends when told to" "exit 0, 0 processes left"
sin failures "another tenant's plugin under wrk -c16 meanwhile: failures" "0"
# A figure of the machine as much as of the server: for the proof, not for a test that others' load may fail.
[ "${HOSTILE_TIMED:-yes}" = yes ] || exit 0
within "hostile: its p99 meanwhile by its p99 alone ($(seen p99-figures))" "tests/hostile/drive.sh (p99)" \
	"at most 2" "$(seen p99)" "<=" 2
