"""Take pictures of the built site with Chromium: ``python -m docs.site.screenshots build/site build/screenshots``.

Light and dark, wide and narrow, and a search, for a person to look at. Needs ``pip install playwright`` and a Chromium
on the PATH; the site is served on this machine, and anything that it asks of others fails.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from playwright.sync_api import Page, sync_playwright

PAGES = (
    "index", "install", "first-agent", "own-environment", "choosing-a-model", "states", "reference/experiment-file",
    "reference/command-line", "reference/python", "reference/models", "environments", "results", "troubleshooting",
)  # fmt: skip
SIZES = {"wide": (1400, 1200), "narrow": (400, 900)}
SCHEMES = ("light", "dark")
SEARCH = "packing"


def take(site: Path, out: Path, pages: tuple[str, ...] = PAGES) -> list[Path]:
    """Write a PNG for each page, scheme and size, and one of a search.

    Args:
        site: The built site.
        out: The folder for the pictures, which is made.
        pages: Which pages, without ``.html``.
    """
    out.mkdir(parents=True, exist_ok=True)
    taken = []
    with _served(site) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in SCHEMES:
            for size, (width, height) in SIZES.items():
                context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
                page = context.new_page()
                for name in pages:
                    page.goto(f"{address}/{name}.html", wait_until="load")
                    taken.append(_shot(page, out / f"{name.replace('/', '-')}-{scheme}-{size}.png"))
                context.close()
        page = browser.new_page()
        page.goto(f"{address}/index.html", wait_until="networkidle")  # what is typed before is lost
        page.click("input.md-search__input")
        page.keyboard.type(SEARCH, delay=50)
        page.wait_for_selector(".md-search-result__item")
        page.wait_for_timeout(500)
        taken.append(_shot(page, out / "search.png"))
        browser.close()
    return taken


def _shot(page: Page, path: Path) -> Path:
    page.screenshot(path=path)
    return path


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Print nothing: a browser that has seen enough hangs up."""


@contextmanager
def _served(site: Path) -> Iterator[str]:
    """Serve a folder on this machine: from a disk browsers refuse to search."""
    with _Server(("127.0.0.1", 0), partial(_Quiet, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


if __name__ == "__main__":
    for written in take(Path(sys.argv[1]), Path(sys.argv[2]), tuple(sys.argv[3:]) or PAGES):
        print(written)
