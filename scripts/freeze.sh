#!/usr/bin/env bash
# Freezes the swapping script as it is now under a version: bytes that never
# change again. The test of web then says which integrity to write down.
set -euo pipefail
cd "$(dirname "$0")/.."
file="web/dni/frozen/dni-$1.js"
[ ! -e "$file" ] || { echo "$file is frozen already" >&2; exit 1; }
FREEZE="$PWD/$file" go test ./web -count=1 -run '^TestFreeze$' >/dev/null
ls -l "$file"
