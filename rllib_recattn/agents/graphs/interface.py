"""What a program that runs a graph has to know, as JSON: names, shapes, the state and how an episode begins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch

from rllib_recattn._version import __version__
from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.graphs.ports import OBSERVATION, STATES, Ports
from rllib_recattn.agents.nesting import leaves_in_rllibs_order
from rllib_recattn.agents.space_data import space_to_data

INTERFACE_FILE = "interface.json"
GRAPH_FORMAT = "rllib_recattn.graph"

_RESET = (
    "where is_first is true an episode begins: the row's state, previous action and reward are forgotten before its "
    "step, whatever numbers are given for them"
)
_STEP = "give each output that feedback names to its input in the next step"


def interface_of(agent: Agent, ports: Ports, policy: str, file: str) -> dict[str, Any]:
    """Return what is to be known of a graph, as what JSON can hold.

    Args:
        agent: Whose step it is.
        ports: What goes in and comes out.
        policy: The policy's id.
        file: The name of the file with the graph.

    Raises:
        SettingsError: If its spaces cannot be stored.
    """
    initial = {
        name: 0.0 if not bool(state.any()) else state[0].tolist()
        for name, state in zip(STATES, agent.network.initial_states(1), strict=False)
        if state.numel()
    }
    mask = None if agent.network.mask is None else (agent.network.mask.key,)
    observations = [port for port in ports.inputs if port.kind == OBSERVATION]
    return {
        "format": GRAPH_FORMAT,
        "version": 1,
        "written_by": __version__,
        "torch": torch.__version__,
        "policy": policy,
        "model": agent.description.model,
        "file": file,
        "inputs": [port.to_data() for port in ports.inputs],
        "outputs": [port.to_data() for port in ports.outputs],
        "feedback": ports.feedback(),
        "step": _STEP,
        "reset": _RESET,
        "initial": initial,
        "action_mask": None if mask is None else _mask(next(port.name for port in observations if port.path == mask)),
        "logits": _layout(agent.action_space),
        "observation_space": space_to_data(agent.observation_space),
        "action_space": space_to_data(agent.action_space),
    }


def read_interface(folder: Path) -> dict[str, Any] | None:
    """Return what was written of a graph in a folder; None if there is none."""
    file = folder / INTERFACE_FILE
    if not file.is_file():
        return None
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) and data.get("format") == GRAPH_FORMAT else None


def _mask(name: str) -> dict[str, str]:
    """Return which input is the mask of actions, and what its numbers mean."""
    return {
        "input": name,
        "means": "a number for each of the logits, in their order: 1, the choice is allowed; 0, it is forbidden, and "
        "its logit so low that it is never chosen. Of each choice at least one value should be allowed; where none is, "
        "all are",
    }


def _layout(space: gym.Space) -> list[dict[str, Any]]:
    """Return which logits belong to which leaf of actions, for programs that draw actions themselves."""
    layout, begin = [], 0
    for path, leaf in leaves_in_rllibs_order(space):
        if isinstance(leaf, gym.spaces.Box):
            parts = [("mean", int(leaf.shape[0])), ("log_std", int(leaf.shape[0]))]
        elif isinstance(leaf, gym.spaces.MultiDiscrete):
            parts = [("log_probabilities", int(n)) for n in leaf.nvec]
        else:
            parts = [("log_probabilities", int(leaf.n))]  # type: ignore[attr-defined]
        for holds, size in parts:
            layout.append({"path": list(path), "holds": holds, "from": begin, "to": begin + size})
            begin += size
    return layout
