"""An agent that acts, one step at a time, and remembers.

Shape suffixes: B rows of a batch, L logits, P numbers of a previous action and reward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
import tree
from torch import Tensor

from rllib_recattn.agents.actions import Actions
from rllib_recattn.agents.checks import (
    check_computed,
    check_fits,
    check_mask,
    check_state,
    checked_device,
    checked_rewards,
    chosen_rows,
    whole_number,
)
from rllib_recattn.agents.description import AgentDescription
from rllib_recattn.agents.network import ActingNetwork, build_network, computing, filtered_leaves, load_weights
from rllib_recattn.agents.observations import Observations
from rllib_recattn.agents.state import AgentState, Step
from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.previous import PreviousInputs

_LARGEST_STATE = 1 << 26  # numbers, a quarter of a gigabyte

Rows = Sequence[int] | Sequence[bool] | np.ndarray
"""Some rows of a batch, by their numbers or as booleans [B]."""


class Agent:
    """A trained agent with its memory, made by :func:`rllib_recattn.load_agent`.

    It acts for one environment, or for the rows of a batch of them, each with a memory of its own: ``reset(n_rows=8)``.
    Actions are what the environment gets, scaled to its bounds as RLlib does. It is not thread-safe: threads need an
    agent each, or take turns with :meth:`step`, whose state they keep themselves.

    Args:
        description: What it is.
        weights: Its weights, by the names in :class:`ActingNetwork`; those of a value function may be left over.
        device: Where it computes, as PyTorch names it.
        seed: Of the actions that are drawn; None: they follow PyTorch's own random state.
        values: Whether to compute values as well.

    Attributes:
        description: As given.
        observation_space: What it is given.
        action_space: What it returns.
        network: Its networks.

    Raises:
        SettingsError: If it has no values and they are asked for, or the weights are not its own.
    """

    def __init__(
        self,
        description: AgentDescription,
        weights: Mapping[str, Tensor],
        *,
        device: str | torch.device = "cpu",
        seed: int | None = None,
        values: bool = False,
    ):
        if values and not description.has_values:
            raise SettingsError("values = True: this agent was saved without its value function")
        self.description = description
        self.observation_space, self.action_space = description.observation_space, description.action_space
        self._device = checked_device(device)
        filtered = filtered_leaves(self.observation_space) if description.has_filter else []
        self._observations = Observations(self.observation_space, [path for path, _ in filtered])
        self._actions = Actions(self.action_space, description.normalize_actions, description.clip_actions)
        self._previous = PreviousInputs(self.action_space, description.inputs)
        self.network = build_network(description, self._actions.n_logits, self._previous.size, values)
        load_weights(self.network, weights)
        self.network.requires_grad_(False).eval().to(self._device)
        self._generator: torch.Generator | None = None
        if seed is not None:
            self.seed(seed)
        _check_state_size(self.network)
        self._n_rows: int | None = None
        self._all_begun = _all_begun(1)
        self._state = self.initial_state(1)
        self._last: Step | None = None

    @property
    def n_rows(self) -> int | None:
        """How many rows :meth:`act` acts for; None: for one agent, without a dimension for rows."""
        return self._n_rows

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._device

    @property
    def previous_size(self) -> int:
        """P, how many numbers it reads of the previous action and reward; 0: neither."""
        return self._previous.size

    @property
    def logits(self) -> np.ndarray:
        """The logits [B, L] of the last :meth:`act`, or [L] of one agent."""
        return self._of_last("logits")

    @property
    def values(self) -> np.ndarray:
        """The values [B] of the observations of the last :meth:`act`, or [] of one agent."""
        return self._of_last("values")

    def seed(self, seed: int) -> None:
        """Begin the random numbers again by which actions are drawn."""
        number = whole_number(seed, 0, 1 << 63)
        if number is None:
            raise SettingsError(f"seed = {seed!r}: should be a whole number from 0 to 2⁶³ − 1")
        self._generator = torch.Generator(device=self._device).manual_seed(number)

    def reset(self, rows: Rows | None = None, *, n_rows: int | Literal["as before"] | None = "as before") -> None:
        """Forget: an episode begins.

        Args:
            rows: Which rows begin an episode, by their numbers or as booleans [B], such as ``terminated | truncated``;
                None: all.
            n_rows: How many rows there are from now on, all of which begin; None: one agent, whose observations have no
                dimension for rows.

        Raises:
            SettingsError: If there is no such row.
        """
        if isinstance(n_rows, str) and n_rows == "as before":
            if rows is not None:
                self._state = self.forget(self._state, rows)
                return
            wanted = self._n_rows
        else:
            if rows is not None:
                raise SettingsError("reset: takes rows, or n_rows of which all begin, not both")
            wanted = None if n_rows is None else whole_number(n_rows, 1)
            if n_rows is not None and wanted is None:
                raise SettingsError(f"reset: n_rows = {n_rows!r}: should be a whole number ≥ 1, or None for one agent")
        self._state = self.initial_state(wanted or 1)
        self._n_rows, self._last = wanted, None

    def act(self, observation: Any, *, reward: Any = None, explore: bool = False) -> Any:
        """Return the action for an observation, and remember both.

        Args:
            observation: Of the observation space; after ``reset(n_rows=B)`` one for each row, its leaves [B, …], as
                Gymnasium's vector environments give them.
            reward: What the environment gave for the last action, or [B]; only agents that read it
                (``use_prev_reward``) need it, and not in the first step of an episode.
            explore: Whether to draw the action, as in training, rather than to take the most likely one.

        Returns:
            The action, nested like the action space; of rows, its leaves are [B, …].

        Raises:
            SettingsError: If the observation is none of the space, or the reward is missing.
        """
        self._last = self._step(observation, self._state, self._n_rows, reward, explore)
        self._state = self._last.state
        return self._last.actions

    def check(self, observation: Any) -> Any:
        """Return an observation of one environment as arrays of the space's dtypes, nested like it.

        Raises:
            SettingsError: If it is none of the space.
        """
        batch = self._observations.batch(observation, None, torch.device("cpu"))
        return tree.map_structure(lambda tensor: tensor[0].numpy(), batch)

    def initial_state(self, n_rows: int) -> AgentState:
        """Return the state of so many rows at the beginning of an episode, for :meth:`step`.

        Raises:
            SettingsError: If it is no whole number ≥ 1, or there is not enough memory.
        """
        rows = whole_number(n_rows, 1)
        if rows is None:
            raise SettingsError(f"n_rows = {n_rows!r}: should be a whole number ≥ 1")
        size = self._previous.size
        check_fits(rows, 1 + 4 * (size + sum(self.network.state_sizes())))
        try:
            begun = np.zeros(rows, bool)
            previous = np.zeros((rows, size), np.float32) if size else None
            with computing(self._device):
                memories = tuple(self.network.initial_states(rows))
        except (MemoryError, RuntimeError, OverflowError, TypeError, ValueError) as error:
            raise SettingsError(
                f"n_rows = {n_rows!r}: there is not enough memory for the states of so many rows"
            ) from error
        return AgentState(memories, previous, begun)

    def forget(self, state: AgentState, rows: Rows) -> AgentState:
        """Return a state in which some rows begin an episode; see :meth:`reset`."""
        self._check_state(state)
        which = chosen_rows(rows, state.n_rows)
        index = torch.from_numpy(which).to(self._device)
        initial = self.initial_state(state.n_rows)
        memories = tuple(
            torch.where(index[:, None], fresh, kept)
            for fresh, kept in zip(initial.memories, state.memories, strict=True)
        )
        previous = None if state.previous is None else np.where(which[:, None], 0, state.previous).astype(np.float32)
        return AgentState(memories, previous, state.begun & ~which)

    def step(
        self, observations: Any, state: AgentState, *, reward: Any = None, explore: bool = False
    ) -> tuple[Any, AgentState]:
        """Act for rows whose state is given, and return the actions with the state after them.

        What :meth:`act` remembers stays as it is.

        Args:
            observations: One for each row of the state, their leaves [B, …].
            state: From :meth:`initial_state`, or from the step before; it is not changed.
            reward: As in :meth:`act`, [B].
            explore: As in :meth:`act`.

        Raises:
            SettingsError: As :meth:`act`.
        """
        actions, after, _, _ = self.full_step(observations, state, reward=reward, explore=explore)
        return actions, after

    def full_step(self, observations: Any, state: AgentState, *, reward: Any = None, explore: bool = False) -> Step:
        """Do what :meth:`step` does, and return logits and values as well."""
        self._check_state(state)
        return self._step(observations, state, state.n_rows, reward, explore)

    def _step(self, obs: Any, state: AgentState, rows: int | None, reward: Any, explore: bool) -> Step:
        inputs = self._observations.batch(obs, rows, self._device)
        if self.network.mask is not None:
            check_mask(self.network.mask, inputs)
        previous = None
        if state.previous is not None:
            encoded = self._with_reward(state, reward)
            previous = torch.from_numpy(encoded).to(self._device)
        with computing(self._device):
            logits, values, memories = self.network(inputs, previous, list(state.memories))
            check_computed(logits, state.memories, memories)
            chosen = self._actions.choose(logits, explore, self._generator)
        after = None
        if state.previous is not None:
            after = self._previous.encode(chosen, np.zeros(state.n_rows, np.float32), state.n_rows)
        if len(self._all_begun) != len(state.begun):
            self._all_begun = _all_begun(state.n_rows)
        begun = self._all_begun
        actions = self._actions.for_env(chosen, one=rows is None)
        return Step(actions, AgentState(tuple(memories), after, begun), logits, values)

    def _with_reward(self, state: AgentState, reward: Any) -> np.ndarray:
        assert state.previous is not None
        if not self.description.inputs.use_prev_reward or not state.begun.any():
            return state.previous
        if reward is None:
            raise SettingsError(
                "reward is missing: this agent reads the reward before each observation (use_prev_reward = true); pass "
                "what the environment gave for the last action, act(observation, reward=…), or call reset() where an "
                "episode begins"
            )
        encoded = state.previous.copy()
        encoded[:, -1] = checked_rewards(reward, state.begun)
        return encoded

    def _check_state(self, state: Any) -> None:
        check_state(state, self.network.state_sizes(), self._previous.size, self._device)

    def _of_last(self, name: str) -> np.ndarray:
        value = getattr(self._last, name, None)
        if self._last is None:
            raise SettingsError(f"agent.{name}: there are none before act(observation) is called")
        if value is None:
            raise SettingsError("agent.values: load the agent with load_agent(…, values=True)")
        array: np.ndarray = value.cpu().numpy()
        return array[0] if self._n_rows is None else array


def _all_begun(n_rows: int) -> np.ndarray:
    """Return what says that all rows have acted, which the states of all steps share."""
    begun = np.ones(n_rows, bool)
    begun.flags.writeable = False
    return begun


def _check_state_size(network: ActingNetwork) -> None:
    size = network.encoder.model.state_size
    if size > _LARGEST_STATE:
        raise SettingsError(f"settings: a state has {size} numbers; should have {_LARGEST_STATE} at most")
