#!/usr/bin/env bash
# Runs every property test on as many cases as the argument says, drawn anew.
set -euo pipefail
cd "$(dirname "$0")/.."
unset RAPID_SEED

for dir in $(grep -rl --include='*_test.go' '"pgregory.net/rapid"' . | xargs -n 1 dirname | sort -u); do
	tests=$(awk '/^func Test/ { name = $2; sub(/\(.*/, "", name) } /rapid\.(Check|MakeCheck)|[tT]housands\(/ && name { print name; name = "" }' "$dir"/*_test.go | paste -sd '|')
	echo "== $dir"
	go test -count=1 -timeout 2h -run "^($tests)\$" "$dir" -rapid.checks "$1"
done
