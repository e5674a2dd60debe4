"""The examples in docstrings run, and everything that the package offers at its top has one."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import rllib_recattn as ra

PACKAGE = Path(ra.__file__).parent
PUBLIC = sorted(set(ra.__all__) - {"__version__", "models"})  # the last is an old name
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_public_has_an_example(name):
    assert ">>>" in getattr(ra, name).__doc__


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_the_examples_of_a_module_run(module):
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted
    assert not result.failed
