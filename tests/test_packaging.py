"""What the package says of itself in several places is the same."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import yaml

from rllib_recattn import __version__

ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_citation_is_of_this_version_and_of_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert citation["license"] in PYPROJECT
    assert citation["preferred-citation"]["url"] in PYPROJECT


def test_only_a_version_of_python_that_tests_run_with_is_claimed():
    assert set(re.findall(r"Python :: (3\.\d+)", PYPROJECT)) == {"3.11"}


def test_pages_on_security_name_options_that_there_are():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    serve = (ROOT / "rllib_recattn" / "cli" / "serve.py").read_text(encoding="utf-8")
    for option in ("--host", "--max-body", "--secret-file"):
        assert option in text
        assert option in serve


def test_an_installed_package_is_used_as_the_script_does(tmp_path):
    """The script that `make dist` ends with, with commands that only say what they are called with."""
    for name in ("rllib", "python"):
        command = tmp_path / name
        command.write_text(f'#!/bin/sh\necho "{name} $1 in $(pwd) of $HOME"\n', encoding="utf-8")
        command.chmod(command.stat().st_mode | stat.S_IEXEC)
    script = ["sh", str(ROOT / "scripts" / "use_distribution.sh"), str(tmp_path)]
    done = subprocess.run(
        script, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    said = [line for line in done.stdout.splitlines() if not line.startswith("+")]
    assert [line.split()[1] for line in said] == ["--version", "models", "-c", "train", "evaluate", "export", "-c"]
    assert all(str(ROOT) not in line and os.environ.get("HOME", sys.prefix) + " " not in f"{line} " for line in said)
