"""Links from pages to files outside docs/: on a code host they lead there, on the site to copies of them.

Markdown becomes a page, code a page that shows it, a folder a list of its files; pictures and data are copied.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PREFIX = "repository"
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".sh": "sh", ".toml": "toml", ".cff": "yaml"}
NOT_SEARCHED = "---\nsearch:\n  exclude: true\n---\n\n"
_CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(\]\(|\bsrc=\")([^)\s\"]+)")


def place_of(path: str) -> str:
    """Return where a file or folder of the repository is on the site, as mkdocs names pages and files.

    Args:
        path: Relative to the repository, with slashes.
    """
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (ROOT / path).is_dir():
        return f"{PREFIX}/{path}/index.md"
    if Path(path).suffix in LANGUAGES:
        return f"{PREFIX}/{path}.md"
    return f"{PREFIX}/{path or 'index.md'}"


def with_links(text: str, path: str) -> str:
    """Rewrite the links of a Markdown file so that they hold on the site.

    Args:
        text: What the file says.
        path: The file, relative to the repository.
    """
    folder = posixpath.dirname(place_of(path))

    def rewritten(target: str) -> str:
        inside, hash_, anchor = target.partition("#")
        if not inside or re.match(r"[a-z]+:", inside):
            return target
        return posixpath.relpath(place_of(_in_repository(inside, path)), folder or ".") + hash_ + anchor

    return _each_link(text, rewritten)


def linked_files(text: str, path: str) -> Iterator[str]:
    """Yield what a Markdown file links to in the repository, relative to it."""
    targets: list[str] = []
    _each_link(text, lambda target: targets.append(target) or target)
    for target in targets:
        inside = target.partition("#")[0]
        if inside and not re.match(r"[a-z]+:", inside):
            yield _in_repository(inside, path)


def copies() -> dict[str, str | Path]:
    """Return what pages link to outside docs/: where it is on the site → its text, or the file to copy."""
    found: dict[str, str | Path] = {}
    to_read = [(path, path.read_text(encoding="utf-8")) for path in sorted((ROOT / "docs").rglob("*.md"))]
    to_read += [
        (ROOT / name, (ROOT / name).read_text(encoding="utf-8")) for name in ("CHANGELOG.md", "CONTRIBUTING.md")
    ]
    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        found[place_of(name)] = with_links((ROOT / name).read_text(encoding="utf-8"), name)
    while to_read:
        source, text = to_read.pop()
        for path in linked_files(text, source.relative_to(ROOT).as_posix()):
            if path.startswith("docs/") or place_of(path) in found or not (ROOT / path).exists():
                continue
            found[place_of(path)] = _copy(path)
            if path.endswith(".md"):
                to_read.append((ROOT / path, (ROOT / path).read_text(encoding="utf-8")))
    return found


def _copy(path: str) -> str | Path:
    file = ROOT / path
    if file.is_dir():
        names = sorted(each.name + "/" * each.is_dir() for each in file.iterdir() if each.name[0] not in "._")
        return f"{NOT_SEARCHED}# {path}/\n\n" + "".join(f"- `{name}`\n" for name in names)
    if path.endswith(".md"):
        return with_links(file.read_text(encoding="utf-8"), path)
    if file.suffix in LANGUAGES:
        shown = file.read_text(encoding="utf-8").rstrip("\n")
        return f"{NOT_SEARCHED}# {path}\n\n~~~~{LANGUAGES[file.suffix]}\n{shown}\n~~~~\n"
    return file


def _in_repository(target: str, path: str) -> str:
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return "" if joined == "." else joined


def _each_link(text: str, change: Callable[[str], str]) -> str:
    """Change the targets of links, but for those in code."""
    parts, end = [], 0
    for span in _CODE.finditer(text):
        parts += [(text[end : span.start()], True), (span[0], False)]
        end = span.end()
    parts.append((text[end:], True))
    # A link's text may be code, which then stands between its brackets.
    return "".join(_LINK.sub(lambda link: link[1] + change(link[2]), part) if prose else part for part, prose in parts)
