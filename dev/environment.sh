# A virtual environment in .venv with epollo in it, made once and renewed when pyproject.toml changes.
# Sourced by dev/serve and dev/test with the wanted extras in $extras; leaves its commands in $bin.
set -eu
cd "$(dirname "$0")/.."
bin=.venv/bin
python=${PYTHON:-python3}

# End with one line for the operator.
refuse() {
    echo "$1" >&2
    exit 2
}

# Install Debian packages; false where this is not Debian, or not root, or apt-get fails.
install_packages() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    echo "installing $* ..." >&2
    apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

# Whether $python can make virtual environments: Debian has ensurepip in a package of its own.
has_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }

# Whether .venv is whole: the making of it may have been interrupted, or its Python may be gone.
is_made() { "$bin/python" -m pip --version >/dev/null 2>&1; }

# Make what the stamp stands for.
set_up() {
    if ! is_made; then
        if [ -z "${PYTHON:-}" ] && ! command -v python3 >/dev/null 2>&1; then
            install_packages python3 python3-venv ||
                refuse "python3 is missing: as root, type apt-get install python3 python3-venv (Debian)"
        fi
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
            refuse "epollo needs Python 3.11 or newer; PYTHON=... names one (this is: $("$python" --version 2>&1))"
        package=python3-venv
        [ -z "${PYTHON:-}" ] ||
            package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        has_venv || install_packages "$package" || true
        has_venv || refuse "Python's venv module is missing: as root, type apt-get install $package (Debian)"
        echo "setting up .venv ..." >&2
        "$python" -m venv --clear .venv || refuse "cannot make .venv in $PWD"
    fi
    "$bin/python" -m pip install --quiet --disable-pip-version-check --editable ".$extras" ||
        refuse "pip could not install epollo and what it needs into .venv"
    touch "$stamp"
}

stamp=.venv/stamp-$extras
if [ ! -x "$bin/python" ] || [ ! -f "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
    set_up
fi
