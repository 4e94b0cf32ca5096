#!/usr/bin/env bash
# Writes the golden files of every package that has an -update flag anew.
set -euo pipefail
cd "$(dirname "$0")/.."
for dir in $(git ls-files '*_test.go' | xargs grep -lE 'flag\.Bool\("update"' | xargs -n1 dirname | sort -u); do
	go test "./$dir" -count=1 -update
done
git --no-pager diff --stat
