"""The tuned examples, found by name wherever they were installed."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import click

from rllib_recattn.errors import SettingsError, suggest

_DIRECTORY = "tuned_examples"
_HINT = "# yaml-language-server: $schema="
_SCHEMA = Path("schema", "experiment.schema.json")


def example_files() -> dict[str, Path]:
    """Return the examples by name: a checkout's own, else those that were installed with the package."""
    beside = Path(__file__).parents[2] / _DIRECTORY
    paths = list(beside.glob("*.yaml")) or _installed()
    return {path.stem: path for path in sorted(paths)}


def find_example(name: str) -> Path:
    """Return the file of an example.

    Args:
        name: Its name, with or without ``.yaml``.

    Raises:
        SettingsError: If there is none of the name.
    """
    files = example_files()
    if not files:
        raise SettingsError("the tuned examples are not installed; a checkout has them in tuned_examples")
    known = name.removesuffix(".yaml")
    if known not in files:
        raise SettingsError(f"there is no example {name!r}: {suggest(known, files)}")
    return files[known]


def file_or_example(path: Path) -> Path:
    """Return the file that a command is to read: a tuned example's where there is no file, but an example of the name.

    Says so on the standard error.

    Args:
        path: What the user wrote: a file, ``NAME`` or ``tuned_examples/NAME.yaml``.

    Raises:
        SettingsError: If it is the name of neither.
    """
    is_name = str(path.parent) in (".", _DIRECTORY) and path.suffix in ("", ".yaml")
    if path.exists() and not (path.is_dir() and path.name in example_files()):
        return path
    files = example_files() if is_name else {}
    name = path.name.removesuffix(".yaml")
    if name in files:
        click.echo(f"Note: {name} is a tuned example, {files[name]}", err=True)
        return files[name]
    if files and path.suffix == "":
        raise SettingsError(f"{path}: there is no such file, and no tuned example of this name: {suggest(name, files)}")
    return path


def text_of_example(name: str) -> str:
    """Return the content of an example, its hint to editors such that it holds wherever it is put.

    Raises:
        SettingsError: If there is none of the name.
    """
    path = find_example(name)
    schema = path.resolve().parents[1] / _SCHEMA
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    hint = f"{_HINT}{schema.as_uri()}\n" if schema.is_file() else ""
    return "".join(hint if line.startswith(_HINT) else line for line in lines)


def description_of(path: Path) -> str:
    """Return the first sentence of a file's comment, behind the hint to editors."""
    comment = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith(_HINT):
            comment += f" {line.lstrip('# ')}"
    return re.split(r"(?<=[.!?])\s", comment.strip(), maxsplit=1)[0]


def _installed() -> list[Path]:
    try:
        files = distribution("rllib-recattn").files or []
    except PackageNotFoundError:
        return []
    return [Path(str(file.locate())).resolve() for file in files if file.parent.name == _DIRECTORY]
