"""RLlib cannot load a checkpoint of BC or MARWIL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.rllib.callbacks.callbacks import RLlibCallback

from rllib_recattn.rl_module.rllib_internals.env_runners import wrap_restore_from_path


class OfflineRestoreCallback(RLlibCallback):
    """Lets algorithms that have no EnvRunners go on from a checkpoint.

    ``Algorithm.restore_from_path`` (algorithms/algorithm.py) sends the weights to the EnvRunners for training, which
    algorithms that learn from recorded episodes have none of: ``AttributeError: 'NoneType' object has no attribute
    'sync_weights'``, for ``Algorithm.from_checkpoint`` as for every trial that Tune resumes. EnvRunners for evaluation
    get the weights before each evaluation anyway.
    """

    def on_algorithm_init(self, *, algorithm: Any, **kwargs: Any) -> None:
        """Stand in for the EnvRunners while a checkpoint is loaded."""
        if algorithm.env_runner_group is not None:
            return

        def without_env_runners(restore_from_path: Callable[..., None]) -> Callable[..., None]:
            def restore_without_env_runners(*args: Any, **kwargs: Any) -> None:
                algorithm.env_runner_group = _NoEnvRunners()
                try:
                    restore_from_path(*args, **kwargs)
                finally:
                    algorithm.env_runner_group = None

            return restore_without_env_runners

        wrap_restore_from_path(algorithm, without_env_runners)


class _NoEnvRunners:
    """What RLlib asks of a group of EnvRunners, of none."""

    def __bool__(self) -> bool:
        return False

    def sync_weights(self, **kwargs: Any) -> None:
        """There is nobody to send weights to."""

    def num_remote_env_runners(self) -> int:
        return 0

    def foreach_env_runner(self, *args: Any, **kwargs: Any) -> list[Any]:
        return []
