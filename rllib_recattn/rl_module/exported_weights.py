"""Training that begins with the weights of an exported agent."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.description import AgentDescription
from rllib_recattn.agents.graphs.interface import read_interface
from rllib_recattn.agents.stored import is_stored, names_code, read_agent
from rllib_recattn.agents.stored_policies import stored_policies
from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.input_settings import InputSettings
from rllib_recattn.models.base import ModelSettings
from rllib_recattn.rl_module.acting_parts import check_module, model_of, weights_by_rllibs_names
from rllib_recattn.rl_module.algorithms import algorithm_of
from rllib_recattn.rl_module.recurrence import RecurrenceSettings

WEIGHTS_KEY = "use_model: weights"
"""What names an agent's folder in messages, where :func:`~rllib_recattn.use_model` was given it."""

_SPACES = {"seen_space": "observation_space", "action_space": "action_space"}


def is_exported(folder: Path) -> bool:
    """Tell whether a folder is what ``rllib export`` wrote, be it of one policy or of several."""
    return any(is_stored(each) or read_interface(each) for each in (folder, *folder.glob("*")))


def read_exported(folder: Path, policies: Collection[str], where: str) -> dict[str, Agent]:
    """Read the agents that policies are to begin with; nothing that is in the folder is run.

    Args:
        folder: What ``rllib export`` wrote.
        policies: Their ids. A single one begins with a single agent, whatever its policy was called.
        where: What names the folder, for messages.

    Raises:
        SettingsError: If they are not there, are damaged, or cannot be trained further.
    """
    folders = {next(iter(policies)): folder} if is_stored(folder) and len(policies) == 1 else stored_policies(folder)
    if not folders:
        raise SettingsError(
            f"{where}: holds no agent that can be trained further; should be what `rllib export` wrote as safetensors"
        )
    if folders.keys() != set(policies):
        there, here = (", ".join(sorted(each)) for each in (folders, policies))
        raise SettingsError(f"{where}: the policies differ: {there} in the folder, {here} here")
    agents = {}
    for policy, each in folders.items():
        if names_code(each):
            raise SettingsError(
                f"{where}: names code of its own to be imported; should be the checkpoint that it was exported from"
            )
        agent = read_agent(each)
        if agent.description.has_filter:
            raise SettingsError(
                f"{where}: its observation_filter has statistics that training cannot begin with; should be the "
                "checkpoint that it was exported from"
            )
        agents[policy] = read_agent(each, values=agent.description.has_values)
    return agents


def agents_to_begin_with(
    weights: Any, config: AlgorithmConfig, policies: Collection[str] | None
) -> tuple[Path | None, Mapping[str, Agent]]:
    """Read the agents that ``use_model(…, weights=…)`` names.

    Args:
        weights: The folder; None: there is none.
        config: Whose policies begin with them.
        policies: The policies that the call is about; None: all.

    Returns:
        The folder's absolute path, and the agents by policies; None and none.

    Raises:
        SettingsError: As :func:`read_exported`, or if they are to be those of some policies only.
    """
    if weights is None:
        return None, {}
    where = weights_text(weights)
    _check_has_policy(config, where)
    if policies is not None:
        raise SettingsError(f"{where}: is about all policies; policies = {list(policies)!r} should be left out")
    if not isinstance(weights, str | Path) or not (folder := Path(weights).expanduser().absolute()).is_dir():
        raise SettingsError(f"{where}: there is no such folder; should be what `rllib export` wrote as safetensors")
    return folder, read_exported(folder, config.policies.keys(), where)


def weights_text(weights: Any) -> str:
    """Return the key and the value of what ``use_model`` was given, for messages."""
    return f"{WEIGHTS_KEY} = {(str(weights) if isinstance(weights, Path) else weights)!r}"


def check_same_model(
    agents: Mapping[str, Agent], model: str, settings: ModelSettings, recurrence: RecurrenceSettings, where: str
) -> None:
    """Refuse a model that differs from that of the agents with whose weights it begins.

    Raises:
        SettingsError: With all that differs.
    """
    inputs = InputSettings(**{key: getattr(recurrence, key) for key in InputSettings.model_fields})
    ours = {"model": model, "settings": settings, "inputs": inputs, "vf_share_layers": recurrence.vf_share_layers}
    lines = [line for agent in agents.values() for line in _model_differences(agent.description, ours)]
    if lines:
        raise SettingsError(f"{where}: {'; '.join(dict.fromkeys(lines))}")


def differences(agent: Agent, module: Any, where: str) -> Iterator[str]:
    """Yield in what a module differs that is to have the weights of an agent: its model, its settings and spaces."""
    check_module(module, where)
    ours, theirs = model_of(module, where), agent.description
    for field, space in _SPACES.items():
        if getattr(theirs, field) != getattr(module, space):
            yield f"the {space} is {getattr(theirs, field)} in the agent, {getattr(module, space)} here"
    yield from _model_differences(theirs, ours)
    head = theirs.head.model_dump()
    yield from _differing("head", head, ours["head"].model_dump())


def begin_with_weights(algorithm: Any, folder: Path, where: str) -> None:
    """Give the modules of an algorithm that was just built the weights of an exported agent.

    Raises:
        SettingsError: If the agent is not there, or its model, settings or spaces differ from the algorithm's.
    """
    _check_has_policy(algorithm.config, where)
    state = algorithm.learner_group.get_weights()
    agents = read_exported(folder, state.keys(), where)
    for policy, agent in agents.items():
        module = algorithm.get_module(policy) if algorithm.env_runner is not None else None
        lines = [] if module is None else list(differences(agent, module.unwrapped(), where))
        weights = weights_by_rllibs_names(state[policy], agent.network.state_dict())
        for name, tensor in weights.items() if not lines else ():
            if tuple(tensor.shape) != tuple(np.shape(state[policy][name])):
                lines.append(f"{name} has shape {list(tensor.shape)}, {list(np.shape(state[policy][name]))} here")
        if lines:
            raise SettingsError(f"{where}: {'; '.join(lines)}")
        state[policy] = {**state[policy], **{name: tensor.cpu().numpy() for name, tensor in weights.items()}}
    algorithm.learner_group.set_weights(state)
    if algorithm.env_runner_group is not None:
        algorithm.env_runner_group.sync_weights(
            from_worker_or_learner_group=algorithm.learner_group, inference_only=True
        )


def _check_has_policy(config: AlgorithmConfig, where: str) -> None:
    algorithm = algorithm_of(config, where)
    if not algorithm.has_policy:
        raise SettingsError(
            f"{where}: should be left out with {algorithm.name}, which has Q-values where exported agents have a "
            f"policy; a checkpoint of {algorithm.name} can be restored"
        )


def _model_differences(theirs: AgentDescription, ours: Mapping[str, Any]) -> Iterator[str]:
    if theirs.model != ours["model"]:
        yield f"model.name is {theirs.model!r} in the agent, {ours['model']!r} here"
        return
    yield from _differing("model", theirs.settings.model_dump(), ours["settings"].model_dump())
    yield from _differing("model", theirs.inputs.model_dump(), ours["inputs"].model_dump())
    if theirs.vf_share_layers != ours["vf_share_layers"]:
        yield f"model.vf_share_layers is {theirs.vf_share_layers} in the agent, {ours['vf_share_layers']} here"


def _differing(place: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*theirs, *ours}):
        before, now = theirs.get(key), ours.get(key)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _differing(f"{place}.{key}", before, now)
        elif before != now:
            yield f"{place}.{key} is {before!r} in the agent, {now!r} here"
