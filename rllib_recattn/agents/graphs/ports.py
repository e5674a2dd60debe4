"""What goes into the graph of a step, and what comes out: names, shapes and dtypes.

Shape suffixes: B rows, S numbers of state, L logits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from rllib_recattn.agents.actions import Actions
from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.observations import tensor_dtype
from rllib_recattn.inputs.spaces import Path, leaves

IS_FIRST = "is_first"
REWARD = "reward"
STATES = ("state", "critic_state")
OBSERVATION = "observation"
PREVIOUS = "previous_action"
ACTION = "action"
CHOSEN = "chosen_action"
LOGITS = "logits"
VALUE = "value"
NEXT = "next_"


@dataclass(frozen=True)
class Port:
    """A tensor that goes in or comes out, a row for each agent.

    Attributes:
        name: By which it is given or returned, an identifier.
        kind: What it is: one of the names above.
        path: The keys that lead to it in the space of what it is a part of.
        shape: That of a row.
        dtype: As NumPy names it.
    """

    name: str
    kind: str
    path: Path
    shape: tuple[int, ...]
    dtype: str

    def to_data(self) -> dict[str, Any]:
        """Return it as what JSON can hold; the dimension of rows, of any number, is called "batch"."""
        data: dict[str, Any] = {"name": self.name, "kind": self.kind}
        if self.path:
            data["path"] = list(self.path)
        return {**data, "shape": ["batch", *self.shape], "dtype": self.dtype}


@dataclass(frozen=True)
class Ports:
    """All of a graph, in order.

    Attributes:
        inputs: What goes in.
        outputs: What comes out.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def feedback(self) -> dict[str, str]:
        """Return which output is given back in the next step, by the input that takes it."""
        named = {(port.kind, port.path): port.name for port in self.outputs}
        sources = {**{state: NEXT + state for state in STATES}, PREVIOUS: CHOSEN}
        return {port.name: named[sources[port.kind], port.path] for port in self.inputs if port.kind in sources}


def ports_of(agent: Agent) -> Ports:
    """Return what goes into the graph of an agent's step, and what comes out."""
    description, sizes = agent.description, agent.network.state_sizes()
    # A model without a memory has a state of no numbers, which not every runtime takes.
    states = [(name, size) for name, size in zip(STATES, sizes, strict=False) if size]
    previous = description.inputs.use_prev_action
    inputs = _of_space(OBSERVATION, agent.observation_space)
    inputs.append(Port(IS_FIRST, IS_FIRST, (), (), "bool"))
    if previous:
        inputs += _of_space(PREVIOUS, agent.action_space, chosen=True)
    if description.inputs.use_prev_reward:
        inputs.append(Port(REWARD, REWARD, (), (), "float32"))
    inputs += [Port(name, name, (), (size,), "float32") for name, size in states]
    n_logits = Actions(agent.action_space, description.normalize_actions, description.clip_actions).n_logits
    outputs = [*_of_space(ACTION, agent.action_space), Port(LOGITS, LOGITS, (), (n_logits,), "float32")]
    if agent.network.value is not None:
        outputs.append(Port(VALUE, VALUE, (), (), "float32"))
    if previous:
        outputs += _of_space(CHOSEN, agent.action_space, chosen=True)
    outputs += [Port(NEXT + name, NEXT + name, (), (size,), "float32") for name, size in states]
    return Ports(tuple(inputs), tuple(outputs))


def _of_space(kind: str, space: gym.Space, chosen: bool = False) -> list[Port]:
    """Return a port for each leaf; of chosen actions their dtypes are those in which networks know them."""
    paths = [path for path, _ in leaves(space)]
    ports = []
    for name, (path, leaf) in zip(_names(kind, paths), leaves(space), strict=True):
        dtype = tensor_dtype(leaf)
        if chosen:
            dtype = np.dtype(np.float32 if isinstance(leaf, gym.spaces.Box) else np.int64)
        ports.append(Port(name, kind, path, tuple(leaf.shape or ()), dtype.name))
    return ports


def _names(kind: str, paths: Iterable[Path]) -> list[str]:
    """Return an identifier for each path, which ONNX wants names to be."""
    names: list[str] = []
    for path in paths:
        name = plain = "_".join([kind, *(re.sub(r"\W", "_", str(key), flags=re.ASCII) for key in path)])
        number = 1
        while name in names:  # of keys that differ in nothing but signs
            number += 1
            name = f"{plain}_{number}"
        names.append(name)
    return names
