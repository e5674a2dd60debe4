"""The table of faults in docs/reliability.md: README counts its rows, and the tests that it names are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def faults():
    lines = (ROOT / "docs/reliability.md").read_text(encoding="utf-8").split("| Fault |")[1].splitlines()
    rows = lines[2 : lines.index("")]
    return [row.strip("| ").split(" | ") for row in rows]


def test_readme_counts_them():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"[{len(faults())} faults of this table](docs/reliability.md)" in readme


def test_each_names_a_test():
    for fault, _, tests in faults():
        named = re.findall(r"`(…?)([\w./]*)(?:::|\[|`)", tests)
        assert named, fault
        for continued, file in named:
            assert continued or (Path(__file__).parent / file).exists(), f"{fault}: {file}"
