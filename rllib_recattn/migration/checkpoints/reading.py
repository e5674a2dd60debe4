"""Read the agents of a checkpoint of either API stack. Checkpoints are pickles: of trusted ones only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule
from ray.rllib.core.rl_module.rl_module import RLModule
from ray.rllib.policy.sample_batch import DEFAULT_POLICY_ID

from rllib_recattn.checkpoint_files import MODULES, damage_text, reading
from rllib_recattn.checkpoint_pickles import CLASS_FILE, OLD_STACK_FILE, load_pickle
from rllib_recattn.errors import SettingsError
from rllib_recattn.migration.checkpoints.agent import Agent

_MODULE_STATE = "module_state.pkl"
_OLD_POLICY = "policy_state.pkl"


@dataclass(frozen=True)
class TrainedPolicy:
    """What a checkpoint holds of a policy.

    Attributes:
        agent: Its networks; None if they are none of this package's.
        weights: Their weights, under the names of the stack that the checkpoint is from.
    """

    agent: Agent | None
    weights: Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        path: Its directory.
        is_new_stack: Which API stack it is from.
        policies: A policy's id → what there is of it.
        config: The algorithm's config; None for the checkpoint of a lone policy or module.
    """

    path: Path
    is_new_stack: bool
    policies: Mapping[str, TrainedPolicy]
    config: AlgorithmConfig | None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of an Algorithm, or of an old-stack Policy or a new-stack RLModule by itself.

    Args:
        path: Its directory.

    Raises:
        SettingsError: If there is none, or it cannot be read.
    """
    where = f"checkpoint {str(path)!r}"
    if not path.is_dir():
        raise SettingsError(f"{where}: there is no such directory")
    problem = damage_text(path)
    if problem is not None:
        raise SettingsError(problem)
    with reading(path):
        if (path / CLASS_FILE).is_file() and (path / MODULES).is_dir():
            return Checkpoint(path, True, _modules(path / MODULES, where), _new_config(path))
        if (path / _MODULE_STATE).is_file():
            return Checkpoint(path, True, _modules(path, where), None)
        if (path / OLD_STACK_FILE).is_file() and (path / "policies").is_dir():
            policies = {each.name: _policy(each, where) for each in sorted((path / "policies").iterdir())}
            return Checkpoint(path, False, policies, _old_config(path))
        if (path / _OLD_POLICY).is_file():
            return Checkpoint(path, False, {DEFAULT_POLICY_ID: _policy(path, where)}, None)
    raise SettingsError(
        f"{where}: should be the directory of a checkpoint of an Algorithm, a Policy or an RLModule, such as "
        ".../checkpoint_000000, in RLlib's own format (no msgpack)"
    )


def _modules(directory: Path, where: str) -> dict[str, TrainedPolicy]:
    module = RLModule.from_checkpoint(str(directory.absolute()))
    modules = module.items() if isinstance(module, MultiRLModule) else [(DEFAULT_POLICY_ID, module)]
    return {
        name: TrainedPolicy(Agent.of_model_config(each.model_config, f"{where}: {name}"), each.get_state())
        for name, each in modules
    }


def _policy(directory: Path, where: str) -> TrainedPolicy:
    state = load_pickle(directory / _OLD_POLICY)
    model = state["policy_spec"]["config"]["model"]
    return TrainedPolicy(Agent.of_model_dict(model, f"{where}: model"), state["weights"])


def _new_config(path: Path) -> AlgorithmConfig:
    (state, *_), _ = load_pickle(path / CLASS_FILE)["ctor_args_and_kwargs"]
    return _config(state)


def _old_config(path: Path) -> AlgorithmConfig:
    return _config(load_pickle(path / OLD_STACK_FILE)["config"])


def _config(state: Any) -> AlgorithmConfig:
    config = state if isinstance(state, AlgorithmConfig) else AlgorithmConfig.from_state(state)
    return config.copy(copy_frozen=False)
