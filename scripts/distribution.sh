#!/bin/sh
# Builds a wheel and an sdist into dist/, checks them, installs the wheel into a new environment, and uses it from an empty
# folder with an empty home, as somebody has it who has no checkout. Says how large the environment is.
set -eu

python=${PYTHON:-python3}
root=$(pwd)
tools=$root/.venv-dist-tools
fresh=$root/.venv-dist

rm -rf dist "$fresh"
test -x "$tools/bin/python" || "$python" -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check 'build>=1.2' 'twine>=6'
"$tools/bin/python" -m build --outdir dist
"$tools/bin/python" -m twine check --strict dist/*

"$python" -m venv "$fresh"
"$fresh/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt dist/*.whl
echo "A core install: $(du -sm "$fresh/lib" | cut -f1) MiB, $("$fresh/bin/python" -m pip list 2>/dev/null | tail -n +3 | wc -l) packages"

sh scripts/use_distribution.sh "$fresh/bin"
