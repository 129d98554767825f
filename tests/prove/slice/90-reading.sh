#!/usr/bin/env bash
# What can be counted of "ten random files read well": contracts, length, layers, one page for each module.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../lib.sh"
cd "$here/../../.."

row "functions over 80 lines without a reason" "cmake/check-functions.sh" "none, status 0" \
	"$(out=$(cmake/check-functions.sh); rc=$?; echo "${out:-none}, status $rc")"
row "headers that do not stand alone" "ninja all_verify_interface_header_sets" "status 0" \
	"$(ninja -C "$BUILD/test" all_verify_interface_header_sets >/dev/null 2>&1; echo "status $?")"
row "includes that climb, or that reach into another module or library" "cmake -P cmake/CheckIncludes.cmake" \
	"status 0" "$(cmake -P cmake/CheckIncludes.cmake >/dev/null 2>&1; echo "status $?")"

layers="base wire ring text fiber loader sandbox elf crypto json log config metrics trace loop verify store migrate \
egress expr audit tenant auth mail settings file record live plugin gate spawn pool deploy http route console api cli bin"
row "server/CMakeLists.txt lists the layers, bottom first" "sed add_subdirectory server/CMakeLists.txt" "$layers" \
	"$(sed -n 's/^add_subdirectory(\(.*\))$/\1/p' server/CMakeLists.txt | tr '\n' ' ' | sed 's/ $//')"

modules=$(sed -n 's/^add_subdirectory(\(.*\))$/\1/p' server/CMakeLists.txt | grep -v '^bin$')
lacking() { # WHAT: the modules without a file of that name
	local module list=""
	for module in $modules; do [ -s "server/$module/$1" ] || list="$list $module"; done
	echo "${list:-none}"
}
row "modules without a README" "server/MODULE/README.md" none "$(lacking README.md)"

# In a module's root stand its headers: each says what it is, for which threads, and who owns what.
silent() { # PATTERN
	local header list=""
	for header in server/*/*.h; do
		sed -n '1,45p' "$header" | grep -q "$1" || list="$list $header"
	done
	echo "${list:-none}"
}
row "headers that do not begin with what they are" "server/MODULE/*.h" none \
	"$(for h in server/*/*.h; do sed -n 2p "$h" | grep -q "^ \* ${h##*/} - " || echo "$h"; done | grep . || echo none)"
row "headers that do not say for which threads they are" "server/MODULE/*.h" none "$(silent 'Threads:')"
row "headers that do not say who owns memory" "server/MODULE/*.h" none "$(silent 'Memory:')"
row "source files over 700 lines" "wc -l server/**/*.c" none \
	"$(find server -name '*.[ch]' ! -name 'embedded*' -exec awk 'END { if (NR > 700) print FILENAME, NR }' {} \; | grep . || echo none)"
