#!/usr/bin/env bash
# Checks the widgets' JavaScript as package-lock.json says: script.sh [lint|format]. The packages come by npm, once for
# each lock file. Without Node.js that is said and passed; with CI=true it is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! command -v npm >/dev/null; then
    echo "The widgets' JavaScript was not checked: there is no Node.js with npm on PATH." >&2
    [[ ${CI:-} != true ]]
    exit
fi

STAMP=node_modules/.stamp
WISH=$(cksum package.json package-lock.json)
if [[ ! -f $STAMP || $(<"$STAMP") != "$WISH" ]]; then
    echo "Installing what checks the widgets' JavaScript into node_modules (once)"
    npm ci --no-audit --no-fund --loglevel=error
    echo "$WISH" >"$STAMP"
fi
exec npm run --silent "${1:-lint}"
