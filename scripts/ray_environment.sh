#!/bin/sh
# An environment with another version of Ray on top of the project's own, .venv-ray-VERSION beside .venv.
# It holds Ray and what that version needs otherwise than .venv has it; all else is .venv's.
set -eu

version=$1
over=.venv-ray-$version
test -f "$over/.installed" && exit 0

.venv/bin/python -m venv "$over"
packages=$("$over/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
below=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# Unlike a path in PYTHONPATH it comes after the environment's own packages, and brings the editable ones along.
echo "import site; site.addsitedir('$below')" > "$packages/below.pth"
# Only what .venv has not, or not so, is installed. That memory-gym asks for an old Gymnasium is no news.
"$over/bin/python" -m pip install --quiet --disable-pip-version-check "ray[rllib]==$version" 2>&1 | grep -v memory-gym || true
"$over/bin/python" -c "import ray; assert ray.__version__ == '$version', ray.__version__"
touch "$over/.installed"
