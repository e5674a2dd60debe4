"""An agent in a folder: settings and spaces as JSON, weights as safetensors. Nothing in there is run when it is read.

It may come from a stranger: all that it asks for is checked before it is made, against limits and against the weights
that are there. Checksums show what has changed by accident; a stranger can compute them again.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.nn.parameter import is_lazy

from rllib_recattn._version import __version__
from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.description import AgentDescription, HeadSettings
from rllib_recattn.agents.nesting import nested_like
from rllib_recattn.agents.space_data import space_from_data, space_to_data
from rllib_recattn.checkpoint_files import AGENT_FILE
from rllib_recattn.errors import Settings, SettingsError, validate
from rllib_recattn.inputs.input_settings import InputSettings
from rllib_recattn.inputs.spaces import leaves
from rllib_recattn.models.registry import recorded_settings

SETTINGS_FILE = AGENT_FILE
WEIGHTS_FILE = "weights.safetensors"
FORMAT = "rllib_recattn.agent"

_LARGEST_FILE = 1 << 26  # bytes of settings
_LARGEST_WHOLE_NUMBER = 1 << 16  # of a setting, such as a width or the length of a memory
_LARGEST_NUMBER = 1e9
_LARGEST_BUFFER = 1 << 26
_SPACES = ("observation_space", "seen_space", "action_space")


class _Stored(Settings):
    """What is in the file of settings, besides spaces, by the names of :class:`AgentDescription`."""

    format: Literal["rllib_recattn.agent"]
    version: int = Field(ge=1, description="of the format")
    written_by: str = Field(description="the version of rllib_recattn that wrote it")
    policy: str = Field(description="the policy's id")
    weights_sha256: str = Field(description="of the file of weights")
    settings_sha256: str = Field(description="of all else in here")
    model: str
    settings: dict[str, Any]
    inputs: dict[str, Any]
    head: dict[str, Any]
    has_values: bool
    vf_share_layers: bool
    has_filter: bool
    filter_limit: float | None = Field(gt=0)
    normalize_actions: bool
    clip_actions: bool
    observation_space: dict[str, Any]
    seen_space: dict[str, Any]
    action_space: dict[str, Any]


def is_stored(folder: Path) -> bool:
    """Tell whether there is an agent in a folder, be it damaged."""
    return (folder / SETTINGS_FILE).is_file()


def write_agent(description: AgentDescription, weights: Mapping[str, Tensor], folder: Path, policy: str) -> None:
    """Write an agent into a folder that is there and empty.

    Args:
        description: What it is.
        weights: Its weights.
        folder: Where to.
        policy: The policy's id.

    Raises:
        SettingsError: If its spaces cannot be stored.
        OSError: If it cannot be written.
    """
    data: dict[str, Any] = {"format": FORMAT, "version": 1, "written_by": __version__, "policy": policy}
    # Written by safetensors itself it would be for nobody else to read, and a full disk would be no OSError.
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    (folder / WEIGHTS_FILE).write_bytes(content)
    data["weights_sha256"] = hashlib.sha256(content).hexdigest()
    for key in _Stored.model_fields.keys() - data.keys() - {"settings_sha256"}:
        value = getattr(description, key)
        data[key] = space_to_data(value) if key in _SPACES else value
        if isinstance(value, Settings):
            data[key] = value.model_dump()
    data["settings_sha256"] = settings_checksum(data)
    ordered = {key: data[key] for key in _Stored.model_fields}
    text = json.dumps(ordered, indent=2, allow_nan=False, ensure_ascii=False)
    (folder / SETTINGS_FILE).write_text(text + "\n", encoding="utf-8")


def settings_checksum(data: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of what is in a file of settings, whatever its order and layout, besides that itself."""
    rest = {key: value for key, value in data.items() if key != "settings_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_agent(folder: Path, *, policy: str | None = None, trust: bool = False, **options: Any) -> Agent:
    """Read an agent that :func:`write_agent` wrote, or a stranger did.

    Args:
        folder: Where it is.
        policy: The id of the policy that it has to be; None: any.
        trust: Whether it may name models and encoders to be imported that are not of this package.
        **options: Those of :class:`Agent`.

    Raises:
        SettingsError: If it is damaged, is none, or asks for what it may not.
    """
    where = f"agent {str(folder)!r}"
    stored = _read_settings(folder / SETTINGS_FILE, where)
    if policy is not None and policy != stored.policy:
        raise SettingsError(f"{where}: policy = {policy!r}: is the policy {stored.policy!r}")
    _check_trusted(stored, trust, where)
    for key in ("settings", "inputs", "head"):
        _check_numbers(getattr(stored, key), f"{where}: {key}")
    weights = _read_weights(folder / WEIGHTS_FILE, stored.weights_sha256, where)
    try:
        with _registrations_limited(weights):
            agent = Agent(_description(stored, where), weights, **options)
        agent.act(_an_observation(agent), reward=0.0)  # what does not fit together shows here
    except SettingsError as error:
        text = str(error)
        raise SettingsError(text if text.startswith(where) else f"{where}: {text}") from error
    except Exception as error:  # whatever sizes that do not fit together raise in there
        raise SettingsError(f"{where}: cannot be built: {type(error).__name__}: {error}") from error
    agent.reset()
    return agent


def _an_observation(agent: Agent) -> Any:
    """Return an observation near 0, for what is drawn may be too large for float32, that allows all actions."""
    space, mask = agent.observation_space, agent.network.mask
    values = {
        path: np.clip(np.zeros(leaf.shape), leaf.low, leaf.high).astype(leaf.dtype)
        if isinstance(leaf, gym.spaces.Box)
        else leaf.sample()
        for path, leaf in leaves(space)
    }
    if mask is not None:
        values[mask.key,] = np.ones_like(values[mask.key,])
    return nested_like(space, values)


def _read_settings(file: Path, where: str) -> _Stored:
    try:
        if not file.is_file() or file.stat().st_size > _LARGEST_FILE:
            raise SettingsError(f"{where}: {file.name} is missing, or larger than {_LARGEST_FILE} bytes")
        data = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError) as error:  # a SettingsError is a ValueError
        if isinstance(error, SettingsError):
            raise
        raise SettingsError(f"{where}: {file.name} cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(data, dict):
        raise SettingsError(f"{where}: {file.name} should hold a mapping, not a {type(data).__name__}")
    version = data.get("version")
    if data.get("format") == FORMAT and type(version) is int and version > 1:
        raise SettingsError(
            f"{where}: version = {version}: was written by a later version of rllib_recattn, "
            f"{data.get('written_by')!r}; this is {__version__}"
        )
    stored = validate(_Stored, data, f"{where}: {file.name}")
    if settings_checksum(data) != stored.settings_sha256:
        raise SettingsError(f"{where}: {file.name}: has changed since it was written: settings_sha256 is another one")
    return stored


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def names_code(folder: Path) -> bool:
    """Tell whether an agent names a model or an encoder to be imported, and is read with ``trust=True`` only."""
    return bool(_named_code(_read_settings(folder / SETTINGS_FILE, f"agent {str(folder)!r}")))


def _named_code(stored: _Stored) -> list[str]:
    return [text for text in _strings([stored.model, stored.settings, stored.inputs]) if ":" in text]


def _check_trusted(stored: _Stored, trust: bool, where: str) -> None:
    """Refuse what is to be imported, ``module:name``, wherever a model or an encoder may be named."""
    named = _named_code(stored)
    if named and not trust:
        raise SettingsError(
            f"{where}: names code to be imported, {named[0]!r}; if you trust it, load_agent(…, trust=True)"
        )


def _strings(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _strings(key)
            yield from _strings(value)
    elif isinstance(data, list):
        for each in data:
            yield from _strings(each)


def _check_numbers(data: Any, where: str) -> None:
    largest = _LARGEST_WHOLE_NUMBER if isinstance(data, int) else _LARGEST_NUMBER
    if isinstance(data, int | float) and abs(data) > largest:
        raise SettingsError(f"{where}: {data!r}: should be {largest:,} at most")
    for each in data.values() if isinstance(data, Mapping) else data if isinstance(data, list) else ():
        _check_numbers(each, where)


def _read_weights(file: Path, checksum: str, where: str) -> dict[str, Tensor]:
    try:
        if not file.is_file():
            raise SettingsError(f"{where}: {file.name} is missing")
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() != checksum:
            raise SettingsError(f"{where}: {file.name}: has changed since it was written: its SHA-256 is another one")
        weights: dict[str, Tensor] = load(content)
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        if isinstance(error, SettingsError):
            raise
        raise SettingsError(f"{where}: {file.name} cannot be read: {type(error).__name__}: {error}") from error
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor.double()).all():
            raise SettingsError(f"{where}: {file.name}: {name!r} should hold finite numbers")
    return weights


def _description(stored: _Stored, where: str) -> AgentDescription:
    spaces = {key: space_from_data(getattr(stored, key), f"{where}: {key}") for key in _SPACES}
    head = validate(HeadSettings, stored.head, f"{where}: head")
    if (head.free_log_std or head.log_std_limit is not None) and not isinstance(spaces["action_space"], gym.spaces.Box):
        raise SettingsError(f"{where}: head: has log standard deviations, which only actions of a Box have")
    seen, given = (dict(leaves(spaces[key])) for key in ("seen_space", "observation_space"))
    if {path: _kind(leaf) for path, leaf in seen.items()} != {path: _kind(leaf) for path, leaf in given.items()}:
        raise SettingsError(f"{where}: seen_space: should differ from observation_space in bounds only")
    return AgentDescription(
        observation_space=spaces["observation_space"],
        seen_space=spaces["seen_space"],
        action_space=spaces["action_space"],
        model=stored.model,
        settings=recorded_settings(stored.model, stored.settings, f"{where}: settings"),
        inputs=validate(InputSettings, stored.inputs, f"{where}: inputs"),
        head=head,
        has_values=stored.has_values,
        vf_share_layers=stored.vf_share_layers,
        has_filter=stored.has_filter,
        filter_limit=stored.filter_limit,
        normalize_actions=stored.normalize_actions,
        clip_actions=stored.clip_actions,
    )


def _kind(leaf: gym.Space) -> Any:
    return (leaf.shape, leaf.dtype) if isinstance(leaf, gym.spaces.Box) else leaf


@contextmanager
def _registrations_limited(weights: Mapping[str, Tensor]) -> Iterator[None]:
    """End the making of networks that are far larger than the weights that there are for them."""
    thread = threading.get_ident()  # PyTorch tells of what others make as well
    left = {"tensors": 2 * len(weights) + 100, "numbers": 2 * sum(map(Tensor.numel, weights.values())) + 100_000}

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None and not is_lazy(parameter) and threading.get_ident() == thread:
            left["tensors"] -= 1
            left["numbers"] -= parameter.numel()
            if min(left.values()) < 0:
                raise SettingsError(f"settings: ask for more weights than there are in {WEIGHTS_FILE}")

    def check(module: nn.Module, name: str, buffer: Tensor | None) -> None:
        if buffer is not None and threading.get_ident() == thread and buffer.numel() > _LARGEST_BUFFER:
            raise SettingsError(f"settings: ask for {buffer.numel()} numbers in one part of a network")

    hooks = [register_module_parameter_registration_hook(count), register_module_buffer_registration_hook(check)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
