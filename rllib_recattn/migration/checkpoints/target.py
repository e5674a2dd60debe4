"""An algorithm of either API stack that takes over weights and writes them as a checkpoint of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_LEARNER_GROUP, COMPONENT_RL_MODULE

from rllib_recattn.errors import SettingsError
from rllib_recattn.local_ray import start_local_ray
from rllib_recattn.migration.checkpoints.agent import Agent
from rllib_recattn.migration.checkpoints.configs import is_on_new_stack
from rllib_recattn.migration.checkpoints.names import is_derived, model_v2_weights, rl_module_weights, with_derived
from rllib_recattn.migration.checkpoints.reading import TrainedPolicy

_SHOWN = 5  # names of weights in an error message


@contextmanager
def target(config: AlgorithmConfig) -> Iterator[OldStackTarget | NewStackTarget]:
    """Build the algorithm of a config in this process, without EnvRunners or learners of its own.

    Args:
        config: The config, which the checkpoint will hold as it is.

    Raises:
        SettingsError: If RLlib refuses the config.
    """
    config = config.copy(copy_frozen=False)
    try:
        config.validate()
    except (ValueError, NotImplementedError) as error:
        raise SettingsError(f"convert_checkpoint: the new checkpoint's config: {error}") from error
    config.freeze()
    with _ray():
        algorithm = _alone(config).build_algo()
        try:
            # What the checkpoint says of EnvRunners and learners is the user's.
            algorithm.config = config
            yield NewStackTarget(algorithm) if is_on_new_stack(config) else OldStackTarget(algorithm)
        finally:
            algorithm.stop()


class _Target:
    """What the targets of both stacks have in common.

    Args:
        algorithm: An algorithm with fresh weights.
    """

    def __init__(self, algorithm: Algorithm):
        self.algorithm = algorithm

    def save(self, out: Path) -> None:
        """Write the checkpoint to a directory that does not exist yet; nothing stays of it if that fails."""
        out.parent.mkdir(parents=True, exist_ok=True)
        out.mkdir()
        try:
            self.algorithm.save_checkpoint(str(out))
        except BaseException:
            shutil.rmtree(out)
            raise


class OldStackTarget(_Target):
    """An algorithm on the old API stack."""

    def load(self, policy_id: str, trained: TrainedPolicy) -> None:
        """Give a policy the weights of a new-stack module.

        Raises:
            SettingsError: If it has other networks.
        """
        policy = self.algorithm.get_policy(policy_id)
        _check_known(policy_id, policy, list(self.algorithm.env_runner.policy_map))
        _check_agent(policy_id, trained, Agent.of_model_dict(policy.config["model"], f"policy {policy_id!r}"))
        weights = model_v2_weights(trained.weights)
        _check_weights(policy_id, weights, policy.get_weights())
        policy.set_weights(weights)
        if hasattr(policy, "update_target"):
            policy.update_target()


class NewStackTarget(_Target):
    """An algorithm on the new API stack."""

    def load(self, policy_id: str, trained: TrainedPolicy) -> None:
        """Give a module the weights of an old-stack policy; see :meth:`OldStackTarget.load`."""
        modules = self.algorithm.learner_group.get_state(components=f"{COMPONENT_LEARNER}/{COMPONENT_RL_MODULE}")
        states = modules[COMPONENT_LEARNER][COMPONENT_RL_MODULE]
        _check_known(policy_id, states.get(policy_id), list(states))
        model_config = self.algorithm.get_module(policy_id).model_config
        _check_agent(policy_id, trained, Agent.of_model_config(model_config, f"policy {policy_id!r}"))
        state = states[policy_id]
        weights = rl_module_weights(trained.weights)
        _check_weights(policy_id, weights, {name: each for name, each in state.items() if not is_derived(name)})
        loaded = {**state, **with_derived(weights, state)}
        self.algorithm.set_state(
            {COMPONENT_LEARNER_GROUP: {COMPONENT_LEARNER: {COMPONENT_RL_MODULE: {policy_id: loaded}}}}
        )


def _alone(config: AlgorithmConfig) -> AlgorithmConfig:
    alone = config.copy(copy_frozen=False)
    alone.env_runners(num_env_runners=0)
    if not isinstance(config, IMPALAConfig):
        # PPO checks that the fragments of all EnvRunners make a train batch.
        alone.env_runners(rollout_fragment_length="auto")
    alone.learners(num_learners=0, num_gpus_per_learner=0, num_aggregator_actors_per_learner=0)
    alone.resources(num_gpus=0)
    alone.evaluation(evaluation_interval=None, evaluation_num_env_runners=0)
    return alone


@contextmanager
def _ray() -> Iterator[None]:
    """Use the Ray instance that there is, or one for the time being; RLlib needs one even without remote workers."""
    if ray.is_initialized():
        yield
        return
    start_local_ray(log_to_driver=False, logging_level="ERROR")
    try:
        yield
    finally:
        ray.shutdown()


def _check_known(policy_id: str, found: Any, known: list[str]) -> None:
    if found is None:
        raise SettingsError(f"convert_checkpoint: config has no policy {policy_id!r}, but {', '.join(sorted(known))}")


def _check_agent(policy_id: str, trained: TrainedPolicy, agent: Agent | None) -> None:
    where = f"convert_checkpoint: policy {policy_id!r}"
    if agent is None:
        raise SettingsError(f"{where}: config gives it no model of this package")
    assert trained.agent is not None
    differences = trained.agent.differences(agent)
    if differences:
        raise SettingsError(
            f"{where}: the agents differ: in the checkpoint and in config are " + "; ".join(differences)
        )


def _check_weights(policy_id: str, weights: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Make sure that names and shapes agree; they do unless the environment's spaces differ."""
    here = {name: np.shape(value) for name, value in weights.items()}
    there = {name: np.shape(value) for name, value in expected.items()}
    wrong = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    if not wrong:
        return
    lines = [f"{name}: {_shape(here.get(name))} and {_shape(there.get(name))}" for name in wrong[:_SHOWN]]
    more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
    raise SettingsError(
        f"convert_checkpoint: policy {policy_id!r}: the weights differ, as they do if the observation or action "
        "spaces are not the same; in the checkpoint and in config are " + "; ".join([*lines, *more])
    )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else str(list(shape))
