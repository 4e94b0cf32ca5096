#!/usr/bin/env bash
# Kills the server with SIGKILL in the middle of load, starts it again, and
# checks that nothing it acknowledged is missing. The argument is the number of
# rounds; SEED repeats a run.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x ./callwheel ] || go build -o callwheel ./cmd/callwheel
go run ./scripts/kill9 -binary ./callwheel -rounds "${1:-5}" -seed "${SEED:-$RANDOM}"
