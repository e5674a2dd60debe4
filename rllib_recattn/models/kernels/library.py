"""Finds the library of kernels for this processor, and says when kernels serve."""

from __future__ import annotations

import ctypes
import os
import warnings
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from rllib_recattn.models.kernels.build import HERE, file_name, instruction_sets, sources, stamp
from rllib_recattn.models.kernels.operators import Operators
from rllib_recattn.models.parts.graphs import in_graph

BUILD = "rllib_recattn.models.kernels.build"
# "0": PyTorch's operations alone. An instruction set's name: that one, if the processor has it.
SWITCH = "RLLIB_RECATTN_NATIVE"
FEW_ROWS = 64


def instruction_set() -> str | None:
    """Say which instruction set the kernels in use are made for.

    Returns:
        Such as "x86-64-v4" or "neon"; None if there are no kernels: they are switched off, were not built as the
        package was installed, or this processor has too few instructions. `rllib doctor` tells which.

    Example:
        >>> import rllib_recattn as ra
        >>> ra.kernels() in ("x86-64-v4", "x86-64-v3", "x86-64-v2", "neon", "generic", None)
        True
    """
    found = _found()
    return None if found is None else found[0]


def kernels() -> Operators | None:
    """Load the best library for this processor and return its operators; None if there is none, see above."""
    found = _found()
    return None if found is None else found[1]


def loaded() -> Operators:
    """Return the operators, where :func:`serve` has said that there are some."""
    operators = kernels()
    assert operators is not None
    return operators


def supported_sets(directory: Path = HERE) -> list[str]:
    """Return the instruction sets that are built and that this processor has, the best first.

    Raises:
        OSError: If one of the libraries cannot be loaded.
    """
    built = [name for name in instruction_sets() if (directory / file_name(name)).exists()]
    if not built:
        return []
    # The last one has the fewest instructions, and knows what the processor has.
    path = directory / file_name(built[-1])
    try:
        supports = ctypes.CDLL(str(path)).supports
    except AttributeError as error:
        raise OSError(f"{path} is no library of kernels") from error
    supports.restype = ctypes.c_int64
    return [name for name in built if supports(ctypes.c_int64(_level(name)))]


def why_none() -> str | None:
    """Say in half a sentence why there are no kernels; None if there are."""
    if kernels() is not None:
        return None
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH}=0 switches them off"
    if not any((HERE / file_name(name)).exists() for name in instruction_sets()):
        return f"they were not built: python -m {BUILD} does it, with a C++ compiler"
    return "none of those that were built can be used on this processor"


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


def operators_of(name: str, directory: Path = HERE) -> Operators:
    """Load the library of an instruction set, which the processor has to have.

    Raises:
        OSError: If it cannot be loaded, or was built of other sources than those that lie here.
    """
    path = directory / file_name(name)
    library = ctypes.CDLL(str(path))
    try:
        library.made_of.restype = ctypes.c_char_p
        made_of = library.made_of().decode()
    except AttributeError as error:
        raise OSError(f"{path} is no library of kernels") from error
    if sources() and made_of != stamp():
        raise OSError(f"{path} was built of other sources")
    return Operators(library)


@cache
def _found() -> tuple[str, Operators] | None:
    wanted = os.environ.get(SWITCH, "")
    if wanted == "0":
        return None
    try:
        names = supported_sets()
        chosen = wanted if wanted in names else names[0] if names else None
        return None if chosen is None else (chosen, operators_of(chosen))
    except OSError as error:
        warnings.warn(f"the kernels are not used: {error}; python -m {BUILD} builds them again", stacklevel=3)
        return None


def _level(name: str) -> int:
    """Return 4 for x86-64-v4."""
    return int(name[-1]) if name.startswith("x86-64-v") else 0
