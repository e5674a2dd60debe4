"""Every model has a test that a wrong equation fails.

The contract tests cannot see one: a gate that keeps what it should write passes all of them.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from rllib_recattn.models.registry import model_names


def models_with_another_implementation() -> set[str]:
    """The models that the marker ``another_implementation`` names, on a function of any file beside this one."""
    named: set[str] = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for value in vars(importlib.import_module(f"{__package__}.{path.stem}")).values():
            marks = getattr(value, "pytestmark", ()) if callable(value) else ()
            named.update(*(mark.args for mark in marks if mark.name == "another_implementation"))
    return named


@pytest.mark.parametrize("name", model_names())
def test_a_model_is_held_against_another_implementation(name):
    assert name in models_with_another_implementation(), (
        f"No test holds {name} against the numbers of another implementation, or its equations written out: "
        f"add one, with reference vectors if there are any, and mark it @pytest.mark.another_implementation({name!r})."
    )


def test_every_marked_model_is_in_the_catalog():
    assert models_with_another_implementation() <= set(model_names())
