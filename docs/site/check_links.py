"""Check that each link of the built site leads somewhere: ``python -m docs.site.check_links build/site``.

mkdocs checks links in Markdown; this looks at what a browser gets, menus, pictures and docstrings included. Links to
other sites are counted, not followed.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element links to, and its id."""
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.links += [given[name] for name in ("href", "src") if name in given]


def broken_links(site: Path) -> tuple[list[str], int]:
    """Return the links that lead nowhere, each with its page, and how many lead to other sites."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    if not pages:
        return [f"{site}: no page"], 0
    broken, elsewhere = [], 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                elsewhere += 1
                continue
            # The page for errors is served at any address, and so its links begin with a slash.
            base = site.resolve() if parts.path.startswith("/") else path.parent
            target = (base / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            known = not anchor or target not in pages or anchor in pages[target].anchors
            if not target.is_file() or not known:
                broken.append(f"{path.relative_to(site.resolve())}: {link}")
    return sorted(set(broken)), elsewhere


def main() -> int:
    """Print what is broken; the exit code tells whether anything is."""
    site = Path(sys.argv[1])
    broken, elsewhere = broken_links(site)
    print("".join(f"leads nowhere: {link}\n" for link in broken), end="", file=sys.stderr)
    print(f"{len(list(site.rglob('*.html')))} pages, {len(broken)} broken links, {elsewhere} links to other sites")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
