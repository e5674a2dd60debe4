"""The versions of Ray that this package was tested with, and a notice where a newer one is installed."""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib import metadata

TESTED_RAY = ("2.54.1", "2.60.0")
"""The oldest and the newest version of Ray that the tests run with."""


class UntestedVersionWarning(UserWarning):
    """A package is newer than what this one was tested with; the message has the versions."""


def tested_versions(package: str) -> str:
    """Say with which versions of a package this one was tested, where that is known, and which is installed.

    Args:
        package: The distribution, such as ``ray``.

    Example:
        >>> tested_versions("ray").startswith("rllib_recattn was tested with ray 2.54.1 … 2.60.0, and ")
        True
    """
    try:
        installed = f"{package} {metadata.version(package)} is installed"
    except metadata.PackageNotFoundError:
        installed = f"{package} is not installed by its name"
    return (
        f"rllib_recattn was tested with ray {' … '.join(TESTED_RAY)}, and {installed}"
        if package == "ray"
        else installed
    )


@lru_cache(maxsize=1)
def warn_of_newer_ray() -> None:
    """Warn, once in a process, if the installed Ray is of a later release than those that were tested.

    A later patch of the newest tested release counts as tested. Older versions than the oldest are refused by ``pip``.
    """
    try:
        installed = metadata.version("ray")
    except metadata.PackageNotFoundError:
        return
    if _release(installed) > _release(TESTED_RAY[1]):
        warnings.warn(
            f"{tested_versions('ray')}: what this package relies on may have changed there; an error then names it",
            UntestedVersionWarning,
            stacklevel=2,
        )


def _release(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
