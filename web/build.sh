#!/bin/sh
# build.sh [FOLDER]: builds the console into FOLDER, by default web/dist, the folder that is kept in the
# tree. The Node that runs it is pinned (node.sh). The same source gives the same bytes.
set -eu
web=$(cd "$(dirname "$0")" && pwd)
out=${1:-$web/dist}
case $out in /*) ;; *) out=$PWD/$out ;; esac
cd "$web"
exec ./node.sh node_modules/vite/bin/vite.js build --logLevel warn --emptyOutDir --outDir "$out"
