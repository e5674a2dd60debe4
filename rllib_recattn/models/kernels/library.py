"""Finds the library of kernels that :mod:`rllib_recattn.models.kernels.build` has built for this machine, if it has."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rllib_recattn.models.parts.graphs import in_graph

SOURCES = tuple(sorted(Path(__file__).parent.glob("*.[ch]*")))
BUILD = "rllib_recattn.models.kernels.build"
SWITCH = "RLLIB_RECATTN_NATIVE"  # "0": PyTorch's operations alone
FEW_ROWS = 64


def built_library() -> Path:
    """Return where the library is, or would be, for this processor, this release of PyTorch and these sources.

    A processor's instructions are part of the name, since the library uses what the compiler found, and a home
    directory may be shared by many machines.
    """
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    flags = re.search(r"^(?:flags|Features)\s*:.*$", text, re.MULTILINE)
    key = hashlib.sha256(f"{platform.machine()} {flags and flags.group()} {torch.__version__}".encode())
    for source in SOURCES:
        key.update(source.read_bytes())
    directory = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rllib_recattn"
    return directory / f"kernels_{key.hexdigest()[:16]}.so"


@cache
def kernels() -> Any:
    """Load the library and return its operators; None if it is not built, is switched off, or cannot be loaded."""
    library = built_library()
    if os.environ.get(SWITCH) == "0" or not library.exists():
        return None
    try:
        torch.ops.load_library(str(library))
    except OSError as error:
        warnings.warn(f"{library} is not used: {error}; python -m {BUILD} builds it again", stacklevel=2)
        return None
    return torch.ops.rllib_recattn


def serve(*tensors: Tensor) -> bool:
    """Whether the kernels can be used for tensors like these: on a CPU, of one dtype, and in no graph for export."""
    first = tensors[0]
    return (
        first.device.type == "cpu"
        and first.dtype in (torch.float32, torch.float64)
        and all(tensor.dtype == first.dtype for tensor in tensors)
        and not torch.is_autocast_enabled("cpu")
        and not in_graph()
        and kernels() is not None  # last, since it looks for a file, of which no graph can be made
    )


def serve_products(n_rows: int, *tensors: Tensor) -> bool:
    """Whether kernels that multiply matrices can be used, which do so on one thread, for products of `n_rows` rows.

    Where PyTorch may take several threads it is left to, but for products so small that it would take one as well.
    """
    return serve(*tensors) and (n_rows <= FEW_ROWS or torch.get_num_threads() == 1)
