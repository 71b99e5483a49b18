# A virtual environment in .venv with epollo in it, made once and renewed when pyproject.toml changes.
# Sourced by dev/serve and dev/test with the wanted extras in $extras; leaves its commands in $bin.
set -eu
cd "$(dirname "$0")/.."
bin=.venv/bin
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "epollo needs Python 3.11 or newer; PYTHON=... names one (this is: $("$python" --version 2>&1))" >&2
    exit 2
fi
stamp=.venv/stamp-$extras
if [ ! -x "$bin/python" ] || [ ! -f "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
    echo "setting up .venv ..." >&2
    "$python" -m venv .venv || {
        echo "Python's venv module is missing (Debian: apt-get install python3-venv)" >&2
        exit 2
    }
    "$bin/python" -m pip install --quiet --disable-pip-version-check --editable ".$extras"
    touch "$stamp"
fi
