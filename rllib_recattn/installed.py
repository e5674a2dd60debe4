"""Which modules belong to installed packages, told without importing them, which would run their code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from rllib_recattn.errors import SettingsError

OWN_PACKAGE = __name__.partition(".")[0]


def require_installed(module: str, where: str) -> None:
    """Refuse a module that belongs to no installed package, whether or not it could be imported.

    A file that lies beside an experiment, or somewhere on PYTHONPATH, is one; so is Python's standard library, which
    holds nothing that an experiment should name.

    Args:
        module: ``package.module``.
        where: What named it, for the error message.

    Raises:
        SettingsError: If there is no such package, or it is not installed.
    """
    package = module.partition(".")[0]
    if package == OWN_PACKAGE:
        return
    location = _location(package)
    if location is None:
        raise SettingsError(f"{where}: there is no package {package!r}; is it installed?")
    if not any(_holds(distribution, package, location) for distribution in distributions()):
        raise SettingsError(
            f"{where}: {package!r} ({location}) belongs to no installed package, and an experiment must not run code "
            "that only lies there; put it into a package of yours and `pip install -e` that"
        )


def _location(package: str) -> Path | None:
    """Return where a top-level package lies; for built-in modules a path that no distribution has."""
    # A package that was imported already may have no spec, as __main__ has none.
    try:
        spec = find_spec(package)
    except (ValueError, ImportError):
        spec = PathFinder.find_spec(package)
    if spec is None:
        return None
    if spec.origin not in (None, "built-in", "frozen"):
        path = Path(str(spec.origin))
        return path.parent if path.name == "__init__.py" else path
    return Path(next(iter(spec.submodule_search_locations or [str(spec.origin)])))


def _holds(distribution: Distribution, package: str, location: Path) -> bool:
    return any(location.resolve().is_relative_to(root) for root in _roots(distribution, package))


def _roots(distribution: Distribution, package: str) -> Iterator[Path]:
    """Yield the directories in which a distribution keeps a top-level package: none if it is not one of its own."""
    source = _editable_source(distribution)
    top_level = distribution.read_text("top_level.txt")
    if top_level is not None:
        owns = package in top_level.split()
        if owns and source is not None:
            yield source.resolve()
    else:
        if source is not None:  # nothing says which of the packages in there are its own
            yield source.resolve()
        record = distribution.read_text("RECORD") or ""
        owns = f"\n{package}/" in f"\n{record}" or f"\n{package}." in f"\n{record}"
    if owns:
        directory = Path(str(distribution.locate_file(""))).resolve()
        yield directory / package
        yield from (path.resolve() for path in directory.glob(f"{package}.*") if path.is_file())


def _editable_source(distribution: Distribution) -> Path | None:
    """Return the directory that ``pip install -e`` was told, if a distribution was installed so."""
    text = distribution.read_text("direct_url.json")
    if text is None:
        return None
    told = json.loads(text)
    if not told.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlparse(told["url"]).path))
