"""A step's graph as a program of torch.export, recorded for any number of rows, and as a .pt2 file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.graphs.ports import IS_FIRST, Ports
from rllib_recattn.agents.graphs.step import StepGraph
from rllib_recattn.agents.network import float32
from rllib_recattn.errors import SettingsError

_ROWS = 3  # of the example; of none or of one PyTorch would take the number for a constant


def record(agent: Agent, ports: Ports) -> Any:
    """Record an agent's step by PyTorch's operations, without kernels.

    Returns:
        The program of torch.export, which takes a dict of tensors [B, …], B any number, and returns another.

    Raises:
        SettingsError: If the model, or an encoder, does anything of which no graph can be made.
    """
    inputs = {port.name: torch.from_numpy(np.zeros((_ROWS, *port.shape), port.dtype)) for port in ports.inputs}
    inputs[IS_FIRST][0] = True
    rows = torch.export.Dim("batch")
    graph = StepGraph(agent, ports).eval()
    try:
        with torch.no_grad(), float32():
            return torch.export.export(graph, (inputs,), dynamic_shapes=({name: {0: rows} for name in inputs},))
    except Exception as error:  # there is no end to what PyTorch may say of code that it cannot record
        reason = next(iter(str(error).strip().splitlines()), "")
        raise SettingsError(
            f"model {agent.description.model!r}: its step cannot be recorded as a graph for any number of rows: "
            f"{type(error).__name__}: {reason.rstrip('.')}. Export it with --format safetensors, which needs no graph, "
            "and load that with rllib_recattn.load_agent"
        ) from error


def write_program(program: Any, interface_file: str, interface: str, file: Path) -> None:
    """Write a program, with what is to be known of it inside, as an extra file."""
    torch.export.save(program, str(file), extra_files={interface_file: interface})


def run_program(file: Path) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Return what runs the steps of a .pt2 file, by PyTorch."""
    step = torch.export.load(str(file)).module()

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with torch.no_grad():
            outputs = step({name: torch.from_numpy(array) for name, array in inputs.items()})
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    return run
