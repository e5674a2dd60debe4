"""Programs of tests that start a Ray of their own: Ray serves one a process, and the tests' process has one already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OUTCOME_FILE = "outcome.json"  # Ray prints on the standard output as well

# What `python -c` takes to be the command, with workers that are forked; its arguments follow.
RLLIB_PROGRAM = f"""
import sys
sys.path.append({str(ROOT)!r})
from tests.quick_rllib import start_workers_as_forks
start_workers_as_forks()
from rllib_recattn.cli.main import main
main()
"""


def run_program(module: str, directory: Path, *arguments: object) -> Any:
    """Run a module with arguments, and return what it has written as JSON to OUTCOME_FILE in a directory."""
    # The paths of Ray's sockets have to be short.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as ray_directory:
        environment = {**os.environ, "RAY_TMPDIR": ray_directory, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", module, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads((directory / OUTCOME_FILE).read_text())
