# lib.sh - what a part of a prove suite is written with. Source it first.

# row LINE COMMAND EXPECTED SEEN: one line of the table. EXPECTED is a literal.
row() {
	local verdict=FAIL
	[ "$3" != "$4" ] || verdict=PASS
	printf '%s\t%s\t%s\t%s\t%s\n' "$verdict" "$1" "$2" "$3" "$4" | tr -d '\r' >>"$PROVE_ROWS"
	printf '%s  %s\n      command   %s\n      expected  %s\n      seen      %s\n' "$verdict" "$1" "$2" "$3" "$4"
}

# within LINE COMMAND EXPECTED SEEN OPERATOR LIMIT: as row, for a figure: PASS when SEEN OPERATOR LIMIT holds.
# EXPECTED says the same in words.
within() {
	local verdict=FAIL
	awk -v s="$4" -v l="$6" -v op="$5" 'BEGIN {
		if (s !~ /^-?[0-9.]+$/) exit 1
		exit !((op == ">=" && s >= l) || (op == "<=" && s <= l)) }' && verdict=PASS
	printf '%s\t%s\t%s\t%s\t%s\n' "$verdict" "$1" "$2" "$3" "$4" >>"$PROVE_ROWS"
	printf '%s  %s\n      command   %s\n      expected  %s\n      seen      %s\n' "$verdict" "$1" "$2" "$3" "$4"
}
