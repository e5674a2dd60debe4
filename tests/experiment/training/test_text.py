"""How the package's own command is written for the user to copy."""

from __future__ import annotations

import sys

import pytest

from rllib_recattn.experiment.training.text import command_text


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
