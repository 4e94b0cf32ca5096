#!/usr/bin/env bash
# Lets two servers on one PostgreSQL lend the same twenty numbers, 64 visitors at
# a time on each, and proves from the history that no number was on two live
# leases at any instant. The argument is how many seconds, 60 without; from 30
# seconds on, one of the servers is killed in the middle. TEST_POSTGRES_URL names
# the PostgreSQL; its database callwheel_leases_… is made and dropped again.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-60}"
: "${TEST_POSTGRES_URL:?names the PostgreSQL to use}"
[ -x ./callwheel ] || go build -o callwheel ./cmd/callwheel

name="callwheel_leases_$$"
work="$(mktemp -d)"
go build -o "$work" ./scripts/leases ./scripts/leasecheck
psql -q "$TEST_POSTGRES_URL" -c "CREATE DATABASE $name"
trap 'psql -q "$TEST_POSTGRES_URL" -c "DROP DATABASE IF EXISTS $name WITH (FORCE)"; rm -rf "$work"' EXIT

server="${TEST_POSTGRES_URL%%\?*}"
query="${TEST_POSTGRES_URL#"$server"}"
database="${server%/*}/$name$query"
"$work/leases" -binary ./callwheel -database "$database" -answers "$work/answers" -log "$work/log" -seconds "$seconds" $([ "$seconds" -ge 30 ] && echo -kill) || { tail -20 "$work/log"; exit 1; }
"$work/leasecheck" -database "$database" -answers "$work/answers"
