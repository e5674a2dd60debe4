"""One process at a time trains in a run directory."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from filelock import FileLock

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.records import run_lock
from rllib_recattn.experiment.records.run_lock import refuse_training, training_in, training_process

PROGRAM = """
import sys, time
from pathlib import Path
from rllib_recattn.experiment.records.run_lock import training_in
with training_in(Path(sys.argv[1])):
    print("holds it", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def elsewhere(tmp_path):
    """A run directory that a process on another host says that it trains in."""
    (tmp_path / ".training.json").write_text(json.dumps({"pid": 7, "host": "another-host"}))
    return tmp_path


def test_nothing_is_left_after_the_end(tmp_path):
    with training_in(tmp_path):
        assert training_process(tmp_path) == f"process {os.getpid()} on host {socket.gethostname()}"
        with pytest.raises(SettingsError, match="is still training"), training_in(tmp_path):
            pass
        assert training_process(tmp_path) is not None, "the refused one has taken the lock away"
    assert training_process(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    with training_in(tmp_path):
        pass


def test_a_process_that_is_killed_holds_it_no_longer(tmp_path):
    with subprocess.Popen([sys.executable, "-c", PROGRAM, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "holds it\n"
            with pytest.raises(SettingsError, match=f"process {process.pid} .* kill -INT {process.pid}$"):
                refuse_training(tmp_path)
        finally:
            process.send_signal(signal.SIGKILL)
    assert training_process(tmp_path) is None
    with training_in(tmp_path):
        pass


def test_processes_on_other_hosts_give_signs_of_life(elsewhere):
    assert training_process(elsewhere) == "process 7 on host another-host"
    owner = elsewhere / ".training.json"
    os.utime(owner, (owner.stat().st_atime, owner.stat().st_mtime - 61))
    assert training_process(elsewhere) is None


def test_signs_of_life_are_given(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "_SECONDS_BETWEEN_SIGNS", 0.01)
    with training_in(tmp_path):
        owner = tmp_path / ".training.json"
        os.utime(owner, (0, 0))
        for _ in range(10_000):
            if owner.stat().st_mtime > 0:
                break
        else:
            pytest.fail("no sign of life")


def test_where_there_are_no_locks_the_process_is_looked_for(tmp_path, monkeypatch):
    def acquire(self, **options):
        raise OSError("no locks available")

    monkeypatch.setattr(FileLock, "acquire", acquire)
    with training_in(tmp_path):
        assert training_process(tmp_path) is not None
        (tmp_path / ".training.json").write_text(json.dumps({"pid": 2**22 + 1, "host": socket.gethostname()}))
        assert training_process(tmp_path) is None
