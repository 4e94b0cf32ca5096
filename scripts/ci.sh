#!/usr/bin/env bash
# Everything that must hold before a change lands. Called by make ci.
set -euo pipefail
cd "$(dirname "$0")/.."

# The same commit draws the same cases in its property tests.
export RAPID_SEED=20261125

step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

step "generated and formatted files are fresh"
test -z "$(gofmt -l $(git ls-files '*.go'))" || { gofmt -l $(git ls-files '*.go'); exit 1; }
go mod verify >/dev/null
go mod tidy -diff

step "build with no tags"
make --no-print-directory build

step "lint"
make --no-print-directory lint

step "tests"
make --no-print-directory test

step "tests under the race detector"
make --no-print-directory race PKGS="$(scripts/race-packages.sh)"

step "kill -9 under load, 5 rounds"
scripts/kill9.sh 5

if [ -n "${TEST_POSTGRES_URL:-}" ]; then
	step "two servers, one PostgreSQL, 10 s"
	scripts/leases.sh 10
else
	echo "left out: two servers on one PostgreSQL (TEST_POSTGRES_URL is not set)"
fi

step "done"
