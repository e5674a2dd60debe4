"""What mkdocs calls while it builds the site; ``mkdocs.yml`` names this file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from docs.site import repository_files
from docs.site.command_line import command_line
from docs.site.experiment_file import experiment_file
from docs.site.model_settings import model_settings
from docs.site.python_api import python_api

WRITTEN: dict[str, Callable[[], str]] = {
    "command_line": command_line,
    "experiment_file": experiment_file,
    "model_settings": model_settings,
    "python_api": python_api,
}
_MARK = re.compile(r"<!-- written here: (\w+) -->.*?<!-- end -->", re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add what pages link to outside docs/."""
    for place, content in repository_files.copies().items():
        if isinstance(content, Path):
            files.append(File.generated(config, place, abs_src_path=str(content)))
        else:
            files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put in what is written from code, and lead links outside docs/ to the copies."""
    if page.file.src_uri.startswith(repository_files.PREFIX):
        return markdown
    markdown = repository_files.with_links(markdown, f"docs/{page.file.src_uri}")
    return _MARK.sub(lambda mark: WRITTEN[mark[1]](), markdown)
