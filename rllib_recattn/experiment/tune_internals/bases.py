"""What mixins of this package expect of the classes of Tune and RLlib that they stand before, for the type checker.

Ray has no types, and a mixin has no base at run time. A test sees that RLlib's algorithms have all of this.
"""

# ruff: noqa: D102 - what the methods do is told by Ray
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class AlgorithmBase:
        """``ray.rllib.algorithms.algorithm.Algorithm``, which is a ``ray.tune.Trainable``."""

        def __init__(self, config: Any = None, env: Any = None, **kwargs: Any) -> None: ...
        @classmethod
        def default_resource_request(cls, config: Any) -> Any: ...
        @property
        def iteration(self) -> int: ...
        def save(self, checkpoint_dir: str | None = None) -> Any: ...
        def save_checkpoint(self, checkpoint_dir: str) -> Any: ...
        def load_checkpoint(self, checkpoint_dir: str) -> None: ...
        def get_auto_filled_metrics(self, *args: Any, **kwargs: Any) -> dict[str, Any]: ...
        def _report_class_trainable_checkpoint(self, checkpoint_dir: str, returned: Any) -> Any: ...

    class LoggerBase:
        """``ray.tune.logger.LoggerCallback``."""

        def _restore_from_remote(self, file_name: str, trial: Any) -> None: ...

else:
    AlgorithmBase = LoggerBase = object
