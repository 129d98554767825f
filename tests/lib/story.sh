# story.sh - the words of a story about the API. Source it behind server.sh.
#
#   is WHAT EXPECTED SEEN      has WHAT PART TEXT      lacks WHAT PART TEXT
#   ask METHOD PATH [BODY [TOKEN]]    sets STATUS and ANSWER; member NAME prints a text of it
#   sign_in TENANT COLLECTION IDENTITY PASSWORD
#   story_end                  the exit status: how many lines were wrong
failed=0

is() {
	if [ "$2" = "$3" ]; then
		echo "ok    $1"
	else
		echo "FAIL  $1: expected '$2', saw '$3'"
		failed=$((failed + 1))
	fi
}
has() {
	case $3 in
	*"$2"*) echo "ok    $1" ;;
	*)
		echo "FAIL  $1: '$2' is not in '$3'"
		failed=$((failed + 1))
		;;
	esac
}
lacks() {
	case $3 in
	*"$2"*)
		echo "FAIL  $1: '$2' is in '$3'"
		failed=$((failed + 1))
		;;
	*) echo "ok    $1" ;;
	esac
}
ask() {
	request "$1" "$2" "${3-}" "Authorization: ${4-}" >"$WORK/answer"
	ANSWER=$(cat "$WORK/answer")
}
member() { printf '%s' "$ANSWER" | sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p"; }
sign_in() { ask POST "/t/$1/api/collections/$2/auth-with-password" "{\"identity\":\"$3\",\"password\":\"$4\"}"; }
tenon() { "$TENON" "$@" --data "$DATA"; }
story_end() {
	[ "$failed" = 0 ] || echo "$failed lines were wrong"
	return "$((failed > 0))"
}
