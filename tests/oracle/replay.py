"""An episode read once more by a module's models alone, one step at a time.

Nothing of RLlib's and of this package's machinery between an environment and a model is used: no connectors, rows,
kept states, packing or forward passes of RLModules.
"""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.oracle.environments import ACTION_SPACES, Life

LAST_BIT = 2.0**-23  # of float32, relative
States = tuple[Tensor, ...]  # of the actor's model, and of the critic's if it has one


class Replayer:
    """Steps through episodes with the weights of a module.

    It computes in float64, but for tokenizers, which give float32.

    Args:
        module: An RLModule of this package.
        actions: The key of the action space in `ACTION_SPACES`.
    """

    def __init__(self, module: Any, actions: str):
        self.module = copy.deepcopy(module).double()
        self.actions = actions
        encoder = self.module.encoder
        self.encoders = (
            [encoder.encoder] if hasattr(encoder, "encoder") else [encoder.actor_encoder, encoder.critic_encoder]
        )
        for encoder in self.encoders:
            encoder.tokenizer.float()
        self.inputs = module.recurrence
        self.original = module

    def initial(self) -> States:
        return tuple(encoder.model.initial_state(1) for encoder in self.encoders)

    @torch.no_grad()
    def step(self, observation: np.ndarray, previous: np.ndarray, states: States) -> tuple[Tensor, float, States]:
        """Read one observation; returns the logits, the value, and the states after it."""
        features, after = [], []
        for encoder, state in zip(self.encoders, states, strict=True):
            x = encoder.tokenizer(torch.from_numpy(observation)[None, None])
            x = torch.cat([x, torch.from_numpy(previous)[None, None]], dim=-1)
            y, state = encoder.model(x.double(), state)
            features.append(y[0, 0])
            after.append(state)
        return self.module.pi(features[0]), float(self.module.vf(features[-1])[0]), tuple(after)

    def perturbed(self, generator: torch.Generator) -> Replayer:
        """Weights that differ in the last bit of float32."""
        other = Replayer(self.original, self.actions)
        with torch.no_grad():
            for parameter in other.module.parameters():
                parameter.mul_(1 + LAST_BIT * torch.randn(parameter.shape, generator=generator))
        return other

    def previous(self, life: Life, t: int) -> np.ndarray:
        """What was before step t: a one-hot action and a reward, zeros at the start."""
        parts = []
        if self.inputs.use_prev_action:
            space, action = ACTION_SPACES[self.actions], life.actions[t - 1]
            if self.actions == "discrete":
                parts.append(np.eye(int(space.n))[action])
            elif self.actions == "multi-discrete":
                parts.append(np.concatenate([np.eye(n)[a] for n, a in zip(space.nvec, action, strict=True)]))
            else:
                parts.append(action)
        if self.inputs.use_prev_reward:
            parts.append(np.array([life.rewards[t - 1]]))
        joined = np.concatenate([*parts, []]).astype(np.float32)
        return joined if t else np.zeros_like(joined)

    def distribution(self, logits: Tensor) -> Any:
        """The distribution over actions."""
        return self.module.get_train_action_dist_cls().from_logits(logits)


class Replayed:
    """What the weights that acted, and those that learn, make of one episode.

    The learner begins each of its rows with the state of the weights that acted, and reads on with its own. If both
    have the same weights this is one replay from the initial state.

    Args:
        actor: Has the weights that acted.
        learner: Has those that learn.
        life: The episode.
        observations: What the module saw of its steps [T + 1, …].
    """

    def __init__(self, actor: Replayer, learner: Replayer, life: Life, observations: np.ndarray):
        self._actor, self._learner, self._life = actor, learner, life
        self._observations = observations
        self._states, self._logits, self._values = [actor.initial()], [], []
        for t in range(len(life) + 1):
            logits, value, states = actor.step(observations[t], actor.previous(life, t), self._states[-1])
            self._states.append(states)
            self._logits.append(logits)
            self._values.append(value)
        self._rows: dict[int, list[tuple[Tensor, float]]] = {}

    @cached_property
    def rounding(self) -> float:
        """How far off float32 may be: what a change of weights and observations in their last bit does, several times.

        A quotient of two small numbers, such as AGaLiTe's where few keys meet a query, makes much of little.
        """
        generator = torch.Generator().manual_seed(0)
        largest = 0.0
        for weights in {self._actor, self._learner}:
            right = self._outputs_of(weights, self._observations)
            for _ in range(4):
                noise = torch.randn(self._observations.shape, generator=generator).numpy() * LAST_BIT
                observations = (self._observations * (1 + noise)).astype(np.float32)
                seen = self._outputs_of(weights.perturbed(generator), observations)
                largest = max(largest, float((right - seen).abs().max()))
        return largest

    def _outputs_of(self, weights: Replayer, observations: np.ndarray) -> Tensor:
        """Return all logits and values of the episode, read from its initial state."""
        replayed = Replayed(weights, weights, self._life, observations)
        return torch.cat([*replayed._logits, torch.tensor(replayed._values)])

    def acted(self, t: int) -> Tensor:
        """The logits with which the action of step t was drawn."""
        return self._logits[t]

    def learned(self, t: int, row_start: int) -> tuple[Tensor, float]:
        """The learner's logits and value of step t in a row that begins with the step `row_start`."""
        if self._actor is self._learner:
            return self._logits[t], self._values[t]
        row = self._rows.setdefault(row_start, [])
        if not row:
            self._row_states = {**getattr(self, "_row_states", {}), row_start: self._first_state(row_start)}
        while len(row) <= t - row_start:
            step = row_start + len(row)
            previous = self._learner.previous(self._life, step)
            logits, value, states = self._learner.step(self._observations[step], previous, self._row_states[row_start])
            self._row_states[row_start] = states
            row.append((logits, value))
        return row[t - row_start]

    def _first_state(self, row_start: int) -> States:
        return self._learner.initial() if row_start == 0 else self._states[row_start]
