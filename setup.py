"""Builds the kernels in C++ as the package is built, where there is a compiler; all else is in pyproject.toml.

A wheel holds libraries for each instruction set of a kind of processor, which need neither a version of Python nor one
of PyTorch: its tag says "any Python 3".
"""

from __future__ import annotations

import runpy
from pathlib import Path

from setuptools import Distribution, Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
KERNELS = Path("rllib_recattn", "models", "kernels")
BUILD = runpy.run_path(str(HERE / KERNELS / "build.py"))


class BuildKernels(build_ext):
    """Builds all libraries, into the package or into the wheel, and goes on without where it cannot."""

    def run(self) -> None:
        """Build, or say why not."""
        into = HERE / KERNELS if self.inplace or self.editable_mode else Path(self.build_lib) / KERNELS
        try:
            self.built = BUILD["build"](into)
        except (RuntimeError, OSError) as error:
            self.built = []
            self.warn(f"no kernels in C++, models are slower on CPUs without them: {error}")

    def get_outputs(self) -> list[str]:
        """Return the files that were built."""
        return [str(path) for path in getattr(self, "built", [])]

    def get_output_mapping(self) -> dict[str, str]:
        """Return nothing: no file is made elsewhere and then copied."""
        return {}


class WheelForAnyPython(bdist_wheel):
    """Says for which system a wheel is, and that any Python 3 will do."""

    def get_tag(self) -> tuple[str, str, str]:
        """Return the tags of Python, its binary interface, and the system."""
        return "py3", "none", super().get_tag()[2]


class WithKernels(Distribution):
    """Says that there is something to be built."""

    def has_ext_modules(self) -> bool:
        """Whether a wheel is for one kind of processor."""
        return True


setup(
    distclass=WithKernels,
    cmdclass={"build_ext": BuildKernels, "bdist_wheel": WheelForAnyPython},
    # What makes setuptools call build_ext; the libraries are not modules of Python.
    ext_modules=[Extension("rllib_recattn.models.kernels", sources=[], optional=True)],
)
