"""The policies of a checkpoint, or of an RLModule's folder, as what agents are made of."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ray.rllib.core.rl_module.rl_module import RLModule
from torch import Tensor

from rllib_recattn.agents.description import AgentDescription
from rllib_recattn.agents.network import float32
from rllib_recattn.checkpoint_files import MODULE_FILE, MODULES, RLLIB_FILE, reading
from rllib_recattn.errors import SettingsError, SettingsWarning, suggest
from rllib_recattn.experiment.checkpoints.checkpoint import find_checkpoint, is_of_old_stack, load_config
from rllib_recattn.experiment.cluster.ray_session import quiet_ray
from rllib_recattn.experiment.trained_agents.pipelines import Connectors, read_connectors
from rllib_recattn.rl_module.acting_parts import check_module, model_of, weights_of


@dataclass(frozen=True)
class TrainedPolicy:
    """What an agent is made of.

    Attributes:
        description: What it is.
        weights: Its weights, by their names in :class:`ActingNetwork`.
    """

    description: AgentDescription
    weights: dict[str, Tensor]


def read_policies(path: Path, policy: str | None = None) -> dict[str, TrainedPolicy]:
    """Read the policies of a checkpoint, which is a pickle: read none that you do not trust.

    Args:
        path: A run's directory, a checkpoint, or an RLModule's folder.
        policy: Which policy; None: all.

    Returns:
        Them by their ids.

    Raises:
        SettingsError: If `path` is none of these, of the old API stack, or holds no policy that can act without RLlib.
    """
    module = _module_folder(path)
    if module is not None:
        if policy is not None and policy != module.name:
            raise SettingsError(f"module {str(module)!r}: policy = {policy!r}: {suggest(policy, [module.name])}")
        around = _checkpoint_around(module)
        if around is None:
            return {module.name: _alone(module)}
        path, policy = around, module.name
    checkpoint = find_checkpoint(path)
    where = f"checkpoint {str(checkpoint)!r}"
    if is_of_old_stack(checkpoint):
        raise SettingsError(
            f"{where}: is of RLlib's old API stack; convert it first, rllib_recattn.convert_checkpoint(checkpoint, "
            "out), and load what that writes"
        )
    with quiet_ray():
        return _read(checkpoint, policy, where)


def _read(checkpoint: Path, policy: str | None, where: str) -> dict[str, TrainedPolicy]:
    with _reading(checkpoint):
        config = load_config(checkpoint)
        folders = {each.name: each for each in sorted((checkpoint / MODULES).iterdir()) if each.is_dir()}
    if not folders:
        raise SettingsError(f"{where}: cannot be read: there is no policy in {MODULES}")
    if policy is not None and policy not in folders:
        raise SettingsError(f"{where}: policy = {policy!r}: {suggest(policy, folders)}")
    with _reading(checkpoint):
        connectors = read_connectors(checkpoint, config, where)
        chosen = folders if policy is None else {policy: folders[policy]}
        return {name: _trained(folder, connectors, f"{where}: policy {name!r}") for name, folder in chosen.items()}


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Say of which folder it is that something cannot be read, also where its parts do not fit together."""
    with reading(folder):
        try:
            yield
        except (RuntimeError, StopIteration, AssertionError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error


def _trained(folder: Path, connectors: Connectors, where: str) -> TrainedPolicy:
    # Nobody's random numbers change by weights that are replaced at once.
    with torch.random.fork_rng(devices=[]), float32():
        module: Any = RLModule.from_checkpoint(str(folder)).unwrapped()
    check_module(module, where)
    description = AgentDescription(
        observation_space=connectors.observation_space or module.observation_space,
        seen_space=module.observation_space,
        action_space=module.action_space,
        has_filter=connectors.filter_weights is not None,
        filter_limit=connectors.filter_limit,
        normalize_actions=connectors.normalize_actions,
        clip_actions=connectors.clip_actions,
        **model_of(module, where),
    )
    return TrainedPolicy(description, {**weights_of(module), **(connectors.filter_weights or {})})


def _alone(folder: Path) -> TrainedPolicy:
    where = f"module {str(folder)!r}"
    warnings.warn(
        SettingsWarning(
            f"{where}: does not say what connectors did to observations and actions: RLlib's defaults are taken, no "
            "filter, and actions scaled to their bounds"
        ),
        stacklevel=4,
    )
    with quiet_ray(), _reading(folder):
        return _trained(folder, Connectors(normalize_actions=True, clip_actions=False), where)


def _module_folder(path: Path) -> Path | None:
    """Return the folder if it is one of a single RLModule."""
    folder = path.absolute()
    is_module = (folder / MODULE_FILE).is_file() and not any(
        (each / MODULE_FILE).is_file() for each in folder.glob("*")
    )
    return folder if is_module else None


def _checkpoint_around(module: Path) -> Path | None:
    """Return the checkpoint that an RLModule's folder lies in; None if it stands alone."""
    checkpoint = module.parents[len(MODULES.parts)] if len(module.parents) > len(MODULES.parts) else None
    if checkpoint is None or module.parent != checkpoint / MODULES or not (checkpoint / RLLIB_FILE).is_file():
        return None
    return checkpoint
