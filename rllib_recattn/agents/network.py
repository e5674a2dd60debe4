"""The networks of an agent that acts: what RLlib's module computes in a step, in plain PyTorch.

Shape suffixes: B rows, P numbers of a previous action and reward, S numbers of state, L logits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tree
from torch import Tensor, nn

from rllib_recattn.agents.description import AgentDescription, HeadSettings
from rllib_recattn.agents.heads import Head
from rllib_recattn.agents.nesting import leaves_in_rllibs_order, nested_like
from rllib_recattn.agents.shortcut import Shortcut
from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.input_settings import encoder_settings
from rllib_recattn.inputs.masks import ActionMask, read_space
from rllib_recattn.inputs.spaces import Path, leaf_at, leaves
from rllib_recattn.inputs.tokenizer import Tokenizer
from rllib_recattn.models.base import SequenceModel

_SMALL = 1e-6  # what RLlib's filter adds to a standard deviation


class ActingNetwork(nn.Module):
    """A policy, and its value function if there is one.

    Args:
        description: The agent.
        n_logits: L.
        n_previous: P.
        values: Whether to compute values, of an agent that has them.

    Attributes:
        encoder: The policy's.
        critic_encoder: The value function's own; None if it has none.
        mask: Which actions are allowed; None: all are.
    """

    def __init__(self, description: AgentDescription, n_logits: int, n_previous: int, values: bool):
        super().__init__()
        self._seen_space, self._limit = description.seen_space, description.filter_limit
        filtered = filtered_leaves(description.observation_space) if description.has_filter else []
        self._filtered = [path for path, _ in filtered]
        self._has_float64 = any(leaf.dtype == np.float64 for _, leaf in leaves(description.observation_space))
        self.filters = nn.ModuleList(_Statistics(leaf.shape or ()) for _, leaf in filtered)
        self.encoder = _Encoder(description, n_previous)
        own_critic = values and not description.vf_share_layers
        self.critic_encoder = _Encoder(description, n_previous) if own_critic else None
        self.mask = ActionMask.of(description.observation_space, description.action_space, description.inputs)
        self.policy = Head(description.settings.output_dim, n_logits, description.head)
        layers = {"free_log_std": False, "log_std_limit": None}
        self.value = None
        if values:
            head = HeadSettings(**{**description.head.model_dump(), **layers})
            self.value = Head(description.settings.output_dim, 1, head)

    def initial_states(self, rows: int) -> list[Tensor]:
        """Return the states [B, S] at the beginning of an episode, of each encoder."""
        return [encoder.model.initial_state(rows).detach().clone() for encoder in self._encoders()]

    def state_sizes(self) -> list[int]:
        """Return S of each encoder."""
        return [encoder.model.state_size for encoder in self._encoders()]

    def forward(
        self, obs: Any, previous: Tensor | None, states: list[Tensor]
    ) -> tuple[Tensor, Tensor | None, list[Tensor]]:
        """Compute a step.

        Args:
            obs: Observations [B, …], nested like their space.
            previous: The previous actions and rewards [B, P]; None if P is 0.
            states: The states before it [B, S], of each encoder.

        Returns:
            Logits [B, L], values [B] or None, and the states after it.
        """
        if self._filtered:
            obs = self._filter(obs)
        if self._has_float64:
            obs = tree.map_structure(lambda x: x.float() if x.dtype == torch.float64 else x, obs)
        features, state = self.encoder(obs, previous, states[0])
        logits, after = self.policy(features), [state]
        if self.mask is not None:
            logits = self.mask.apply(logits, obs)
        if self.value is None:
            return logits, None, after
        if self.critic_encoder is not None:
            features, state = self.critic_encoder(obs, previous, states[1])
            after.append(state)
        return logits, self.value(features)[:, 0], after

    def _encoders(self) -> list[_Encoder]:
        return [self.encoder, *([] if self.critic_encoder is None else [self.critic_encoder])]

    def _filter(self, obs: Any) -> Any:
        values = {path: leaf_at(obs, path) for path, _ in leaves(self._seen_space)}
        for path, statistics in zip(self._filtered, self.filters, strict=True):
            values[path] = statistics(values[path], self._limit)
        return nested_like(self._seen_space, values)


def filtered_leaves(space: gym.Space) -> list[tuple[Path, gym.Space]]:
    """Return the leaves of observations that RLlib's filter normalises, with the keys of each Dict sorted."""
    choices = (gym.spaces.Discrete, gym.spaces.MultiDiscrete)
    return [(path, leaf) for path, leaf in leaves_in_rllibs_order(space) if not isinstance(leaf, choices)]


class _Statistics(nn.Module):
    """The means and standard deviations by which RLlib's ``MeanStdFilter`` normalises, which learn no more."""

    mean: Tensor
    std: Tensor

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("std", torch.ones(shape, dtype=torch.float64))

    def forward(self, x: Tensor, limit: float | None) -> Tensor:
        y = (x.double() - self.mean) / (self.std + _SMALL)
        return (y if limit is None else y.clamp(-limit, limit)).to(x.dtype)


class _Encoder(nn.Module):
    """What :class:`~rllib_recattn.rl_module.encoder.TorchRecAttnEncoder` computes, with the same names of weights."""

    def __init__(self, description: AgentDescription, n_previous: int):
        super().__init__()
        self.tokenizer = Tokenizer(
            read_space(description.seen_space, description.inputs), encoder_settings(description.inputs.encoder)
        )
        self.model: SequenceModel = description.settings.build(self.tokenizer.output_dim + n_previous)
        self._tokens = Shortcut.of(self.tokenizer.layers_of_numbers, self.tokenizer, self.tokenizer.encode)

    def forward(self, obs: Any, previous: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
        x = self._tokens(obs)
        if previous is not None:
            x = torch.cat([x, previous], dim=-1)
        y, state = self.model(x.unsqueeze(1), state)
        return y.squeeze(1), state


@contextmanager
def float32() -> Iterator[None]:
    """Let PyTorch make float32 numbers, whatever a program has chosen for itself."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def computing(device: torch.device) -> AbstractContextManager[Any]:
    """Let an agent compute as RLlib does, without gradients and in float32, whatever is around it."""
    is_autocast = torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)
    # Each of the others costs as much as a layer of the network.
    if torch.get_default_dtype() == torch.float32 and not is_autocast:
        return torch.no_grad()
    stack = ExitStack()
    stack.enter_context(torch.no_grad())
    stack.enter_context(float32())
    if is_autocast:
        stack.enter_context(torch.autocast(device.type, enabled=False))
    return stack


def build_network(description: AgentDescription, n_logits: int, n_previous: int, values: bool) -> ActingNetwork:
    """Build an agent's networks, with weights that are to be replaced."""
    # Nobody's random numbers change by weights that are replaced at once.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), float32():
        return ActingNetwork(description, n_logits, n_previous, values)


def load_weights(network: ActingNetwork, weights: Mapping[str, Tensor]) -> None:
    """Load an agent's weights into its networks; those of a value function that it does without are left out.

    Raises:
        SettingsError: If one is missing, superfluous, or of another shape or dtype.
    """
    expected = network.state_dict()
    unused = ("value.", "critic_encoder.")
    for name in weights.keys() - expected.keys():
        if not name.startswith(unused) or any(each.startswith("value.") for each in expected):
            raise SettingsError(f"weights: {name!r} is none of this agent's")
    for name, tensor in expected.items():
        if name not in weights:
            raise SettingsError(f"weights: {name!r} is missing")
        given = weights[name]
        if given.shape != tensor.shape or given.dtype != tensor.dtype:
            raise SettingsError(
                f"weights: {name!r} has shape {list(given.shape)} and dtype {given.dtype}; should have "
                f"{list(tensor.shape)} and {tensor.dtype}"
            )
    network.load_state_dict({name: weights[name] for name in expected})
