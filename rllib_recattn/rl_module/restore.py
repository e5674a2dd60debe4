"""Begin a training with the state of a checkpoint, or with the weights of an exported agent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.utils import force_list
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME

from rllib_recattn.checkpoint_files import MODULES, RLLIB_FILE
from rllib_recattn.checkpoint_pickles import CLASS_FILE, OLD_STACK_FILE, load_pickle
from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.exported_weights import WEIGHTS_KEY, begin_with_weights, is_exported
from rllib_recattn.rl_module.fixes.fresh_seeds import seed_after_weights
from rllib_recattn.rl_module.rllib_internals.learners import set_learning_rates

ConfigT = TypeVar("ConfigT", bound=AlgorithmConfig)


class RestoreCallback(RLlibCallback):
    """Loads a checkpoint into an algorithm that was just built.

    Args:
        checkpoint: The checkpoint's directory, or what ``rllib export`` wrote.
        key: The setting that named it, for messages.
    """

    def __init__(self, checkpoint: Path | None = None, key: str = "restore"):
        super().__init__()
        self.checkpoint, self._key = checkpoint, key

    def on_algorithm_init(self, *, algorithm: Any, **kwargs: Any) -> None:
        """Load the checkpoint: all of it into the same algorithm, the weights alone into another, or of an agent.

        Raises:
            SettingsError: If it is not there, or not there on the node where the algorithm runs.
        """
        if self.checkpoint is None:
            return
        if not self.checkpoint.is_dir():
            raise SettingsError(
                f"{self._key} = {str(self.checkpoint)!r}: there is no such directory; on a cluster it should be in "
                "storage that all nodes share"
            )
        if not (self.checkpoint / RLLIB_FILE).is_file() and is_exported(self.checkpoint):
            begin_with_weights(algorithm, self.checkpoint, f"{self._key} = {str(self.checkpoint)!r}")
            seed_after_weights(algorithm, 0)
        elif not algorithm.config.enable_rl_module_and_learner or is_of(self.checkpoint, algorithm):
            algorithm.load_checkpoint(str(self.checkpoint))
        else:
            algorithm.restore_from_path(str(self.checkpoint / MODULES), component=MODULES.as_posix())
            seed_after_weights(algorithm, iteration_of(self.checkpoint))
        if algorithm.config.enable_rl_module_and_learner:
            use_own_learning_rate(algorithm)
            # What this run saves stands for itself: it can be loaded where this checkpoint is not.
            chosen = algorithm.config.callbacks_class
            chosen[:] = [each for each in chosen if not isinstance(each, MakeRestoreCallback)]


@dataclass(frozen=True)
class MakeRestoreCallback:
    """Makes the callback as RLlib does, by a call without arguments.

    Attributes:
        checkpoint: The checkpoint's directory, or what ``rllib export`` wrote.
        key: The setting that named it.
    """

    checkpoint: Path
    key: str = "restore"

    def __call__(self) -> RestoreCallback:
        """Make the callback."""
        return RestoreCallback(self.checkpoint, self.key)


def begin_with_weights_alone(config: AlgorithmConfig, folder: Path | None) -> None:
    """Have training begin with the weights of an exported agent, and not with those that an earlier call named."""
    present = force_list(config.callbacks_class)
    kept = [each for each in present if not (isinstance(each, MakeRestoreCallback) and each.key == WEIGHTS_KEY)]
    if folder is not None:
        kept.append(MakeRestoreCallback(folder, WEIGHTS_KEY))
    if kept != present:
        config.callbacks(callbacks_class=kept)


def is_of(checkpoint: Path, algorithm: Any) -> bool:
    """Tell whether a checkpoint of the new API stack was saved by the same algorithm. It is a pickle, which is read."""
    saved_by = load_pickle(checkpoint / CLASS_FILE)["class"]
    # Tune trains subclasses of RLlib's algorithms; the config tells which one it is.
    return type(saved_by.get_default_config()) is type(algorithm.get_default_config())


def iteration_of(checkpoint: Path) -> int:
    """Return the iteration in which a checkpoint of either API stack was saved. It is a pickle, which is read."""
    return int(load_pickle(checkpoint / OLD_STACK_FILE)["training_iteration"])


def counts_in(checkpoint: Path) -> dict[str, float]:
    """Return what a checkpoint of either API stack has counted so far, by the names of metrics. It is a pickle.

    Training that begins with it counts on from there, if it is of the same algorithm.
    """
    state = load_pickle(checkpoint / OLD_STACK_FILE)
    counts = {"training_iteration": float(state["training_iteration"])}
    for key, stats in (state.get("metrics_logger") or {}).get("stats", {}).items():
        count = stats.get("lifetime_sum") if isinstance(stats, dict) else None
        if isinstance(count, int | float):
            name = key.replace("--", "/")
            counts[name] = counts[name.removeprefix(f"{ENV_RUNNER_RESULTS}/")] = float(count)
    return counts


def use_own_learning_rate(algorithm: Any) -> None:
    """Let the config's learning rate hold in an algorithm that was loaded from a checkpoint.

    The optimizer's state in there has the learning rate that held when it was saved, which RLlib would correct only
    after an iteration.
    """
    steps = algorithm.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), default=0)
    for result in algorithm.learner_group.foreach_learner(partial(set_learning_rates, timestep=steps)):
        result.get()  # raises what the learner raised
