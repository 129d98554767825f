# lib.sh - what the fault tests look at beside a server's answers. Source it after tests/lib/server.sh.

# Clients that count live in the build with tests, which may be another one than the server's.
TESTS=$BUILD
[ -x "$TESTS/bin/hammer" ] || TESTS=$BUILD/test

# now_ms: milliseconds, for differences.
now_ms() { date +%s%3N; }

# children_of PID: the process ids of its children.
children_of() {
	local stat rest
	for stat in /proc/[0-9]*/stat; do
		# "pid (name) state parent ...": the name may hold anything but is followed by the last ')'.
		{ read -r rest <"$stat"; } 2>/dev/null || continue
		set -- "$1" ${rest##*) }
		[ "$3" != "$1" ] || { rest=${stat%/stat}; echo "${rest##*/}"; }
	done
}

# is_running PID: true until it has ended, whether or not somebody has asked for its status.
is_running() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	case ${stat##*) } in Z* | X*) return 1 ;; esac
}

# workers_of PID: the process ids of a server's workers.
workers_of() {
	local spawner
	for spawner in $(children_of "$1"); do children_of "$spawner"; done
}

open_files_of() { ls "/proc/$1/fd" | wc -l; }
rss_kib_of() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status"; }
