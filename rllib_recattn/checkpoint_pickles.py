"""The pickles in checkpoints of algorithms, read and written so that other versions of Ray can read them as well.

Ray makes an actor's class by deriving from the one that it is given, and no module holds the derived class. It is
therefore pickled by value, with every private function of Ray that it inherits, and another version of Ray lacks some.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

from rllib_recattn.ray_internals import class_of_actor

CLASS_FILE = "class_and_ctor_args.pkl"
"""Holds the class, and what it is made with, of what RLlib saves; there is one for each component of an algorithm."""

OLD_STACK_FILE = "algorithm_state.pkl"
"""Holds the state of an algorithm; on RLlib's old API stack, its class as well."""

_CLASSES = {CLASS_FILE: "class", OLD_STACK_FILE: "algorithm_class"}


def load_pickle(file: Path) -> Any:
    """Read a pickle of a checkpoint, also one that another version of Ray has written.

    It is a pickle, which can run any code: read none that you do not trust.

    Args:
        file: Its path.

    Returns:
        What was written. In the place of what this version of Ray lacks stands a function that says so.
    """
    return _AcrossVersions(io.BytesIO(file.read_bytes())).load()


def name_classes(checkpoint: Path, algorithm: type) -> None:
    """Let the files of a checkpoint name the classes in them, rather than hold them by value.

    Args:
        checkpoint: Its directory, which this process has just written.
        algorithm: The class that the algorithm is loaded as.
    """
    from ray import cloudpickle

    for file in checkpoint.rglob("*.pkl"):
        key = _CLASSES.get(file.name)
        if key is None:
            continue
        content = load_pickle(file)
        if key not in content:
            continue
        named = algorithm if file.parent == checkpoint else class_of_actor(content[key])
        if named is not content[key]:
            file.write_bytes(cloudpickle.dumps({**content, key: named}))


class _AcrossVersions(pickle.Unpickler):
    """Reads what refers to functions and classes that the installed version of Ray does not have."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except (AttributeError, ImportError):
            if module.partition(".")[0] != "ray":
                raise
            return _missing(f"{module}.{name}")


def _missing(name: str) -> Any:
    def missing(*args: Any, **kwargs: Any) -> Any:
        import ray

        raise AttributeError(f"{name} is of another version of Ray than {ray.__version__}, which is installed here")

    return missing
