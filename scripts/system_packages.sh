#!/bin/sh
# Installs the Debian packages that the environment needs, where it may (root and apt); names them where it may not.
# The one there is today: the module `venv`, which Debian splits off from Python.
set -eu

python=${PYTHON:-python3}
"$python" -c 'import ensurepip, venv' 2>/dev/null && exit 0

package=$("$python" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}-venv")')
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package"
else
    echo "The Python module venv is missing. Install it first: sudo apt-get install $package" >&2
    exit 1
fi
