#!/usr/bin/env bash
# The packages in which goroutines meet. The pure ones gain nothing from the
# race detector and cost minutes.
set -euo pipefail
go list ./... | grep -E '/(store|jobs|account|telephony|telephony/loopback|attribution|scoring|report|api|cmd/callwheel)$' | tr '\n' ' '
