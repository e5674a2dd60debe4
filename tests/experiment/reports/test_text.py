"""How numbers, times, paths and the package's own command are written."""

from __future__ import annotations

import math
import sys

import pytest

from rllib_recattn.experiment.reports.text import (
    command_text,
    count_text,
    duration_text,
    number_text,
    path_text,
    trials_text,
)


@pytest.mark.parametrize(
    ("called_as", "on_path", "expected"),
    [
        ("/opt/venv/bin/rllib", True, "rllib"),
        ("/opt/venv/bin/rllib-recattn", True, "rllib-recattn"),
        ("/opt/venv/bin/rllib", False, "/opt/venv/bin/rllib"),
        (".venv/bin/rllib", False, ".venv/bin/rllib"),
        ("my_script.py", False, "rllib"),
    ],
)
def test_the_command_can_be_copied(monkeypatch, called_as, on_path, expected):
    monkeypatch.setattr(sys, "argv", [called_as])
    monkeypatch.setattr("shutil.which", lambda name: f"/somewhere/{name}" if on_path else None)
    assert command_text() == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(math.nan, "–"), (0.4, "0 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (11_220, "3 h 07 min")],
)
def test_durations(seconds, text):
    assert duration_text(seconds) == text


def test_numbers():
    assert [count_text(1234567.0), count_text(math.nan)] == ["1,234,567", "–"]
    assert [number_text(-1234.5678), number_text(0.5, 3), number_text(math.nan)] == ["-1,234.57", "0.500", "–"]
    assert [number_text(-0.001), number_text(-0.0, 0), number_text(-0.006)] == ["0.00", "0", "-0.01"]
    assert [trials_text(1), trials_text(1, 1), trials_text(2), trials_text(2, 6)] == [
        *("1 trial", "1 trial", "2 trials", "2 of 6 planned trials")
    ]


def test_paths_are_relative_below_the_working_directory_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert path_text(tmp_path / "a" / "b") == "a/b"
    assert path_text(tmp_path.parent / "c") == str(tmp_path.parent / "c")
