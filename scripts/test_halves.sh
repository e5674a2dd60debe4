#!/bin/sh
# Runs the tests in two processes side by side, each with a Ray of its own and its files always in the same order.
# One shows its progress, the other its output when both have ended. What a shell puts in the background ignores
# Ctrl-C, and so do its children: tests of that belong to the half that is shown.
# usage: sh scripts/test_halves.sh <pytest's -m> <directory of the hidden half> …
set -u
python=.venv/bin/python
mark=$1
shift

output=$(mktemp)
hidden=
trap 'test -z "$hidden" || kill "$hidden" 2>/dev/null; rm -f "$output"' EXIT
trap 'exit 130' INT TERM

"$python" -m pytest -m "$mark" -o cache_dir=.pytest_cache/hidden_half "$@" >"$output" 2>&1 &
hidden=$!
"$python" -m pytest -m "$mark" $(printf -- '--ignore=%s ' "$@")
shown_status=$?
echo "The other half, $*:"
wait "$hidden"
hidden_status=$?
hidden=
cat "$output"
test "$shown_status" -eq 0 || echo "The half that was shown first has failed; see above."
test "$hidden_status" -eq 0 || echo "The half of $* has failed."
test "$shown_status" -eq 0 && test "$hidden_status" -eq 0
