"""Put an experiment's callbacks into RLlib's config, beside those of this package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.utils import force_list

from rllib_recattn.experiment.algorithm.imports import check_call
from rllib_recattn.experiment.definition.imports import ImportEntry
from rllib_recattn.importing import import_class
from rllib_recattn.rl_module.fixes.fresh_seeds import FreshSeedsCallback
from rllib_recattn.rl_module.restore import MakeRestoreCallback


@dataclass(frozen=True)
class CallbackWithArguments:
    """Makes a callback as RLlib does, by a call without arguments; survives pickling.

    Attributes:
        callback: The class.
        arguments: What it is called with.
    """

    callback: type[RLlibCallback]
    arguments: dict[str, Any]

    def __call__(self) -> RLlibCallback:
        """Make the callback."""
        return self.callback(**self.arguments)


def add_callbacks(config: AlgorithmConfig, entries: Sequence[ImportEntry], where: str) -> None:
    """Import callbacks and add them to those that a config has, on either API stack.

    Args:
        config: The config to change.
        entries: The callbacks, in the order in which RLlib shall call them.
        where: File and key path of them, for error messages.

    Raises:
        SettingsError: If one of them cannot be imported, is none, or does not take its arguments.
    """
    _add(config, [_factory(entry, f"{where}.{entry.path}") for entry in entries])


def begin_with(config: AlgorithmConfig, checkpoint: Path | None) -> None:
    """Have a config of either API stack begin its training with the state of a checkpoint; None: with new weights."""
    _add(config, [] if checkpoint is None else [MakeRestoreCallback(checkpoint)])


def seed_afresh(config: AlgorithmConfig) -> None:
    """Have a config of either API stack seed what goes on from a checkpoint by what was trained until then."""
    _add(config, [FreshSeedsCallback])


def _add(config: AlgorithmConfig, added: Sequence[Callable[[], RLlibCallback]]) -> None:
    if not added:
        return
    if config.enable_env_runner_and_connector_v2:
        # RLlib's own class does nothing; it stands where nobody chose another.
        present = [each for each in force_list(config.callbacks_class) if each is not RLlibCallback]
        config.callbacks(callbacks_class=[*present, *added])
        return
    from ray.rllib.algorithms.callbacks import make_multi_callbacks

    # The old API stack takes one class.
    config.callbacks(make_multi_callbacks([config.callbacks_class, *added]))


def _factory(entry: ImportEntry, where: str) -> Callable[[], RLlibCallback]:
    callback = import_class(entry.path, RLlibCallback, "class of callbacks", where)
    check_call(callback, entry, where)
    if not entry.arguments:
        return callback
    return CallbackWithArguments(callback, entry.arguments)
