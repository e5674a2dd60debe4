"""One step of an agent as a module that becomes a graph: resets, previous inputs and the choice of actions included.

Shape suffixes: B rows, P numbers of a previous action and reward, S numbers of state.
"""

from __future__ import annotations

from typing import cast

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.graphs import ports as of
from rllib_recattn.agents.graphs.ports import Port, Ports
from rllib_recattn.agents.nesting import leaves_in_rllibs_order, nested_like
from rllib_recattn.agents.observations import tensor_dtype
from rllib_recattn.inputs.spaces import Path, leaf_at, one_hot_slots


class StepGraph(nn.Module):
    """An agent's step, with the state in and out.

    Args:
        agent: The agent, whose networks it shares.
        ports: What goes in and comes out.
    """

    def __init__(self, agent: Agent, ports: Ports):
        super().__init__()
        self.network = agent.network
        self._space, self._inputs, self._outputs = agent.observation_space, ports.inputs, ports.outputs
        description = agent.description
        scaling = (description.normalize_actions, description.clip_actions)
        self.actions = nn.ModuleList(_Action(leaf, *scaling) for _, leaf in leaves_in_rllibs_order(agent.action_space))
        self._paths = [path for path, _ in leaves_in_rllibs_order(agent.action_space)]
        previous = [port for port in ports.inputs if port.kind == of.PREVIOUS]
        self.encodings = nn.ModuleList(_Encoding(leaf_at(agent.action_space, port.path)) for port in previous)
        self._states: list[str] = []
        for name, state in zip(of.STATES, agent.network.initial_states(1), strict=False):
            self._states.append(name)
            if state.numel():  # torch.export does not read back what holds no numbers
                self.register_buffer(f"initial_{name}", state)

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Compute a step.

        Args:
            inputs: By their names, [B, …].

        Returns:
            The outputs by their names, likewise.
        """
        begins = inputs[of.IS_FIRST]
        observation = {port.path: inputs[port.name] for port in self._of(of.OBSERVATION)}
        before = [
            torch.where(begins[:, None], getattr(self, f"initial_{name}"), inputs[name])
            if name in inputs
            else torch.zeros(begins.shape[0], 0, device=begins.device)
            for name in self._states
        ]
        obs = nested_like(self._space, observation)
        logits, values, states = self.network(obs, self._previous(inputs), before)
        actions = cast("list[_Action]", list(self.actions))
        parts = logits.split([action.n_logits for action in actions], dim=-1)
        chosen = [action.choose(part) for action, part in zip(actions, parts, strict=True)]
        found: dict[tuple[str, Path], Tensor] = {(of.LOGITS, ()): logits}
        if values is not None:
            found[of.VALUE, ()] = values
        for path, action, each in zip(self._paths, actions, chosen, strict=True):
            found[of.ACTION, path] = action(each)
            found[of.CHOSEN, path] = each.clone()
        found |= {(of.NEXT + name, ()): state for name, state in zip(self._states, states, strict=True)}
        return {port.name: found[port.kind, port.path] for port in self._outputs}

    def _of(self, kind: str) -> list[Port]:
        return [port for port in self._inputs if port.kind == kind]

    def _previous(self, inputs: dict[str, Tensor]) -> Tensor | None:
        """Return previous actions and rewards [B, P], zeros where an episode begins; None if P is 0."""
        parts = [
            encoding(inputs[port.name]) for encoding, port in zip(self.encodings, self._of(of.PREVIOUS), strict=True)
        ]
        parts += [inputs[port.name][:, None] for port in self._of(of.REWARD)]
        if not parts:
            return None
        return torch.cat(parts, dim=-1).masked_fill(inputs[of.IS_FIRST][:, None], 0)


class _Encoding(nn.Module):
    """A leaf of a previous action as :class:`~rllib_recattn.inputs.previous.PreviousInputs` encodes it."""

    component: Tensor
    value: Tensor

    def __init__(self, leaf: gym.Space):
        super().__init__()
        self._is_choice = isinstance(leaf, gym.spaces.Discrete | gym.spaces.MultiDiscrete)
        if isinstance(leaf, gym.spaces.Discrete | gym.spaces.MultiDiscrete):
            component, value = one_hot_slots(leaf)
            self.register_buffer("component", torch.as_tensor(component))
            self.register_buffer("value", torch.as_tensor(value))

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(x.shape[0], -1)
        return x[:, self.component].eq(self.value).float() if self._is_choice else x


class _Action(nn.Module):
    """A leaf of an action as :class:`~rllib_recattn.agents.actions.Actions` chooses the most likely one.

    Attributes:
        n_logits: How many logits it has.
    """

    low: Tensor
    high: Tensor

    def __init__(self, leaf: gym.Space, normalize: bool, clip: bool):
        super().__init__()
        self._dtype = torch.from_numpy(np.empty(0, tensor_dtype(leaf))).dtype
        self._sizes: list[int] | None = None
        self._scaled = self._clipped = False
        if isinstance(leaf, gym.spaces.Box):
            self.n_logits = 2 * int(leaf.shape[0])
            self._scaled = normalize and leaf.is_bounded() and leaf.dtype in (np.float32, np.float64)
            self._clipped = self._scaled or (clip and not normalize)
            precise = np.float64 if leaf.dtype == np.float64 else np.float32
            for name in ("low", "high"):
                self.register_buffer(name, torch.from_numpy(getattr(leaf, name).astype(precise)))
        else:
            sizes = leaf.nvec if isinstance(leaf, gym.spaces.MultiDiscrete) else [leaf.n]  # type: ignore[attr-defined]
            self._sizes = [int(size) for size in sizes]
            self._is_lone = isinstance(leaf, gym.spaces.Discrete)
            self.n_logits = sum(self._sizes)

    def choose(self, logits: Tensor) -> Tensor:
        """Return the most likely choice of logits [B, n_logits], as the networks know it."""
        if self._sizes is None:
            return logits.chunk(2, dim=-1)[0]
        choices = [part.argmax(-1) for part in logits.split(self._sizes, dim=-1)]
        return choices[0] if self._is_lone else torch.stack(choices, dim=-1)

    def forward(self, chosen: Tensor) -> Tensor:
        """Return what the environment gets of what was chosen."""
        if self._scaled:
            chosen = self.low + (chosen + 1.0) * (self.high - self.low) / 2.0
        if self._clipped:
            chosen = torch.clamp(chosen, self.low, self.high)
        return chosen.to(self._dtype)
