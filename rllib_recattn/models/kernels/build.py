"""Builds the libraries of kernels with the system's C++ compiler, one for each instruction set, beside this file.

    python -m rllib_recattn.models.kernels.build

Needs a C++ compiler and a minute; neither PyTorch nor Python's headers. Installing the package does this too, where
there is a compiler. It imports nothing of the package, so that ``setup.py`` can run it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
FLAGS = ["-std=c++17", "-O3", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden"]
# Loops become vectors: no call of them sets errno or traps.
FLAGS += ["-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]

# The processors of a kind by what they can, the best first: the compiler's name for it, and its flags.
_X86 = {name: [f"-march={name}"] for name in ("x86-64-v4", "x86-64-v3", "x86-64-v2")}
_ARM: dict[str, list[str]] = {"neon": []}
_SETS = {"x86_64": _X86, "amd64": _X86, "aarch64": _ARM, "arm64": _ARM}


def instruction_sets() -> dict[str, list[str]]:
    """Return the instruction sets of this kind of processor, the best first, with the compiler's flags."""
    return _SETS.get(platform.machine().lower(), {"generic": []})


def sources(directory: Path = HERE) -> list[Path]:
    """Return the files that a library is made of."""
    return sorted(directory.glob("*.[ch]*"))


def stamp(directory: Path = HERE) -> str:
    """Return what tells these sources from others; a library says which ones it was made of."""
    key = hashlib.sha256()
    for path in sources(directory):
        key.update(path.name.encode() + b"\0" + path.read_bytes())
    return key.hexdigest()[:16]


def file_name(instruction_set: str) -> str:
    """Return the name of a library."""
    return f"kernels-{instruction_set}.so"


def build(into: Path = HERE, flags: tuple[str, ...] = ()) -> list[Path]:
    """Build the libraries.

    Args:
        into: The directory that they are written to, each at once and whole.
        flags: Others for the compiler, behind the usual ones.

    Returns:
        The files.

    Raises:
        RuntimeError: If there is no compiler, or if it fails.
    """
    compiler = shlex.split(os.environ.get("CXX", "")) or [_compiler()]
    made_of = f'-DRLLIB_RECATTN_SOURCES="{stamp()}"'
    files = [str(path) for path in sources() if path.suffix == ".cpp"]
    into.mkdir(parents=True, exist_ok=True)
    built = []
    with tempfile.TemporaryDirectory(dir=into) as directory:
        running = {}
        for name, of_set in instruction_sets().items():
            partial = Path(directory) / file_name(name)
            command = [*compiler, *FLAGS, *of_set, *flags, made_of, *files, "-o", str(partial)]
            running[partial] = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        said = {partial: process.communicate()[1] for partial, process in running.items()}
        for partial, process in running.items():
            if process.returncode:
                raise RuntimeError(f"{compiler[0]} cannot build {partial.name}:\n{said[partial]}")
            os.replace(partial, into / partial.name)
            built.append(into / partial.name)
    return built


def _compiler() -> str:
    found = next((name for name in ("c++", "g++", "clang++") if shutil.which(name)), None)
    if found is None:
        raise RuntimeError("there is no C++ compiler (c++, g++ or clang++): install one, such as by apt install g++")
    return found


if __name__ == "__main__":
    try:
        print(*build(), sep="\n")
    except RuntimeError as error:
        sys.exit(f"Error: {error}")
