"""A comparison of a user's own environment, killed as the power goes, and begun again with the same command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from rllib_recattn.comparing.page import DATA
from tests.comparing.cases import write_experiment


@pytest.mark.slow
def test_a_killed_comparison_goes_on_where_it_was(tmp_path):
    path = write_experiment(tmp_path)
    arguments = ["compare", str(path), "--models", "gla", "gru", "--seeds", "2", "--budget", "2k", "--lr-search", "off"]
    command = [sys.executable, "-m", "rllib_recattn", *arguments, "--episodes", "20", "--output", str(tmp_path / "out")]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    deadline = time.monotonic() + 500
    try:
        while not list(tmp_path.glob("out/runs/*/*.json")):
            assert first.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.glob("out/runs/*/*.json")}
    assert 1 <= len(kept) < 4

    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=900)
    assert done.returncode == 0, done.stderr
    assert f"{len(kept)} of 4 runs are there already" in done.stdout
    assert len(list(tmp_path.glob("out/runs/*/*.json"))) == 4
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    data = json.loads((tmp_path / "out" / DATA).read_text(encoding="utf-8"))
    assert {label: len(model["runs"]) for label, model in data["models"].items()} == {"gla": 2, "gru": 2}
    assert all(0 <= model["score"] <= 1 for model in data["models"].values())
