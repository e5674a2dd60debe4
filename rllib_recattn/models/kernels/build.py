"""Builds the library of kernels with the system's compiler, once for each machine and release of PyTorch.

    python -m rllib_recattn.models.kernels.build

Takes about a minute, and needs a C++ compiler and ninja, which pip has.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from rllib_recattn.models.kernels.library import SOURCES, built_library

FLAGS = ["-O3", "-march=native", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]


def build() -> Path:
    """Build the library for this machine and PyTorch, and return its file."""
    from torch.utils.cpp_extension import load

    target = built_library()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as directory:
        load(
            target.stem,
            [str(path) for path in SOURCES if path.suffix == ".cpp"],
            extra_cflags=FLAGS,
            build_directory=directory,
            is_python_module=False,
        )
        # At once and whole: processes that start meanwhile see all of it or nothing.
        os.replace(Path(directory) / f"{target.stem}.so", target)
    return target


if __name__ == "__main__":
    print(build())
