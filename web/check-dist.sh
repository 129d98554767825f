#!/bin/sh
# check-dist.sh: builds the console again, from what the lock files pin, and compares it byte by byte
# with web/dist. Exits 1 and names the files that differ.
set -eu
web=$(cd "$(dirname "$0")" && pwd)
again=$(mktemp -d)
trap 'rm -rf "$again"' EXIT
"$web/build.sh" "$again"
if ! diff -rq "$web/dist" "$again"; then
	echo "web/dist is not what web/src builds to: run web/build.sh and commit web/dist" >&2
	exit 1
fi
"$web/node.sh" "$web/tools/check-budget.mjs"
if grep -Eq '"resolved"' "$web/package-lock.json" "$web/toolchain/package-lock.json"; then
	echo "a lock file names the registry that it was made with" >&2
	exit 1
fi
echo "web/dist is what web/src builds to"
