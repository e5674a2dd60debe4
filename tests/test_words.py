"""Words that this project does without, in code, documentation and messages: plain English, and the field's terms."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INSTEAD = {
    r"\bfor ever\b": "forever",
    r"\banew\b": "again",
    r"\b[Dd]oes? what .{1,80} promises\b": "Implement …",
    r"takes \d[\d.]* times as long": "a ratio of speeds, as in 2.5 × as fast",
    r"\bshould be a text\b": "should be a string",
    r"\bmappings? from texts\b": "a mapping from strings",
    r"\bpartly observ": "partially observable",
}


@cache
def texts() -> dict[Path, str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    paths = [ROOT / name for name in listed] or [*ROOT.glob("rllib_recattn/**/*"), *ROOT.glob("docs/*")]
    paths = [path for path in paths if path.suffix in (".py", ".md", ".yaml") and path != Path(__file__)]
    return {path: path.read_text(encoding="utf-8") for path in paths if path.is_file() and path.name != "CHANGELOG.md"}


@pytest.mark.parametrize("pattern", INSTEAD)
def test_words_are_plain(pattern):
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path, text in texts().items()
        if re.search(pattern, text)
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert not found, f"write {INSTEAD[pattern]!r} in place of this"
