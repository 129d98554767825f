#!/usr/bin/env bash
# run.sh BUILD - every sin of tests/hostile in a real server, judged: the part "hostile" of ./dev prove slice, which
# itself takes the middle of three rounds.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
HOSTILE_ROUNDS=1 HOSTILE_TIMED=no exec "$here/../prove/run.sh" slice "$(cd "$1" && pwd)" hostile
