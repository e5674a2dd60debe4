"""Where a probe was computed."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rllib_recattn.models.kernels.library import kernels

_CPU_INFO = Path("/proc/cpuinfo")


def this_machine() -> dict[str, Any]:
    """Describe the processor, and the versions that results depend on."""
    text = _CPU_INFO.read_text(encoding="utf-8") if _CPU_INFO.exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": 1,
        "kernels": kernels() is not None,
        "python": platform.python_version(),
        **{package: _version(package) for package in ("rllib-recattn", "torch", "numpy")},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # a checkout on PYTHONPATH
        return None
