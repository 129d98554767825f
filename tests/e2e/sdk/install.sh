#!/usr/bin/env bash
# install.sh FOLDER - puts the SDK, as the lock file pins it, into the folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
modules=$1
mkdir -p "$modules"
cmp -s "$here/package-lock.json" "$modules/installed" || {
	cp "$here/package.json" "$here/package-lock.json" "$modules/"
	npm ci --prefix "$modules" --ignore-scripts --no-audit --no-fund >"$modules/install.log" 2>&1 ||
		{ cat "$modules/install.log" >&2; exit 1; }
	cp "$here/package-lock.json" "$modules/installed"
}
