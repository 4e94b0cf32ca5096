#!/usr/bin/env bash
# Runs the tests, prints how many there were, and says in one line what was left
# out and why. Arguments go to go test.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
go tool gotestsum --format pkgname-and-test-fails --hide-summary=skipped -- -count=1 -timeout 20m "$@" || status=$?

left=()
if command -v node >/dev/null; then
	said=$(node --test web/dni 2>&1) && echo "✓  web/dni (node --test): $(grep -oE 'pass [0-9]+' <<<"$said")" || { echo "$said"; status=1; }
else
	left+=("the pure parts of dni.js (node is not installed)")
fi
[ -n "${TEST_POSTGRES_URL:-}" ] || left+=("PostgreSQL (TEST_POSTGRES_URL is not set)")
[ -n "${CALLWHEEL_ORACLES:-}" ] || left+=("published oracles (CALLWHEEL_ORACLES is not set)")
command -v chromium >/dev/null || left+=("the pages in a browser (chromium is not installed)")
if [ ${#left[@]} -gt 0 ]; then
	(IFS=';'; echo "left out: ${left[*]}" | sed 's/;/; /g')
fi
exit $status
