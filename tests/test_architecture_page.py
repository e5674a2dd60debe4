"""The files that docs/architecture.md and CONTRIBUTING.md name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("docs/architecture.md", "CONTRIBUTING.md")
BASES = (ROOT, ROOT / "rllib_recattn", *(ROOT / "rllib_recattn" / part for part in ("experiment", "rl_module")))


@pytest.mark.parametrize("page", PAGES)
def test_the_files_of_a_page_are_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+/[\w./]*|[\w/]+\.py)`", text)
    assert len(named) > 5
    inside = [path for base in BASES for path in base.rglob("*.py")]
    for name in named:
        beside = any(path.as_posix().endswith(f"/{name}") for path in inside)
        assert beside or any((base / name).exists() for base in BASES), name
