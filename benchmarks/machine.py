"""What a result has to say about where it was measured."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine(*packages: str) -> dict[str, Any]:
    """Describe the processor, Python and the installed versions of `packages`."""
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def where_it_runs() -> dict[str, Any]:
    """Describe the machine for a training run: one thread each, with or without the optional kernels in C++."""
    from rllib_recattn.models.kernels.library import kernels

    described = machine("rllib-recattn", "ray", "torch", "numpy")
    return {"threads_per_run": 1, "kernels": kernels() is not None, **described}
