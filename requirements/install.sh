#!/bin/sh
# Makes .venv hold exactly what requirements/ pins, and the project itself. `make` calls it; it asks nothing.
# Every way in which a machine can fall short is answered with one sentence; pip's own words are in a log.
set -eu
cd "$(dirname "$0")/.."

log=.venv/install.log
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0 PIP_RETRIES="${PIP_RETRIES:-2}"

fail() {
    echo "$1" >&2
    exit 1
}

new_enough() {
    # Runs the interpreter instead of looking for the file: version managers leave launchers that start nothing.
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" || fail "PYTHON=$PYTHON does not start a Python 3.11 or newer: name one that does."
        echo "$PYTHON"
        return
    fi
    for python in python3 python3.13 python3.12 python3.11 python3.14; do
        if new_enough "$python"; then
            echo "$python"
            return
        fi
    done
    fail "Python 3.11 or newer is needed and was not found: install it, or name it with 'make PYTHON=/path/to/python3'."
}

fetch_failed() {
    if grep -q 'DO NOT MATCH THE HASHES' "$log"; then
        fail "A downloaded package is not the one that requirements/ pins by its hash: details are in $log."
    fi
    if grep -qE 'Retrying|ConnectionError|ConnectTimeout|Max retries|No matching distribution' "$log"; then
        fail "The packages could not be fetched: check the network and pip's configuration (details are in $log)."
    fi
    fail "pip could not install the packages: details are in $log."
}

# --only-binary: nothing that was downloaded is run during the set-up.
# --no-compile: most modules of the larger packages are never imported; compiling them all costs more than it saves.
fetch() {
    .venv/bin/python -m pip install --no-compile --require-hashes --only-binary :all: "$@" \
        </dev/null >>"$log" 2>&1 || fetch_failed
}

if ! new_enough .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        fail "Python's venv module is missing: install it (on Debian and Ubuntu the package is python3-venv)."
    "$python" -m venv --clear .venv >/dev/null || fail "The virtual environment .venv could not be made: see above."
fi

: >"$log"
if [ "${1:-}" = lock ]; then
    fetch -r requirements/lock.txt
    exit
fi

echo "Setting up .venv (once, about a minute) ..."
fetch -r requirements/dev.txt -r requirements/build.txt
.venv/bin/python -m pip install --no-deps --no-build-isolation --no-compile -e . </dev/null >>"$log" 2>&1 ||
    fail "The project could not be installed into .venv: details are in $log."
touch .venv/.installed
