#!/bin/sh
# Installs the Debian packages that the environment needs, where it may (root and apt); names them where it may not.
# The module `venv`, which Debian splits off from Python, is needed by all; OpenGL only by MiniWorld, which draws with
# it through EGL or, where that fails, on the virtual X server of xvfb; a C++ compiler only by the kernels.
set -eu

python=${PYTHON:-python3}

may_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

install() {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

has_opengl() {
    command -v Xvfb >/dev/null && "$python" -c '
from ctypes import CDLL
for library in ("libGL.so.1", "libEGL.so.1", "libGLU.so.1", "libfreetype.so.6", "libfontconfig.so.1"):
    CDLL(library)' 2>/dev/null
}

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package=$("$python" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}-venv")')
    if may_install; then
        install "$package"
    else
        echo "The Python module venv is missing. Install it first: sudo apt-get install $package" >&2
        exit 1
    fi
fi

if [ "$(uname)" = Linux ] && ! has_opengl; then
    packages="libgl1 libegl1 libglu1-mesa libfreetype6 libfontconfig1 xvfb"
    if may_install; then
        # shellcheck disable=SC2086 # several words
        install $packages
    else
        echo "MiniWorld will have nowhere to draw. To train on it: sudo apt-get install $packages" >&2
    fi
fi

if ! command -v c++ >/dev/null && ! command -v g++ >/dev/null && ! command -v clang++ >/dev/null; then
    if may_install; then
        install g++
    else
        echo "There is no C++ compiler. For models that are faster on CPUs: sudo apt-get install g++" >&2
    fi
fi
