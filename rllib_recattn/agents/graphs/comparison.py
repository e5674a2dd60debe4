"""A graph beside its agent: the same episodes, with resets, for several numbers of rows.

Shape suffixes: B rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from rllib_recattn.agents.actions import Actions
from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.graphs import ports as of
from rllib_recattn.agents.graphs.ports import Ports
from rllib_recattn.agents.nesting import nested_like
from rllib_recattn.agents.network import filtered_leaves
from rllib_recattn.agents.observations import tensor_dtype
from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.spaces import Path, leaf_at, leaves

Run = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
BATCHES = (1, 3, 64)
STEPS = 50

_BEGINS = 0.1  # the share of steps that begin an episode
_WIDEST = 3.0  # of observations without bounds
_ALLOWED = 0.5  # the share of actions that a mask allows
_GARBAGE = 7.0  # what a state is before the first episode


def largest_error(agent: Agent, ports: Ports, run: Run, steps: int = STEPS) -> float:
    """Let a graph and its agent act side by side, each with its own state, and return where they differ most.

    Args:
        agent: The agent.
        ports: What goes into the graph and comes out.
        run: What runs it.
        steps: How many steps, for each of the numbers of rows in `BATCHES`.

    Returns:
        The largest difference of a logit, a value, a number of an action or of a state, divided by the largest number
        of that row's logits or state, where that is greater than 1.

    Raises:
        SettingsError: If a choice of the graph is not the most likely one.
    """
    return max(_of_rows(agent, ports, run, rows, steps) for rows in BATCHES)


def _of_rows(agent: Agent, ports: Ports, run: Run, rows: int, steps: int) -> float:
    rng = np.random.default_rng(rows)
    description = agent.description
    actions = Actions(agent.action_space, description.normalize_actions, description.clip_actions)
    state, feedback, worst = agent.initial_state(rows), ports.feedback(), 0.0
    given = {port.name: np.full((rows, *port.shape), _GARBAGE).astype(port.dtype) for port in ports.inputs}
    for t in range(steps):
        begins = (rng.random(rows) < _BEGINS) | (t == 0)
        observation, rewards = _observation(agent, rng, rows), rng.normal(size=rows).astype(np.float32)
        for port in ports.inputs:
            if port.kind == of.OBSERVATION:
                given[port.name] = np.ascontiguousarray(leaf_at(observation, port.path).astype(port.dtype))
        given |= {name: value for name, value in ((of.IS_FIRST, begins), (of.REWARD, rewards)) if name in given}
        outputs = run(given)
        expected = agent.full_step(observation, agent.forget(state, np.flatnonzero(begins)), reward=rewards)
        state = expected.state
        pairs = [(outputs[of.LOGITS], expected.logits)]
        if expected.values is not None:
            pairs.append((outputs[of.VALUE], expected.values))
        memories = zip(of.STATES, state.memories, strict=False)
        pairs += [(outputs[of.NEXT + name], memory) for name, memory in memories if memory.numel()]
        worst = max(worst, *(_error(actual, tensor.cpu().numpy()) for actual, tensor in pairs))
        worst = max(worst, _error_of_actions(ports, actions, outputs))
        given |= {name: outputs[source] for name, source in feedback.items()}
        remembered = actions.choose(expected.logits, False, None)
        for port in ports.inputs:
            if port.kind == of.PREVIOUS:  # as the agent does: rounding may decide between two that are as likely
                given[port.name] = leaf_at(remembered, port.path).astype(port.dtype)
    return worst


def _error_of_actions(ports: Ports, actions: Actions, outputs: dict[str, np.ndarray]) -> float:
    chosen = actions.choose(torch.from_numpy(outputs[of.LOGITS]), False, None)
    for_env, worst = actions.for_env(chosen, one=False), 0.0
    for port in ports.outputs:
        if port.kind in (of.ACTION, of.CHOSEN):
            expected = leaf_at(for_env if port.kind == of.ACTION else chosen, port.path)
            error = _error(outputs[port.name], expected)
            if error and np.issubdtype(expected.dtype, np.integer):
                raise SettingsError(f"{port.name}: is {outputs[port.name]}; the most likely actions are {expected}")
            worst = max(worst, error)
    return worst


def _error(actual: np.ndarray, expected: np.ndarray) -> float:
    if actual.shape != expected.shape:
        return np.inf
    if not actual.size:
        return 0.0
    actual, expected = actual.astype(np.float64), expected.astype(np.float64)
    sizes = np.where(np.isfinite(expected), np.abs(expected), 0.0).reshape(len(expected), -1).max(axis=1)
    with np.errstate(invalid="ignore"):
        error = np.abs(actual - expected) / np.maximum(1.0, sizes).reshape(-1, *[1] * (expected.ndim - 1))
    error = np.where(actual == expected, 0.0, error)  # infinite ones as well
    return float(np.where(np.isnan(error), np.inf, error).max())


def _observation(agent: Agent, rng: np.random.Generator, rows: int) -> Any:
    """Return observations [B, …] of the size that an agent is used to, as a filter of observations knows it."""
    filtered = [path for path, _ in filtered_leaves(agent.observation_space)] if agent.network.filters else []
    statistics: dict[Path, Any] = dict(zip(filtered, agent.network.filters, strict=False))
    values = {}
    for path, leaf in leaves(agent.observation_space):
        shape = (rows, *(leaf.shape or ()))
        if path in statistics:
            mean, std = (getattr(statistics[path], name).cpu().numpy() for name in ("mean", "std"))
            values[path] = mean + std * rng.normal(size=shape)
        else:
            values[path] = _numbers(leaf, shape, rng)
        if agent.network.mask is not None and path == (agent.network.mask.key,):
            values[path] = _mask(agent.network.mask.sizes, rows, rng)
        values[path] = values[path].astype(leaf.dtype)
    return nested_like(agent.observation_space, values)


def _mask(sizes: tuple[int, ...], rows: int, rng: np.random.Generator) -> np.ndarray:
    """Return masks [B, A] that allow some values of each choice, at least one."""
    parts = []
    for size in sizes:
        allowed = rng.random((rows, size)) < _ALLOWED
        allowed[np.arange(rows), rng.integers(size, size=rows)] = True
        parts.append(allowed)
    return np.concatenate(parts, axis=1)


def _numbers(leaf: gym.Space, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if isinstance(leaf, gym.spaces.Discrete | gym.spaces.MultiDiscrete):
        sizes = leaf.nvec if isinstance(leaf, gym.spaces.MultiDiscrete) else leaf.n
        return leaf.start + rng.integers(0, np.broadcast_to(sizes, shape))
    if isinstance(leaf, gym.spaces.MultiBinary):
        return rng.integers(0, 2, shape)
    assert isinstance(leaf, gym.spaces.Box)
    is_byte = tensor_dtype(leaf) == np.uint8
    low, high = (bound.astype(np.float64) for bound in (leaf.low, leaf.high))
    if not is_byte:
        low, high = np.clip(low, -_WIDEST, None), np.clip(high, None, _WIDEST)
        low, high = np.minimum(low, leaf.high), np.maximum(high, leaf.low)  # bounds that lie on one side of these
    return rng.uniform(low, high, shape)
