#!/usr/bin/env bash
# Makes .venv with nbgraph (editable) and the extras named: environment.sh [EXTRA[,EXTRA...]]
# A stamp keeps the wish and pyproject.toml's content: a second call with the same does nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

VENV=${VENV:-.venv}
EXTRAS=${1:-}

is_new_enough() {
    command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local name
    for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if is_new_enough "$name"; then
            echo "$name"
            return
        fi
    done
    echo "No Python 3.11 or newer found on PATH; install one, or name it: PYTHON=/path/to/python3 make ..." >&2
    return 1
}

# Debian's Python comes without the part of venv that installs pip.
bring_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    else
        echo "$1 has no venv module; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2
        return 1
    fi
}

# A wish is met when an earlier one, for the same pyproject.toml, named each of the extras.
is_met() {
    [[ -x $VENV/bin/python && -f $VENV/stamp ]] || return 1
    [[ $(sed -n 1p "$VENV/stamp") == "$(cksum pyproject.toml)" ]] || return 1
    local extra
    for extra in ${EXTRAS//,/ }; do
        [[ ",$(sed -n 2p "$VENV/stamp")," == *",$extra,"* ]] || return 1
    done
}

is_met && exit 0
if [[ ! -x $VENV/bin/python ]]; then
    python=$(find_python)
    bring_venv "$python"
    "$python" -m venv "$VENV"
fi
echo "Installing nbgraph${EXTRAS:+ with $EXTRAS} into $VENV (once; one to two minutes)"
"$VENV/bin/python" -m pip install -qq --disable-pip-version-check --editable ".${EXTRAS:+[$EXTRAS]}"
printf '%s\n%s\n' "$(cksum pyproject.toml)" "$EXTRAS" >"$VENV/stamp"
