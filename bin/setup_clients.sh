#!/usr/bin/env bash
# Installs the real clients that tests/clients drive: bin/setup_clients.sh [DIR] [PYTHON]
#
# DIR (default .venv/clients) gets `python`, a virtual environment, and `node`, npm packages with
# opencode among them. They stay out of the project's own environment, which their dependencies
# (and the pytest plugins among those) would change. What cannot be installed is named and left
# out: its tests skip. Exit code 1 then, 0 when all is there.
set -uo pipefail
here="$(cd "$(dirname "$0")/.." && pwd)"
dir="${1:-$here/.venv/clients}"
python="${2:-python3}"
mkdir -p "$dir" && cd "$dir" || exit 2

install_python() {
    local wanted="$here/tests/clients/requirements.txt"
    if command -v uv >/dev/null; then
        uv venv --quiet --allow-existing --python "$python" python &&
            uv pip install --quiet --python python/bin/python -r "$wanted"
    else
        "$python" -m venv python &&
            python/bin/python -m pip install --quiet --disable-pip-version-check --retries 2 \
                --no-compile -r "$wanted"
    fi
}

install_node() {
    command -v npm >/dev/null || { echo "npm is not on PATH" && return 1; }
    mkdir -p node && cp "$here/tests/clients/package.json" node/ &&
        npm install --prefix node --ignore-scripts --no-audit --no-fund --no-package-lock \
            --fetch-retries 2 --fetch-retry-mintimeout 1000 --fetch-retry-maxtimeout 5000 \
            --loglevel error
}

# Both at once: one waits for the network while the other unpacks.
install_python >python.log 2>&1 &
in_background=$!
missing=
install_node >node.log 2>&1 || { rm -rf node/node_modules && missing="node"; }
wait "$in_background" || { rm -rf python && missing="$missing python"; }

for part in $missing; do
    echo "The $part clients could not be installed, so their tests will skip:" >&2
    tail -n 3 "$part.log" >&2
done
[ -z "$missing" ]
