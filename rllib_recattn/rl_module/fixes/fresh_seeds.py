"""With a seed, RLlib begins levels and random numbers again from it, wherever something starts again."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tree
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.utils import force_list
from ray.rllib.utils.debug import update_global_seed_if_necessary
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME
from ray.tune.result import TRAINING_ITERATION

from rllib_recattn.rl_module.extension import add_callback
from rllib_recattn.rl_module.rllib_internals.env_runners import (
    reset_with,
    seed_env_of_old_stack,
    set_seed,
    wrap_set_state,
)

ConfigT = TypeVar("ConfigT", bound=AlgorithmConfig)

_ENV_STEPS = (ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME)
_LEARNER = 1_000_000  # in the place of an EnvRunner's index

# What began again: numbers that keep streams apart which begin after as many iterations and steps.
_RESTORED, _LOST, _NEW_ENVIRONMENT, _WEIGHTS = range(4)


class FreshSeedsCallback(RLlibCallback):
    """Lets nothing that starts again meet the same levels and draw the same random numbers again.

    RLlib seeds the generators of Python, NumPy and PyTorch when it makes an algorithm, an EnvRunner (env/env_runner.py)
    or a learner (core/learner/learner.py), and an environment at its first reset, always with ``config.seed`` and the
    EnvRunner's index. So an algorithm that goes on from a checkpoint trains on the levels of its first iterations
    again, in the same order; so does an EnvRunner whose process was lost, and one whose environment failed and was made
    again. With ``batch_mode="complete_episodes"``, where every sample counts as a first reset, it never sees others.

    Here they get a seed that is made of ``config.seed``, the number of the trial (in a sweep), the iteration, the
    environment steps so far and, after a restore, the weights. A first start is RLlib's own, and a restored run can be
    repeated: the same checkpoint and the same seed give the same levels. Evaluation goes on to play the same levels
    each time, as RLlib has it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._environments = 0
        self._lost = 0

    def on_algorithm_init(self, *, algorithm: Any, **kwargs: Any) -> None:
        """Hear of states that the algorithm is given, by whichever of RLlib's functions."""
        if not algorithm.config.enable_rl_module_and_learner:
            return

        def and_seed(set_state: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
            def set_state_and_seed(state: dict[str, Any]) -> None:
                set_state(state)
                if TRAINING_ITERATION in state:
                    _seed_algorithm(algorithm, _RESTORED)

            return set_state_and_seed

        wrap_set_state(algorithm, and_seed)

    def on_checkpoint_loaded(self, *, algorithm: Any, **kwargs: Any) -> None:
        """Seed an algorithm on the old API stack, which has no states to hear of."""
        if not algorithm.config.enable_rl_module_and_learner:
            _seed_algorithm(algorithm, _RESTORED)

    def on_env_runners_recreated(
        self,
        *,
        algorithm: Any,
        env_runner_group: Any,
        env_runner_indices: list[int],
        is_evaluation: bool,
        **kwargs: Any,
    ) -> None:
        """Seed EnvRunners that were lost and have been started again."""
        if not is_evaluation:
            self._lost += 1
            _seed_env_runners(algorithm, (*_now(algorithm), _LOST, self._lost), env_runner_indices)

    def on_environment_created(self, *, env_runner: Any, **kwargs: Any) -> None:
        """Choose the seed of an environment that takes the place of another."""
        self._environments += 1
        if self._environments > 1 and env_runner.config.seed is not None:
            steps = env_runner.num_env_steps_sampled_lifetime
            numbers = (env_runner.config.seed, _NEW_ENVIRONMENT, self._environments, int(steps))
            set_seed(env_runner, _mixed(*numbers, env_runner.worker_index or 0))

    def on_sample_end(self, *, env_runner: Any = None, **kwargs: Any) -> None:
        """Let environments go on with their own generators once they were seeded."""
        if env_runner is not None and not env_runner.config.in_evaluation:  # the old API stack has a `worker`
            set_seed(env_runner, None)


def seed_afresh(config: ConfigT) -> ConfigT:
    """Add the callback to a config on the new API stack; returns it."""
    return add_callback(config, FreshSeedsCallback)


def seed_after_weights(algorithm: Any, iteration: int) -> None:
    """Seed an algorithm that begins with the weights alone of another one's checkpoint, saved in that iteration."""
    if FreshSeedsCallback in force_list(algorithm.config.callbacks_class):
        _seed_algorithm(algorithm, _WEIGHTS, iteration)


def _seed_algorithm(algorithm: Any, *what: int) -> None:
    if algorithm.config.seed is None:
        return
    # In population-based training a trial may go on from several checkpoints of one iteration.
    numbers = (*_now(algorithm), *what, _weights_checksum(algorithm))
    _seed_globally(algorithm.config, _mixed(*numbers))
    _seed_env_runners(algorithm, numbers)
    if algorithm.config.enable_rl_module_and_learner:
        _of_learners(algorithm, partial(_seed_learner, seed=_mixed(*numbers, _LEARNER)))


def _now(algorithm: Any) -> tuple[int, ...]:
    steps = algorithm.metrics.peek(_ENV_STEPS, default=0)
    return algorithm.config.seed or 0, _trial_number(algorithm), algorithm.iteration, int(steps)


def _trial_number(algorithm: Any) -> int:
    """Return which trial of a sweep an algorithm is, since several can go on from one checkpoint; 0 if it is none."""
    if algorithm.trial_id is None:
        return 0
    # Tune counts in the id, or, where a search algorithm makes ids, in the name of the directory.
    names = (algorithm.trial_id, Path(algorithm.logdir or "").name)
    found = (re.search(r"_(\d{5})(?:_|$)", name) for name in names)
    return next((int(match[1]) for match in found if match), 0)


def _weights_checksum(algorithm: Any) -> int:
    if algorithm.config.enable_rl_module_and_learner:
        return int(_of_learners(algorithm, lambda learner: _checksum(learner.module.get_state()))[0])
    return _checksum(algorithm.env_runner.get_weights())


def _checksum(weights: Any) -> int:
    checksum = 0
    for each in tree.flatten(weights):
        checksum = zlib.crc32(np.ascontiguousarray(each).tobytes(), checksum)
    return checksum


def _of_learners(algorithm: Any, function: Callable[[Any], Any]) -> list[Any]:
    """Call a function with each learner; raises what it raised."""
    return [result.get() for result in algorithm.learner_group.foreach_learner(function)]


def _seed_env_runners(algorithm: Any, numbers: tuple[int, ...], indices: list[int] | None = None) -> None:
    if algorithm.config.seed is None or algorithm.env_runner_group is None:
        return
    algorithm.env_runner_group.foreach_env_runner(
        partial(_seed_env_runner, numbers=numbers), remote_worker_ids=indices, local_env_runner=indices is None
    )


def _seed_env_runner(env_runner: Any, numbers: tuple[int, ...]) -> None:
    seed = _mixed(*numbers, env_runner.worker_index or 0)
    _seed_globally(env_runner.config, seed)
    if env_runner.config.enable_env_runner_and_connector_v2:
        reset_with(env_runner, seed)
        return
    envs = env_runner.foreach_env(lambda env: env)
    for index, env in enumerate(envs):
        seed_env_of_old_stack(env, seed, 0, index)


def _seed_learner(learner: Any, seed: int) -> None:
    _seed_globally(learner.config, seed)


def _seed_globally(config: AlgorithmConfig, seed: int) -> None:
    update_global_seed_if_necessary(config.framework_str, seed)


def _mixed(*numbers: int) -> int:
    """Return a seed that numbers ≥ 0 determine, below 2³¹: an EnvRunner's environments count on from it."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0]) >> 1
