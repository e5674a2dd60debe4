"""Has mkdocstrings read docstrings as they are written here: ``Example:``, and reStructuredText's roles."""

from __future__ import annotations

import re
from typing import Any

import griffe

from docs.site.markdown import plain


class Docstrings(griffe.Extension):
    """Changes each docstring as it is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Make of ``Example:`` the section that holds doctests, and of roles code."""
        if obj.docstring is not None:
            text = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = plain(text)
